"""The ServiceConfig and Secret resources: files that a swarm keeps for its services. Any change replaces them."""

import base64
from collections.abc import Iterator
from typing import Any, ClassVar

from offline.plugins.docker_provider.connection import CONNECTION_ERRORS, Connection, docker_errors
from offline.plugins.docker_provider.images import SCHEMAS
from offline.plugins.docker_provider.networks import label_map
from offline.plugins.formats import decoded
from offline.plugins.property_values import Properties
from offline.plugins.resource import Resource

CONFIG, SECRET = "docker:index/serviceConfig:ServiceConfig", "docker:index/secret:Secret"
NO_DATA = '"{name}": one of `data,data_raw` must be specified'
TWO_DATA = '"{name}": only one of `data,data_raw` can be specified, but `data,data_raw` were specified.'
COMBINATION = "Invalid combination of arguments. {reason}"
DATA = {"data": "data", "dataRaw": "data_raw"}


class SwarmFile(Resource):
    """What both types share. One that a service uses cannot be deleted, and deleting one twice is an error."""

    # Asked for even where a new one has another name: a program has to order the opposite.
    delete_before_replace = True
    kind: ClassVar[str]

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        create = getattr(self.connection.api, f"create_{self.kind}")
        with docker_errors():
            identifier = str(create(inputs["name"], content(inputs), labels=label_map(inputs))["ID"])
        return identifier, {**(self.read(identifier, inputs) or {}), **inputs}

    def read(self, identifier: str, olds: Properties) -> Properties | None:
        """Return its present outputs; one that cannot be read for whatever reason no longer exists."""
        try:
            inspected = getattr(self.connection.api, f"inspect_{self.kind}")(identifier)
        except CONNECTION_ERRORS:
            return None
        return {**olds, "name": inspected["Spec"]["Name"], **self._outputs(inspected["Spec"], olds)}

    def delete(self, identifier: str, olds: Properties) -> None:
        with docker_errors():
            getattr(self.connection.api, f"remove_{self.kind}")(identifier)

    def _outputs(self, spec: dict[str, Any], olds: Properties) -> Properties:
        raise NotImplementedError


class ServiceConfig(SwarmFile):
    """A file that anyone who may use the swarm can read."""

    schema = SCHEMAS[CONFIG]
    kind = "config"

    def refused(self, news: Properties) -> Iterator[tuple[str, str]]:
        sent = [name for name in DATA if news.get(name) is not None]
        if len(sent) == 1:
            return
        reason = TWO_DATA if sent else NO_DATA
        for ours, theirs in DATA.items():
            yield ours, COMBINATION.format(reason=reason.format(name=theirs))

    def _outputs(self, spec: dict[str, Any], olds: Properties) -> Properties:
        data = spec.get("Data") or ""
        labels = sorted((spec.get("Labels") or {}).items())
        return {
            **({"dataRaw": base64.b64decode(data).decode()} if olds.get("dataRaw") else {"data": data}),
            "labels": [{"label": label, "value": value} for label, value in labels],
        }


class Secret(SwarmFile):
    """A file that only tasks can read: neither content nor labels are compared with the swarm's."""

    schema = SCHEMAS[SECRET]
    kind = "secret"

    def _outputs(self, spec: dict[str, Any], olds: Properties) -> Properties:
        return {}


def content(inputs: Properties) -> bytes:
    """Return the content of a file that a swarm is to keep."""
    return str(inputs["dataRaw"]).encode() if inputs.get("dataRaw") else decoded(inputs["data"])
