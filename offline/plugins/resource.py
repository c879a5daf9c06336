"""What a provider's resource types answer; provider.py turns the Pulumi engine's requests into these calls."""

from collections.abc import Iterator
from typing import ClassVar

from offline.plugins.property_values import Properties
from offline.plugins.resource_schema import Schema


class ProviderError(Exception):
    """The operation failed and changes nothing in the state; the message is what the person sees."""


class InitError(Exception):
    """The operation failed, and the state takes these outputs with the message as `initErrors`."""

    def __init__(self, identifier: str, outputs: Properties, reason: str) -> None:
        super().__init__(reason)
        self.identifier = identifier
        self.outputs = outputs


class Resource:
    """One resource type; as it stands, one that exists in the state only. All methods may raise ProviderError."""

    schema: ClassVar[Schema]
    delete_before_replace: ClassVar[bool] = False

    def refused(self, news: Properties) -> Iterator[tuple[str, str]]:
        """Yield what the schema cannot say: for each combination of inputs that is refused its path and the reason."""
        yield from ()

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        """Create it and return its id and outputs; raises InitError when it exists and is incomplete."""
        raise NotImplementedError

    def read(self, identifier: str, olds: Properties) -> Properties | None:
        """Return its present outputs, None when it no longer exists. An `id` in them is another one that it has now."""
        return olds

    def update(self, identifier: str, olds: Properties, news: Properties) -> Properties | None:
        """Change it in place from the outputs `olds` to `news`, and return its outputs if they are not `news`.

        Raises InitError when the state takes `news` although it failed.
        """
        raise ProviderError("every input of this resource replaces it: it cannot be updated")

    def delete(self, identifier: str, olds: Properties) -> None:
        """Delete it; one that no longer exists is no error."""
