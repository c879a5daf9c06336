"""The docker plugin's stand-in: its settings, its resource types, its process."""

import os
import sys
from importlib import metadata

from pulumi.runtime.proto import provider_pb2_grpc

from offline.plugins.engine.connection import Connection, default_host
from offline.plugins.engine.container import CONTAINER, Container
from offline.plugins.engine.images import REMOTE_IMAGE, RemoteImage
from offline.plugins.engine.networks import NETWORK, VOLUME, Network, Volume
from offline.plugins.provider import Provider
from offline.plugins.resources import Resource
from offline.plugins.serving import serve
from offline.plugins.wire import Properties, has_unknown

TAKEN = {"host", "sshOpts", "disableDockerDaemonCheck", "version", "pluginDownloadURL", "pluginChecksums"}


class DockerProvider(Provider):
    """Drives one Docker Engine: that of `host`, else of DOCKER_HOST, else the one at the usual socket."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        resources: dict[str, Resource] = {
            CONTAINER: Container(connection),
            NETWORK: Network(connection),
            VOLUME: Volume(connection),
            REMOTE_IMAGE: RemoteImage(connection),
        }
        super().__init__("docker", metadata.version("pulumi-docker"), resources)

    def settings(self, given: Properties) -> tuple[Properties, list[str]]:
        foreign = sorted(key for key, value in given.items() if key not in TAKEN and value is not None)
        wrong = [f"the offline stand-in of the docker plugin does not support the setting {key!r}" for key in foreign]
        return {"host": default_host(os.environ), **given}, wrong

    def configure(self, settings: Properties) -> None:
        host = settings.get("host") or default_host(os.environ)
        if not has_unknown(host):  # in a preview it may be
            self.connection.use(host)


def main() -> int:
    """Serve until the engine ends."""
    provider = DockerProvider(Connection())
    return serve(lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server))


if __name__ == "__main__":
    sys.exit(main())
