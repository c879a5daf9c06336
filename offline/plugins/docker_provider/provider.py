"""The fake docker provider's settings, resource types and process."""

import os
import sys
from importlib import metadata

from pulumi.runtime.proto import provider_pb2_grpc

from offline.plugins.docker_provider.configs import CONFIG, SECRET, Secret, ServiceConfig
from offline.plugins.docker_provider.connection import Connection
from offline.plugins.docker_provider.container import CONTAINER, Container
from offline.plugins.docker_provider.images import REMOTE_IMAGE, RemoteImage
from offline.plugins.docker_provider.networks import NETWORK, VOLUME, Network, Volume
from offline.plugins.docker_provider.service import SERVICE, Service
from offline.plugins.grpc_server import serve
from offline.plugins.property_values import UNKNOWN, Properties
from offline.plugins.provider import Provider
from offline.plugins.resource import Resource

SETTINGS = {"host", "sshOpts", "version"}  # Pulumi adds the version


class DockerProvider(Provider):
    """Uses one Docker Engine: that of `host`, else of DOCKER_HOST, else the one at the usual socket."""

    def __init__(self) -> None:
        self.connection = Connection()
        types = {
            CONTAINER: Container,
            NETWORK: Network,
            VOLUME: Volume,
            REMOTE_IMAGE: RemoteImage,
            SERVICE: Service,
            CONFIG: ServiceConfig,
            SECRET: Secret,
        }
        resources: dict[str, Resource] = {name: resource(self.connection) for name, resource in types.items()}
        super().__init__("docker", metadata.version("pulumi-docker"), resources)

    def check_settings(self, settings: Properties) -> tuple[Properties, list[str]]:
        unsupported = sorted(key for key, value in settings.items() if key not in SETTINGS and value is not None)
        refused = [f"The offline fake docker provider does not support the setting {key!r}" for key in unsupported]
        return {"host": default_host(), **settings}, refused

    def configure(self, settings: Properties) -> None:
        host = settings.get("host") or default_host()
        if host is not UNKNOWN:  # in a preview it may be
            self.connection.use(host)


def default_host() -> str:
    """Return the address in DOCKER_HOST, else that of the usual socket."""
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def main() -> int:
    """Serve until the Pulumi CLI ends."""
    return serve(provider_pb2_grpc.add_ResourceProviderServicer_to_server, DockerProvider())


if __name__ == "__main__":
    sys.exit(main())
