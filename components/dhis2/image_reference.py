"""Container image references and their parts."""

import re

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
# As for Docker, a first part without dot or port is a registry only when it is localhost.
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:(?:localhost|{_NAME}(?:\.{_NAME})+)(?::[0-9]{{1,5}})?|(?:{_NAME}|\[[0-9a-fA-F:]+\]):[0-9]{{1,5}})"
_REFERENCE = re.compile(
    rf"(?P<repository>(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)


def image_parts(image: str) -> tuple[str, str | None, str | None]:
    """Return (repository, tag, digest) of an image reference such as `host:5000/dhis2/core:2.42@sha256:…`.

    Raises ValueError where Docker would refuse it.
    """
    match = _REFERENCE.fullmatch(image)
    if match is None:
        raise ValueError(f'"{image}" is not an image reference such as dhis2/core:2.42')
    return match["repository"], match["tag"], match["digest"]
