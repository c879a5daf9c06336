"""The RemoteImage resource: an image that Docker Engine has is taken as it is, another one is pulled."""

from pathlib import Path
from typing import Any

from offline.plugins.docker_provider.connection import Connection, docker_errors
from offline.plugins.property_values import Properties
from offline.plugins.resource import ProviderError, Resource
from offline.plugins.resource_schema import schemas

SCHEMAS = schemas(Path(__file__).with_name("schema.json"))
REMOTE_IMAGE = "docker:index/remoteImage:RemoteImage"


class RemoteImage(Resource):
    """An image on Docker Engine. The new one is pulled first, and the old one stays there, as `keepLocally` asks."""

    schema = SCHEMAS[REMOTE_IMAGE]

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        name = inputs["name"]
        image = self.connection.inspect("image", name) or self._pull(name)
        return str(image["Id"]) + name, _outputs(inputs, image)

    def read(self, identifier: str, olds: Properties) -> Properties | None:
        image = self.connection.inspect("image", olds["name"])
        return None if image is None else _outputs(olds, image)

    def _pull(self, name: str) -> dict[str, Any]:
        # Without a tag Docker Engine would pull every tag of the repository.
        tagged = "@" in name or ":" in name.rsplit("/", 1)[-1]
        with docker_errors(f"unable to pull image {name}"):
            for line in self.connection.api.pull(name if tagged else f"{name}:latest", stream=True, decode=True):
                if line.get("error"):
                    raise ProviderError(f"unable to pull image {name}: {line['error']}")
        image = self.connection.inspect("image", name)
        if image is None:
            raise ProviderError(f"unable to find or pull image {name}")
        return image


def _outputs(inputs: Properties, image: dict[str, Any]) -> Properties:
    return {**inputs, "imageId": image["Id"], "repoDigest": next(iter(image.get("RepoDigests") or []), "")}
