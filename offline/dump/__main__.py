"""Command: python -m offline.dump [--rows N] [--scale F] [--clean] [--owner ROLE] OUT.sql.gz."""

import argparse
import gzip
import io
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from offline.dump.sample import ROWS, TRACKED, Size, sample
from offline.dump.writer import Style
from offline.images.machine import unfinished

FOREIGN_OWNER = "dhis_elsewhere"
LEVEL = 4  # half the time of gzip's default, a tenth larger
BUFFER_BYTES = 1 << 20


def main(arguments: list[str] | None = None) -> int:
    """Generate the sample dump; the same options always give the same bytes."""
    parser = argparse.ArgumentParser(prog="python -m offline.dump", description=main.__doc__)
    parser.add_argument("out", type=Path, metavar="OUT.sql.gz", help="file to write; .sql is written uncompressed")
    parser.add_argument("--rows", type=int, help=f"data values (default {ROWS:,} times the scale)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="multiplies the defaults; 16 is about 1 GB in a database"
    )
    parser.add_argument("--clean", action="store_true", help="drop first, without IF EXISTS, and name unknown roles")
    parser.add_argument("--owner", help=f"role for OWNER and GRANT lines (default none; with --clean {FOREIGN_OWNER})")
    chosen = parser.parse_args(arguments)
    size = Size(round(ROWS * chosen.scale) if chosen.rows is None else chosen.rows, round(TRACKED * chosen.scale))
    if size.rows < 0 or size.tracked < 0:
        parser.error("--rows and --scale must not be negative")
    style = Style(owner=chosen.owner or (FOREIGN_OWNER if chosen.clean else None), clean=chosen.clean)
    started = time.monotonic()
    write(chosen.out, sample(size, style))
    megabytes = chosen.out.stat().st_size / 1e6
    print(f"{chosen.out}: {size.rows:,} data values, {megabytes:.1f} MB, {time.monotonic() - started:.1f} s")
    return 0


def write(out: Path, text: Iterable[str]) -> None:
    """Write text to a file that appears only when it is whole; gzip'd unless its name ends in .sql."""
    with unfinished(out) as part, part.open("wb") as raw:
        if out.suffix == ".sql":
            raw.writelines(chunk.encode() for chunk in text)
            return
        # Neither name nor time go into the header, or no two dumps would be alike.
        packed = gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=LEVEL, mtime=0)
        with packed, io.BufferedWriter(packed, buffer_size=BUFFER_BYTES) as buffered:
            buffered.writelines(chunk.encode() for chunk in text)


if __name__ == "__main__":
    sys.exit(main())
