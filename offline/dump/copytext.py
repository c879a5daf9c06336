"""PostgreSQL's COPY text format, and the values that need more than str()."""

import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from offline.dump.schema import Table

Row = dict[str, Any]  # column name -> value, see field()
SRID_WGS84 = 4326
HAS_SRID = 0x20000000
POINT = 1
POLYGON = 3
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def field(value: object) -> str:
    r"""Return one value as COPY writes it: \N for None, t or f, JSON for dict and list, text escaped."""
    if value is None:
        return r"\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, dict | list):
        value = json.dumps(value)
    return str(value).translate(ESCAPES)


def lines(table: Table, rows: Iterable[Row]) -> Iterator[str]:
    """Yield the rows of a table as COPY lines; a column a row leaves out is NULL.

    Raises ValueError for a column the table has not, or a NULL where none may be.
    """
    names = [column.name for column in table.copied]
    required = [column.name for column in table.copied if column.required]
    for row in rows:
        invalid = [name for name in row if name not in names] + [name for name in required if row.get(name) is None]
        if invalid:
            raise ValueError(f"{table.name}: no such column, or required and missing: {', '.join(invalid)}")
        yield "\t".join([field(row.get(name)) for name in names]) + "\n"


def point(longitude: float, latitude: float) -> str:
    """Return a WGS 84 point as hexadecimal EWKB, the form in which a dump carries PostGIS values."""
    return struct.pack("<BIIdd", 1, POINT | HAS_SRID, SRID_WGS84, longitude, latitude).hex().upper()


def polygon(ring: Sequence[tuple[float, float]]) -> str:
    """Return a WGS 84 polygon of one closed ring of (longitude, latitude) as hexadecimal EWKB."""
    head = struct.pack("<BIIII", 1, POLYGON | HAS_SRID, SRID_WGS84, 1, len(ring))
    return (head + b"".join(struct.pack("<dd", *corner) for corner in ring)).hex().upper()
