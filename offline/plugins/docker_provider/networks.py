"""The Network and Volume resources: nothing of them changes in place."""

import time
from typing import ClassVar

from docker.errors import APIError, NotFound

from offline.plugins.docker_provider.connection import Connection, docker_errors, message
from offline.plugins.docker_provider.images import SCHEMAS
from offline.plugins.property_values import Properties
from offline.plugins.resource import ProviderError, Resource

NETWORK, VOLUME = "docker:index/network:Network", "docker:index/volume:Volume"
REMOVE_SECONDS = 30  # as long as the real plugin waits for containers that still use it
RETRY_SECONDS = 1.0


class Labelled(Resource):
    """What both types share: labels, and a fixed name, for which the old one is deleted before it is replaced."""

    delete_before_replace = True
    kind: ClassVar[str]
    # What Docker Engine answers while containers use it, and the state that the real plugin names then.
    busy: ClassVar[tuple[str, str]]

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def read(self, identifier: str, olds: Properties) -> Properties | None:
        """Return its present outputs, None when it no longer exists."""
        inspected = self.connection.inspect(self.kind, identifier)
        if inspected is None:
            return None
        labels = sorted((inspected.get("Labels") or {}).items())
        return {
            **olds,
            **self._outputs(inspected),
            "name": inspected["Name"],
            "labels": [{"label": label, "value": value} for label, value in labels],
            "driver": inspected["Driver"],
        }

    def delete(self, identifier: str, olds: Properties) -> None:
        """Remove it; the real plugin waits for containers that use it, and names none of them in its error."""
        answer, state = self.busy
        end = time.monotonic() + REMOVE_SECONDS
        while True:
            try:
                getattr(self.connection.api, f"remove_{self.kind}")(identifier)
                return
            except NotFound:
                return
            except APIError as error:
                if answer not in str(error.explanation):
                    raise ProviderError(message(error)) from error
                if time.monotonic() > end:
                    limit = f"(last state: '{state}', timeout: {REMOVE_SECONDS}s)"
                    raise ProviderError(f"timeout while waiting for state to become 'removed' {limit}") from error
            time.sleep(RETRY_SECONDS)

    def _outputs(self, inspected: Properties) -> Properties:
        raise NotImplementedError


class Network(Labelled):
    """A network, identified by its id."""

    schema = SCHEMAS[NETWORK]
    kind, busy = "network", ("has active endpoints", "pending")

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        with docker_errors("Unable to create network"):
            identifier = self.connection.api.create_network(
                inputs["name"],
                driver=inputs.get("driver"),
                attachable=bool(inputs.get("attachable")),
                internal=bool(inputs.get("internal")),
                labels=label_map(inputs),
                options=inputs.get("options"),
                check_duplicate=True,
            )["Id"]
        return identifier, {**(self.read(identifier, inputs) or {}), **inputs}

    def _outputs(self, inspected: Properties) -> Properties:
        return {
            # With what Docker Engine adds: after a refresh, options of an overlay network replace it.
            "attachable": bool(inspected.get("Attachable")),
            "internal": inspected["Internal"],
            # An overlay network has none until the swarm has allocated it.
            "ipamConfigs": [{"subnet": pool["Subnet"]} for pool in inspected["IPAM"]["Config"] or []],
            "options": inspected.get("Options") or {},
            "scope": inspected["Scope"],
        }


class Volume(Labelled):
    """A volume, identified by its name: creating one that exists adopts it."""

    schema = SCHEMAS[VOLUME]
    kind, busy = "volume", ("volume is in use", "in_use")

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        with docker_errors("Unable to create volume"):
            name = self.connection.api.create_volume(
                inputs["name"], labels=label_map(inputs), driver_opts=inputs.get("driverOpts")
            )["Name"]
        return name, {**(self.read(name, inputs) or {}), **inputs}

    def _outputs(self, inspected: Properties) -> Properties:
        return {"mountpoint": inspected["Mountpoint"]}


def label_map(inputs: Properties) -> dict[str, str]:
    """Return the labels of an object's inputs as Docker Engine takes them."""
    return {label["label"]: label["value"] for label in inputs.get("labels") or []}
