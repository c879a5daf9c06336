"""A client of the database that commits rows, and knows which of them were acknowledged."""

import threading
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Self

from docker.errors import DockerException
from docker.models.containers import Container
from requests.exceptions import RequestException

from tests.support.commands import execute
from tests.swarm.stacks import PSQL, SwarmStack

BATCH = 50  # rows, each in a transaction of its own


class Writer(AbstractContextManager["Writer"]):
    """Inserts numbers into a table while the context is open, wherever the primary runs; `committed` are in it.

    A number is in `committed` once the server has said so; of one that is not, nothing is known.
    """

    def __init__(self, stack: SwarmStack, table: str) -> None:
        """Create the table."""
        self._stack, self._table = stack, table
        self._stop, self._thread = threading.Event(), threading.Thread(target=self._write, daemon=True)
        self.committed: set[int] = set()
        stack.sql(f"CREATE TABLE {table} (n int PRIMARY KEY)")

    def __enter__(self) -> Self:
        """Begin to write."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write no more."""
        self._stop.set()
        self._thread.join()

    def rows(self, part: str = "primary") -> set[int]:
        """Return the numbers that a database has."""
        return {int(line) for line in self._stack.sql(f"SELECT n FROM {self._table}", part).splitlines()}  # noqa: S608 - of tests

    def _write(self) -> None:
        number = 0
        while not self._stop.wait(0.05):
            # Its node may be off, or the container has ended.
            with suppress(DockerException, RequestException):
                for listed in self._stack.containers("primary").values():
                    number += BATCH
                    self._insert(listed[0], range(number - BATCH, number))

    def _insert(self, primary: Container, rows: range) -> None:
        statements = (f"INSERT INTO {self._table} VALUES ({row}) RETURNING n" for row in rows)  # noqa: S608 - of tests
        _, output = execute(primary, *PSQL, *(option for statement in statements for option in ("-c", statement)))
        self.committed |= {int(line) for line in output.splitlines() if line.isdigit()}
