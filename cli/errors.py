"""Errors for people, and the exit codes of `dhis2-cluster`."""

FAILED = 1  # a part is not healthy, or what the verb did has failed
NOT_RUN = 2  # nothing was done, as with an unknown option


class CommandError(Exception):
    """What is wrong, where, and the command that fixes it; `code` is the exit code."""

    def __init__(self, text: str, code: int = NOT_RUN) -> None:
        super().__init__(text)
        self.code = code
