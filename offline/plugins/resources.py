"""What a plugin's resource types have to answer; provider.py turns the engine's calls into these."""

from typing import Protocol

from offline.plugins.table import Table
from offline.plugins.wire import Properties


class PluginError(Exception):
    """The operation failed and nothing of it is to be kept; the message is what the person sees."""


class InitError(Exception):
    """The resource exists but is not what it should be; the engine keeps it, with these reasons, and replaces it."""

    def __init__(self, identifier: str, outputs: Properties, reason: str) -> None:
        super().__init__(reason)
        self.identifier = identifier
        self.outputs = outputs
        self.reason = reason


class Resource(Protocol):
    """One resource type. All methods may raise PluginError."""

    table: Table
    always_delete_first: bool

    def validate(self, inputs: Properties) -> list[str]:
        """Return what is wrong with complete inputs beyond single properties."""
        ...

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        """Make it and return its identifier and outputs; InitError when it was made and is not right."""
        ...

    def read(self, identifier: str, olds: Properties) -> Properties | None:
        """Return the outputs as they are now, None when it is gone."""
        ...

    def update(self, identifier: str, olds: Properties, news: Properties) -> Properties:
        """Change it in place and return its outputs."""
        ...

    def delete(self, identifier: str, olds: Properties) -> None:
        """Remove it; one that is gone already is no error."""
        ...
