"""The fake docker provider's configs and secrets, and its overlay networks."""

import base64
import inspect
from typing import Any

import pulumi_docker
import pytest
from docker.errors import APIError, NotFound
from google.protobuf import json_format
from pulumi.runtime.proto import provider_pb2

from offline.plugins.check import check
from offline.plugins.diff import diff
from offline.plugins.docker_provider import configs
from offline.plugins.docker_provider.configs import CONFIG, SECRET, Secret, ServiceConfig, SwarmFile
from offline.plugins.docker_provider.connection import Connection
from offline.plugins.docker_provider.images import SCHEMAS
from offline.plugins.docker_provider.networks import Network
from offline.plugins.property_values import to_struct
from offline.plugins.provider import Provider
from offline.plugins.resource import ProviderError

DATA = base64.b64encode("zwölf\n".encode()).decode()
LABELS = [{"label": "a", "value": "b"}]
IN_USE = "rpc error: code = InvalidArgument desc = config 'x' is in use by the following service: y"


class Files:
    """A swarm's configs and secrets."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}
        self.busy = False

    def create_config(self, name: str, data: bytes, labels: dict[str, str]) -> dict[str, str]:
        self.made["1"] = {"Name": name, "Data": base64.b64encode(data).decode(), "Labels": labels}
        return {"ID": "1"}

    create_secret = create_config

    def inspect_config(self, identifier: str) -> dict[str, Any]:
        if identifier not in self.made:
            raise NotFound("", explanation=f"config {identifier} not found")
        return {"ID": identifier, "Spec": self.made[identifier]}

    def inspect_secret(self, identifier: str) -> dict[str, Any]:
        return {
            "Spec": {name: value for name, value in self.inspect_config(identifier)["Spec"].items() if name != "Data"}
        }

    def remove_config(self, identifier: str) -> None:
        self.inspect_config(identifier)
        if self.busy:
            raise APIError("", explanation=IN_USE)
        del self.made[identifier]

    remove_secret = remove_config


def of(kind: type[SwarmFile], swarm: Files) -> SwarmFile:
    connection = Connection()
    connection.api = swarm
    return kind(connection)


@pytest.mark.parametrize("kind", [ServiceConfig, Secret])
def test_a_file_is_created_read_and_deleted(kind: type[SwarmFile]) -> None:
    swarm, inputs = Files(), {"name": "x", "data": DATA, "labels": LABELS}
    identifier, outputs = of(kind, swarm).create(inputs)
    assert swarm.made["1"] == {"Name": "x", "Data": DATA, "Labels": {"a": "b"}}
    assert (identifier, outputs) == ("1", inputs)
    present = of(kind, swarm).read("1", outputs)
    assert present is not None
    assert not diff(kind.schema, present, inputs, (), True).diffs
    of(kind, swarm).delete("1", outputs)
    assert of(kind, swarm).read("1", outputs) is None, "a refresh forgets it"
    with pytest.raises(ProviderError, match="Error response from daemon: config 1 not found"):
        of(kind, swarm).delete("1", outputs)


def test_a_config_can_be_written_as_text() -> None:
    swarm, inputs = Files(), {"name": "x", "dataRaw": "zwölf\n"}
    outputs = of(ServiceConfig, swarm).create(inputs)[1]
    assert swarm.made["1"]["Data"] == DATA
    present = of(ServiceConfig, swarm).read("1", outputs) or {}
    assert (present["dataRaw"], "data" in present) == ("zwölf\n", False)


def test_a_change_by_hand_is_seen_of_a_config_and_not_of_a_secret() -> None:
    swarm, inputs = Files(), {"name": "x", "data": DATA, "labels": LABELS}
    of(ServiceConfig, swarm).create(inputs)
    swarm.made["1"] |= {"Labels": {}, "Data": "bmV3"}
    config, secret = of(ServiceConfig, swarm).read("1", inputs) or {}, of(Secret, swarm).read("1", inputs) or {}
    assert (config["labels"], config["data"]) == ([], "bmV3")
    assert (secret["labels"], secret["data"]) == (LABELS, DATA)


def test_one_in_use_cannot_be_deleted() -> None:
    swarm = Files()
    of(ServiceConfig, swarm).create({"name": "x", "data": DATA})
    swarm.busy = True
    with pytest.raises(ProviderError) as raised:
        of(ServiceConfig, swarm).delete("1", {})
    assert str(raised.value) == f"Error response from daemon: {IN_USE}"


@pytest.mark.parametrize(("kind", "resource"), [(CONFIG, ServiceConfig), (SECRET, Secret)])
def test_every_change_replaces_and_asks_to_delete_first(kind: str, resource: type[SwarmFile]) -> None:
    old = {"name": "x", "data": DATA}
    for changed in ({"name": "y"}, {"data": "bmV3"}, {"labels": LABELS}):
        response = diff(SCHEMAS[kind], old, {**old, **changed}, (), resource.delete_before_replace)
        assert (list(response.replaces), response.deleteBeforeReplace) == (list(changed), True)


@pytest.mark.parametrize(
    ("news", "reasons"),
    [
        ({"data": DATA}, []),
        ({"dataRaw": "a"}, []),
        ({}, ["data", "dataRaw"]),
        ({"data": DATA, "dataRaw": "a"}, ["data", "dataRaw"]),
    ],
)
def test_a_config_has_its_content_in_one_form(news: dict[str, str], reasons: list[str]) -> None:
    refused = list(ServiceConfig(Connection()).refused({"name": "x", **news}))
    assert [path for path, _ in refused] == reasons
    assert all("`data,data_raw`" in reason for _, reason in refused)


def test_what_is_not_base64_is_refused_and_a_secret_is_not_shown() -> None:
    _, refused = check(SCHEMAS[CONFIG], "own", {"name": "x", "data": "zwölf"})
    assert refused == ["'zwölf' is not base64 decodeable. Examine values at 'own.data'."]
    _, refused = check(SCHEMAS[SECRET], "own", {"name": "x", "data": "zwölf"})
    assert refused == ["'[secret]' is not base64 decodeable. Examine values at 'own.data'."]
    assert configs.content({"data": "YQ=\n="}) == b"a", "line ends are skipped"


def test_a_secrets_content_is_secret_in_everything_that_is_answered() -> None:
    swarm = Files()
    provider = Provider("docker", "5", {SECRET: of(Secret, swarm)})
    urn = f"urn:pulumi:s::p::{SECRET}::own"
    inputs = to_struct({"name": "x", "data": DATA})
    made = provider.Create(provider_pb2.CreateRequest(urn=urn, properties=inputs), None)
    read = provider.Read(provider_pb2.ReadRequest(id=made.id, urn=urn, properties=made.properties, inputs=inputs), None)
    for answer in (made.properties, read.properties, read.inputs):
        assert json_format.MessageToDict(answer)["data"] == {
            "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
            "value": DATA,
        }


def test_refusals_of_a_resource_are_named_with_their_path() -> None:
    provider = Provider("docker", "5", {CONFIG: of(ServiceConfig, Files())})
    request = provider_pb2.CheckRequest(urn=f"urn:pulumi:s::p::{CONFIG}::own", news=to_struct({"name": "x"}))
    reasons = [failure.reason for failure in provider.Check(request, None).failures]
    expected = "Invalid combination of arguments. \"data\": one of `data,data_raw` must be specified. Examine values at 'own.data'."
    assert reasons[0] == expected


@pytest.mark.parametrize(
    ("kind", "arguments"), [(CONFIG, pulumi_docker.ServiceConfigArgs), (SECRET, pulumi_docker.SecretArgs)]
)
def test_the_schema_is_that_of_the_sdk(kind: str, arguments: type) -> None:
    names = {"dataRaw" if name == "data_raw" else name for name in inspect.signature(arguments).parameters}
    assert names == set(SCHEMAS[kind])


def test_an_overlay_network_is_replaced_for_what_docker_adds_to_its_options() -> None:
    class Api:
        def create_network(self, name: str, **request: Any) -> dict[str, str]:  # noqa: ANN401 - as wide as JSON
            assert (request["driver"], request["attachable"], request["internal"]) == ("overlay", True, True)
            self.made = {
                "Name": name,
                "Driver": request["driver"],
                "Scope": "swarm",
                "Options": dict(request["options"]),
            }
            self.made |= {"Internal": True, "Attachable": True, "IPAM": {"Config": None}}
            return {"Id": "1"}

        def inspect_network(self, _: str) -> dict[str, Any]:
            return self.made

    connection = Connection()
    connection.api = Api()
    news = {"name": "n", "driver": "overlay", "attachable": True, "internal": True, "options": {"encrypted": ""}}
    inputs, refused = check(Network.schema, "own", news)
    assert refused == []
    _, state = Network(connection).create(inputs)
    assert not diff(Network.schema, state, inputs, (), True).diffs
    connection.api.made["Options"]["com.docker.network.driver.overlay.vxlanid_list"] = "4097"
    present = Network(connection).read("1", state) or {}
    assert list(diff(Network.schema, present, inputs, (), True).replaces) == ["options"], (
        "unless the program ignores them"
    )
    without, _ = check(Network.schema, "own", {name: value for name, value in news.items() if name != "options"})
    assert not diff(Network.schema, present, without, (), True).diffs, "without options there is nothing to compare"
    assert check(Network.schema, "own", {"name": "n", "driver": "macvlan"})[1], "no other driver is emulated"
