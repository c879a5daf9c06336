"""Version texts as DHIS2 and its users write them."""

import re
from dataclasses import dataclass

# Older images start as root only and have another home, and their cores cannot keep each other's caches fresh.
OLDEST = (38, 2)
DEV_VERSIONS = ("dev", "latest", "master")
EXAMPLE = "2.42"
NEWEST_PATCH = 10**6  # the patch of a rolling tag such as 2.42: the line's newest, so every fix of the line is in it

_VERSION = re.compile(
    r"(?P<numbers>[0-9]{1,4}(?:\.[0-9]{1,4}){0,3})(?:-(?P<suffix>rc[0-9]*|[0-9]{8}t[0-9]{6}z))?", re.ASCII
)


class ReleaseError(ValueError):
    """A text that is no version of a DHIS2 release this program can run.

    `reason` continues a sentence that begins with the text; `instead` is a version to use.
    """

    def __init__(self, text: str, reason: str, instead: str = EXAMPLE) -> None:
        super().__init__(f'"{text}" {reason}')
        self.reason, self.instead = reason, instead


@dataclass(frozen=True)
class Version:
    """A parsed version text. `minor` is None for the development version, `patch` NEWEST_PATCH for a rolling tag."""

    text: str
    minor: int | None = None
    patch: int = NEWEST_PATCH
    tag: str = ""
    dump: str = "dev"

    def at_least(self, minor: int, patch: int = 0) -> bool:
        """Return True from 2.<minor>.<patch> on; the development version is newer than every release."""
        return self.minor is None or (self.minor, self.patch) >= (minor, patch)


def parse_version(text: str) -> Version:
    """Return the version of `dev`, `42`, `2.42`, `42.3.1`, `2.42.3.1`, `v2.42.3`, `2.42.3-rc` or a timestamp tag.

    Raises ReleaseError.
    """
    text = text.strip()
    if text.lower() in DEV_VERSIONS:
        return Version(text="dev", tag="latest")
    match = _VERSION.fullmatch(text.lower().removeprefix("v"))
    if match is None:
        raise ReleaseError(text, "is not a DHIS2 version such as dev, 42, 2.42, 42.3.1 or 2.42.3.1")
    minor, *rest = _numbers(text, match["numbers"])
    release = ".".join(str(number) for number in (2, minor, *rest))
    patch = rest[0] if rest else NEWEST_PATCH
    # Docker Hub has 42.3.1 and 2.42.3.1 for new releases, only the latter for those before the end of 2023.
    tag, dump = release, f"2.{minor}.{patch}" if rest else release
    suffix = match["suffix"] or ""
    if suffix.startswith("rc"):
        # A candidate comes before its release, and so before the release's dump: its line's dump is migrated forward.
        tag, dump = f"{release}-{suffix}", f"2.{minor}"
    elif suffix:
        # Immutable tags are published in the form they are written in, with capital letters.
        tag = f"{match['numbers']}-{suffix.upper()}"
    return Version(text=tag, minor=minor, patch=patch, tag=tag, dump=dump)


def _numbers(text: str, dotted: str) -> tuple[int, ...]:
    """Return (minor, patch?, hotfix?) of a dotted text with or without the leading 2."""
    if any(len(part) > 1 and part.startswith("0") for part in dotted.split(".")):
        raise ReleaseError(text, "has a number with a leading zero")
    numbers = tuple(int(part) for part in dotted.split("."))
    if numbers[0] == 2:  # noqa: PLR2004 - DHIS2's own major version
        numbers = numbers[1:]
        if numbers and OLDEST[0] // 10 < numbers[0] < 10:  # noqa: PLR2004 - one digit
            reason = "is not a DHIS2 release line; without quotes, YAML reads 2.40 as the number 2.4"
            raise ReleaseError(text, reason, f"2.{numbers[0]}0")
    if not numbers or numbers[0] > 99:  # noqa: PLR2004 - DHIS2's lines have two digits
        raise ReleaseError(text, "is not a DHIS2 release line such as 42 or 2.42")
    if len(numbers) > 3:  # noqa: PLR2004 - line, patch, hotfix
        raise ReleaseError(text, "has more parts than line, patch and hotfix")
    if (*numbers, NEWEST_PATCH)[:2] < OLDEST:
        reason = f"is older than 2.{OLDEST[0]}.{OLDEST[1]}, the first release whose image runs without root and whose cores can keep each other's caches fresh"
        raise ReleaseError(text, reason, "2.38.5")
    return numbers
