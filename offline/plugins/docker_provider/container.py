"""The Container resource: created, started, read, changed in place where Docker Engine can, deleted."""

import io
import tarfile
import time
from collections.abc import Sequence

from docker.errors import APIError, ImageNotFound, NotFound

from offline.plugins.docker_provider import container_config, container_state
from offline.plugins.docker_provider.connection import CONNECTION_ERRORS, Connection, docker_errors, message
from offline.plugins.docker_provider.images import SCHEMAS
from offline.plugins.property_values import Properties
from offline.plugins.resource import InitError, ProviderError, Resource

CONTAINER = "docker:index/container:Container"
# When one of these changes, Docker Engine is asked to update the container; all others change only in the state.
APPLIED = ("memory", "memorySwap", "restart")


class Container(Resource):
    """A container. Two cannot have one name, so the old one is deleted first when it is replaced."""

    schema = SCHEMAS[CONTAINER]
    delete_before_replace = True

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        try:
            body = container_config.create_body(inputs)
            identifier = str(self.connection.api.create_container_from_config(body, inputs["name"])["Id"])
        except ImageNotFound as error:
            raise ProviderError(f"Unable to create container with image {inputs['image']}: {message(error)}") from error
        except APIError as error:
            raise ProviderError(f"Unable to create container: {message(error)}") from error
        # From here on it exists: an error leaves it in the state, without the computed outputs.
        try:
            self._connect(identifier, inputs.get("networksAdvanced") or [])
            if uploads := inputs.get("uploads"):
                with docker_errors("Unable to upload volume content"):
                    self.connection.api.put_archive(identifier, "/", archive_of(uploads))
            with docker_errors("Unable to start container"):
                self.connection.api.start(identifier)
            outputs = self.read(identifier, inputs)
        except (ProviderError, *CONNECTION_ERRORS) as error:
            raise InitError(identifier, inputs, message(error)) from error
        # Recorded as written: differences to Docker's form and values show after a refresh.
        written = {key: value for key, value in inputs.items() if isinstance(value, list | dict)}
        return identifier, {**(outputs or inputs), **written, "memorySwap": inputs.get("memorySwap")}

    def read(self, identifier: str, olds: Properties) -> Properties | None:
        inspected = self.connection.inspect("container", identifier)
        return None if inspected is None else container_state.outputs(inspected, olds)

    def update(self, identifier: str, olds: Properties, news: Properties) -> None:
        api = self.connection.api
        try:
            if news["mustRun"] and not olds.get("mustRun", True):
                with docker_errors("Unable to start container"):
                    api.start(identifier)
            if any(olds.get(name) != news.get(name) for name in APPLIED):
                with docker_errors("Unable to update a container"):
                    url = api._url("/containers/{0}/update", identifier)
                    api._result(api._post_json(url, data=container_config.resources(news)), True)
        except ProviderError as error:
            # The real plugin leaves the new values in the state: the next update has nothing to apply, and succeeds.
            raise InitError(identifier, news, str(error)) from error

    def delete(self, identifier: str, olds: Properties) -> None:
        with docker_errors(f"Error deleting container {identifier}"):
            try:
                self.connection.api.stop(identifier, timeout=max(olds.get("destroyGraceSeconds") or 0, 0))
                self.connection.api.remove_container(identifier, v=True, force=True)
            except NotFound:
                return

    def _connect(self, identifier: str, networks: list[Properties]) -> None:
        if networks:
            with docker_errors("Unable to disconnect the default network"):
                self.connection.api.disconnect_container_from_network(identifier, "bridge")
        for network in networks:
            with docker_errors(f"Unable to connect to network '{network['name']}'"):
                self.connection.api.connect_container_to_network(
                    identifier, network["name"], aliases=network.get("aliases")
                )


def archive_of(uploads: Sequence[Properties]) -> bytes:
    """Return a tar archive of files of root's, to be unpacked at /.

    The real plugin sends one archive for each file. Docker Engine starts a process for each archive.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for upload in uploads:
            data, member = upload["content"].encode(), tarfile.TarInfo(upload["file"])
            member.size, member.mode, member.mtime = len(data), int(upload["permissions"], 8), int(time.time())
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
