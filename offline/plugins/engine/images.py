"""Images: those the engine has are taken as they are, others are pulled. Nothing is built here."""

from pathlib import Path
from typing import Any

from docker.errors import APIError

from offline.plugins.engine.connection import Connection, is_missing, words
from offline.plugins.resources import PluginError
from offline.plugins.table import tables
from offline.plugins.wire import Properties

TABLES = tables(Path(__file__).with_name("properties.json"))
REMOTE_IMAGE = "docker:index/remoteImage:RemoteImage"


def find(connection: Connection, name: str, platform: str = "") -> dict[str, Any]:
    """Return an image's description, pulled when the engine does not have it; PluginError when it cannot be had."""
    if not name:
        raise PluginError("empty image name is not allowed")
    found = local(connection, name)
    if found is None:
        try:
            _pull(connection, name, platform)
        except APIError as error:
            reason = f"error pulling image {name}: {words(error)}"
            raise PluginError(f"unable to pull image {name}: {reason}") from error
        found = local(connection, name)
    if found is None:
        raise PluginError(f"unable to find or pull image {name}")
    return found


def local(connection: Connection, name: str) -> dict[str, Any] | None:
    """Return the description of an image the engine has, by name or id."""
    try:
        return dict(connection.api.inspect_image(name))
    except APIError as error:
        if is_missing(error):
            return None
        raise PluginError(f"unable to inspect image {name}: {words(error)}") from error


def repo_digest(name: str, image: dict[str, Any]) -> str:
    """Return the registry's digest of an image that was pulled by this name, else its only one, else nothing."""
    repository = name.partition("@")[0]
    repository = repository.rsplit(":", 1)[0] if ":" in repository.rsplit("/", 1)[-1] else repository
    digests = [str(digest) for digest in image.get("RepoDigests") or []]
    return next((digest for digest in digests if digest.partition("@")[0] == repository), digests[0] if digests else "")


class RemoteImage:
    """An image that is present on the engine."""

    table = TABLES[REMOTE_IMAGE]
    always_delete_first = False

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def validate(self, inputs: Properties) -> list[str]:
        return []

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        image = self._found(inputs)
        return str(image["Id"]) + inputs["name"], self._outputs(inputs, image)

    def read(self, identifier: str, olds: Properties) -> Properties | None:
        name = olds.get("name") or identifier.partition("sha256:")[2][64:]
        image = local(self.connection, name)
        return None if image is None else self._outputs({**olds, "name": name}, image)

    def update(self, identifier: str, olds: Properties, news: Properties) -> Properties:
        return self._outputs(news, self._found(news))

    def delete(self, identifier: str, olds: Properties) -> None:
        if olds.get("keepLocally") or local(self.connection, olds["name"]) is None:
            return
        try:
            self.connection.api.remove_image(olds["name"], force=bool(olds.get("forceRemove")))
        except APIError as error:
            raise PluginError(f"Unable to remove Docker image: {words(error)}") from error

    def _found(self, inputs: Properties) -> dict[str, Any]:
        try:
            return find(self.connection, inputs["name"], inputs.get("platform") or "")
        except PluginError as error:
            raise PluginError(f"Unable to read Docker image into resource: {error}") from error

    def _outputs(self, inputs: Properties, image: dict[str, Any]) -> Properties:
        return {**inputs, "imageId": image["Id"], "repoDigest": repo_digest(inputs["name"], image)}


def _pull(connection: Connection, name: str, platform: str) -> None:
    repository, tag = name, None
    if "@" not in name:
        head, _, last = name.rpartition("/")
        short, _, tag = last.partition(":")
        repository = f"{head}/{short}" if head else short
    for line in connection.api.pull(repository, tag=tag or None, stream=True, decode=True, platform=platform or None):
        if line.get("error"):
            raise PluginError(f"unable to pull image {name}: {line['error']}")
