"""The one place that knows the grpc library, which brings no types of its own."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, NoReturn, Protocol

import grpc  # type: ignore[import-untyped]

UNKNOWN_CODE: Any = grpc.StatusCode.UNKNOWN  # what Pulumi's plugins answer for everything that fails
UNIMPLEMENTED_CODE: Any = grpc.StatusCode.UNIMPLEMENTED


class Context(Protocol):
    """What a method can do with the call it answers."""

    def abort(self, code: Any, details: str) -> NoReturn:  # noqa: ANN401 - grpc's own enumeration
        """End the call with an error."""
        ...

    def set_trailing_metadata(self, trailing_metadata: Sequence[tuple[str, bytes]]) -> None:
        """Add details to the answer, also to an error."""
        ...

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Have a function called when the call has ended, however it did."""
        ...


class Server(Protocol):
    """A server that methods can be added to."""

    def add_insecure_port(self, address: str) -> int:
        """Listen at an address and return the port."""
        ...

    def start(self) -> None:
        """Answer from now on."""
        ...

    def stop(self, grace: float | None) -> object:
        """Answer no more."""
        ...


def server(threads: Executor, options: Sequence[tuple[str, int]]) -> Server:
    """Return a server that runs its methods on `threads`."""
    made: Server = grpc.server(threads, options=options)
    return made
