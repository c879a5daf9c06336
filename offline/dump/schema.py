"""The tables of the sample dump, read from tables.txt."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DEFINITIONS = Path(__file__).with_name("tables.txt")
OBJECT_COLUMNS = (
    "uid varchar(11)!; code varchar(50); created timestamp!; lastupdated timestamp!; lastupdatedby bigint -> userinfo"
)
COLUMN = re.compile(
    r"(?P<name>\w+) (?P<type>.+?)(?P<required>!)?"
    r"( default (?P<default>.+?))?( generated (?P<generated>.+?))?( -> (?P<target>\w+))?"
)
# pg_dump writes types out in full.
FULL_TYPE = {"varchar": "character varying", "timestamp": "timestamp without time zone"}


@dataclass(frozen=True)
class Column:
    """One column; `generated` is the expression of a stored generated column, which COPY leaves out."""

    name: str
    type: str
    required: bool
    default: str | None
    generated: str | None
    target: str | None

    @property
    def sql(self) -> str:
        """The column as it stands in CREATE TABLE."""
        parts = [self.name, self.type]
        if self.default is not None:
            parts.append(f"DEFAULT {self.default}")
        if self.generated is not None:
            parts.append(f"GENERATED ALWAYS AS {self.generated} STORED")
        return " ".join([*parts, "NOT NULL"] if self.required else parts)


@dataclass(frozen=True)
class Table:
    """One table with its key, unique keys (tuples of columns) and indexes (method and column list)."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    uniques: tuple[tuple[str, ...], ...]
    indexes: tuple[tuple[str, str], ...]

    @property
    def copied(self) -> tuple[Column, ...]:
        """The columns a COPY block carries."""
        return tuple(column for column in self.columns if column.generated is None)


@cache
def tables() -> dict[str, Table]:
    """Return every table by name, in alphabetical order as pg_dump writes them."""
    blocks = re.split(r"^table ", DEFINITIONS.read_text(), flags=re.MULTILINE)[1:]
    read = [table(block) for block in blocks]
    return {one.name: one for one in sorted(read, key=lambda one: one.name)}


def table(block: str) -> Table:
    """Read one block of tables.txt, without its leading word `table`."""
    head, *lines = [line.strip() for line in block.splitlines() if line.strip()]
    name, *key = head.split()
    columns: list[Column] = []
    uniques = []
    indexes = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "unique":
            uniques.append(tuple(rest.split()))
        elif word == "index":
            method, _, expression = rest.partition(" ")
            indexes.append((method, expression))
        else:
            columns += [column(text) for text in line.replace("@object", OBJECT_COLUMNS).split("; ")]
    if "@object" in block:
        uniques.insert(0, ("uid",))
    return Table(name, tuple(columns), tuple(key), tuple(uniques), tuple(indexes))


def column(text: str) -> Column:
    """Read one column; raises ValueError on a text that is none."""
    found = COLUMN.fullmatch(text)
    if not found:
        raise ValueError(f"{DEFINITIONS.name}: not a column: '{text}'")
    short, bracket, rest = found["type"].partition("(")
    return Column(
        found["name"],
        FULL_TYPE.get(short, short) + bracket + rest,
        found["required"] is not None,
        found["default"],
        found["generated"],
        found["target"],
    )
