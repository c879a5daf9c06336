"""Settings that are numbers: integers, memory sizes and durations, with their bounds and the forms of their text."""

import re
from dataclasses import dataclass
from typing import ClassVar, LiteralString

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from components.settings.validators import invalid

MOST_MB = 2**20

_BYTES = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30}


@dataclass(frozen=True)
class Integer:
    """An integer from `low` to `high`, as a number or as text, which is what `pulumi config set` stores.

    `why_low` and `why_high` are why a bound is where it is, for the error of a value beyond it.
    """

    low: int
    high: int
    why_low: str = ""
    why_high: str = ""

    message: ClassVar[LiteralString] = "is not an integer from {low} to {high}{why}"
    pattern: ClassVar[str] = "[0-9]{1,18}"
    values: ClassVar[str] = "{0.low} to {0.high}"

    def from_text(self, match: re.Match[str]) -> int | None:
        """Return the number of a text that matches the pattern; None where it is not whole."""
        return int(match[0])

    def validate(self, value: object) -> int:
        """Return the number, or raise when it is none or out of bounds."""
        number = value if isinstance(value, int) and not isinstance(value, bool) else None
        if isinstance(value, str) and (match := re.fullmatch(self.pattern, value.strip())):
            number = self.from_text(match)
        if number is not None and self.low <= number <= self.high:
            return number
        reason = "" if number is None else self.why_low if number < self.low else self.why_high
        raise invalid(self.message, low=self.low, high=self.high, why=f" ({reason})" if reason else "")

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        number = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return {"anyOf": [number, {"type": "string", "pattern": f"^({self.pattern})$"}]}


class Memory(Integer):
    """A memory size in MB, as a number of MB or with a unit as in Docker: `3g`, `512m`, `512MB`."""

    message = "is not a memory size from {low} to {high} MB, such as 3072, 3072m or 3g{why}"
    pattern = "([0-9]{1,18}) ?(?:([kKmMgG])[iI]?[bB]?|([bB]))?"
    values = "{0.low} to {0.high} MB"

    def from_text(self, match: re.Match[str]) -> int | None:
        """Return MB; None where the size is not a whole number of MB."""
        unit = (match[2] or match[3] or "m").lower()
        size_mb, rest = divmod(int(match[1]) * _BYTES[unit], 2**20)
        return None if rest else size_mb


class DiskSize(Memory):
    """A size on a disk in MB, in the forms of a memory size."""

    message = "is not a size from {low} to {high} MB, such as 20480, 20480m or 20g{why}"


class Duration(Integer):
    """A duration in seconds, as a number of seconds or with units as in Compose: `900s`, `15m`, `1h30m`."""

    message = "is not a duration from {low} to {high} seconds, such as 900, 900s or 15m{why}"
    pattern = "([0-9]{1,18})|(?=[0-9])(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?"
    values = "{0.low} to {0.high} seconds"

    def from_text(self, match: re.Match[str]) -> int:
        """Return seconds."""
        return sum(int(number or 0) * unit for number, unit in zip(match.groups(), (1, 3600, 60, 1), strict=True))
