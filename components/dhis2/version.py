"""Version texts as DHIS2 and its users write them. Pure."""

import re
from dataclasses import dataclass

# The images before it can start as root only, have another home, and their cores cannot keep each other's caches fresh.
OLDEST = (38, 2)
DEV_VERSIONS = ("dev", "latest", "master")
NEWEST_PATCH = 10**6  # the patch of a rolling tag such as 2.42: the line's newest, so every fix of the line is in it

_VERSION = re.compile(
    r"(?P<numbers>[0-9]{1,4}(?:\.[0-9]{1,4}){0,3})(?:-(?P<suffix>rc[0-9]*|[0-9]{8}t[0-9]{6}z))?", re.ASCII
)


class ReleaseError(ValueError):
    """A version text that names no DHIS2 release we can run: the text says why, `command` mends the setting `key`."""

    def __init__(self, text: str, command: str, key: str = "version") -> None:
        super().__init__(text)
        self.command, self.key = command, key


@dataclass(frozen=True)
class Version:
    """A parsed version text. `minor` is None for the development version, `patch` NEWEST_PATCH for a rolling tag."""

    text: str
    minor: int | None = None
    patch: int = NEWEST_PATCH
    tag: str = ""
    dump: str = "dev"

    def at_least(self, minor: int, patch: int = 0) -> bool:
        """True from 2.<minor>.<patch> on; the development version is newer than every release."""
        return self.minor is None or (self.minor, self.patch) >= (minor, patch)


def parse_version(text: str) -> Version:
    """Reads `dev`, `42`, `2.42`, `42.3.1`, `2.42.3.1`, `v2.42.3`, `2.42.3-rc` or an immutable timestamp tag."""
    given = text.strip()
    plain = given.lower()
    if not plain:
        raise ReleaseError("version is empty", "pulumi config set version dev")
    if plain in DEV_VERSIONS:
        return Version(text="dev", tag="latest")
    plain = plain.removeprefix("v")
    match = _VERSION.fullmatch(plain)
    if match is None:
        raise ReleaseError(
            f'"{given}" is not a DHIS2 version such as dev, 42, 2.42, 42.3.1 or 2.42.3.1',
            "pulumi config set version 2.42",
        )
    numbers = _numbers(match["numbers"], given)
    return _versioned(numbers, match["suffix"] or "", match["numbers"])


def _numbers(text: str, given: str) -> tuple[int, ...]:
    """(minor, patch?, hotfix?) of a dotted text with or without the leading 2."""
    if any(len(part) > 1 and part.startswith("0") for part in text.split(".")):
        raise ReleaseError(f'"{given}" has a number with a leading zero', "pulumi config set version 2.42")
    numbers = tuple(int(part) for part in text.split("."))
    if numbers[0] == 2:  # noqa: PLR2004 - DHIS2's own major version
        numbers = numbers[1:]
        if not numbers:
            raise ReleaseError('"2" names no DHIS2 release line', "pulumi config set version 2.42")
        if OLDEST[0] // 10 < numbers[0] < 10:  # noqa: PLR2004 - one digit
            raise ReleaseError(
                f'"{given}" names no DHIS2 release; where a stack file says 2.{numbers[0]}0 without quotes, YAML has '
                "read a number and dropped the zero",
                f"pulumi config set version 2.{numbers[0]}0",
            )
    if len(numbers) > 3:  # noqa: PLR2004 - line, patch, hotfix
        raise ReleaseError(f'"{given}" has more parts than line, patch and hotfix', "pulumi config set version 2.42")
    if numbers[0] > 99:  # noqa: PLR2004 - DHIS2's lines have two digits
        raise ReleaseError(f'"{given}" is no DHIS2 release line', "pulumi config set version 2.42")
    if (*numbers, NEWEST_PATCH)[:2] < OLDEST:
        raise ReleaseError(
            f'"{given}" is older than 2.{OLDEST[0]}.{OLDEST[1]}, the first release whose cores can keep each other\'s '
            "caches fresh and whose image runs without root",
            "pulumi config set version 2.38.5",
        )
    return numbers


def _versioned(numbers: tuple[int, ...], suffix: str, written: str) -> Version:
    minor, patch = numbers[0], numbers[1] if len(numbers) > 1 else NEWEST_PATCH
    text = ".".join(str(number) for number in (2, *numbers))
    dump = text if patch == NEWEST_PATCH else f"2.{minor}.{patch}"
    tag = text
    if suffix.startswith("rc"):
        # A candidate comes before its release, and so before the release's dump: its line's dump is migrated forward.
        tag, dump = f"{text}-{suffix}", f"2.{minor}"
    elif suffix:
        # Immutable tags are published in the form they are written in, with capital letters.
        tag = f"{written}-{suffix.upper()}"
    # Docker Hub has 42.3.1 and 2.42.3.1 for new releases, only the latter for those before the end of 2023.
    return Version(text=tag if suffix else text, minor=minor, patch=patch, tag=tag, dump=dump)
