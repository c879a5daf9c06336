"""The random plugin's stand-in: RandomPassword and RandomId."""

import sys
from importlib import metadata
from pathlib import Path

from pulumi.runtime.proto import provider_pb2_grpc

from offline.plugins.provider import Provider
from offline.plugins.randomness import generators
from offline.plugins.resources import PluginError
from offline.plugins.serving import serve
from offline.plugins.table import Table, tables
from offline.plugins.wire import Properties, has_unknown

TABLES = tables(Path(__file__).with_name("properties.json"))
PASSWORD, IDENTIFIER = "random:index/randomPassword:RandomPassword", "random:index/randomId:RandomId"


class Generated:
    """What both types share: it lives in the state only, and every change of its settings makes another."""

    table: Table
    always_delete_first = False

    def validate(self, inputs: Properties) -> list[str]:
        return []

    def read(self, identifier: str, olds: Properties) -> Properties | None:
        return olds

    def update(self, identifier: str, olds: Properties, news: Properties) -> Properties:
        raise PluginError("random values are replaced, never updated")

    def delete(self, identifier: str, olds: Properties) -> None:
        return None


class RandomPassword(Generated):
    """A password; its identifier says nothing of it."""

    table = TABLES[PASSWORD]

    def validate(self, inputs: Properties) -> list[str]:
        return [] if has_unknown(inputs) else generators.wrong(inputs)

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        result = generators.password(inputs)
        return "none", {**inputs, "result": result, "bcryptHash": generators.bcrypt_hash(result)}


class RandomId(Generated):
    """Random bytes in several writings."""

    table = TABLES[IDENTIFIER]

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        written = generators.identifier(inputs["byteLength"], inputs.get("prefix") or "")
        return str(written.pop("id")), {**inputs, **written}


def main() -> int:
    """Serve until the engine ends."""
    version = metadata.version("pulumi-random")
    provider = Provider("random", version, {PASSWORD: RandomPassword(), IDENTIFIER: RandomId()})
    return serve(lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server))


if __name__ == "__main__":
    sys.exit(main())
