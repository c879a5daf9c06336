"""Fake providers: requests to Docker Engine, what is read from it, and random values."""

import io
import string
import tarfile
import time
from collections.abc import Callable
from typing import Any

import pytest
from docker.errors import APIError

from offline.plugins.check import check
from offline.plugins.docker_provider import container, container_config, container_state
from offline.plugins.docker_provider.connection import Connection
from offline.plugins.docker_provider.container import Container
from offline.plugins.docker_provider.networks import Network, Volume
from offline.plugins.random_provider.provider import RandomId, RandomPassword
from offline.plugins.resource import InitError, ProviderError, Resource


def body(**news: Any) -> dict[str, Any]:  # noqa: ANN401 - as wide as JSON
    """Return the request that creates a container with these inputs."""
    inputs, refused = check(Container.schema, "own", {"image": "i", "name": "n", **news})
    assert refused == []
    return container_config.create_body(inputs)


def test_inputs_become_the_request_of_docker_engine() -> None:
    request = body(
        capabilities={"drops": ["ALL"]},
        healthcheck={"tests": ["CMD", "a"], "interval": "1m30s", "retries": 2},
        logDriver="json-file",
        logOpts={"max-size": "1m"},
        memory=64,
        memorySwap=-1,
        mounts=[
            {"type": "volume", "source": "v", "target": "/v", "readOnly": True},
            {"type": "volume", "source": "n", "target": "/n", "volumeOptions": {"noCopy": True}},
        ],
        ports=[{"internal": 80, "external": 8080, "ip": "127.0.0.1"}],
        user="1:1",
    )
    host = {
        "CapDrop": ["ALL"],
        "Init": False,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
        "Memory": 64 * 2**20,
        "MemorySwap": -1,
        "Mounts": [
            {"Type": "volume", "Source": "v", "Target": "/v", "ReadOnly": True},
            {"Type": "volume", "Source": "n", "Target": "/n", "VolumeOptions": {"NoCopy": True}},
        ],
        "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
    }
    assert {name: request["HostConfig"][name] for name in host} == host
    assert request["Healthcheck"] == {
        "Test": ["CMD", "a"],
        "Retries": 2,
        "Interval": 90 * 10**9,
        "Timeout": 0,
        "StartPeriod": 0,
    }
    assert (request["User"], request["ExposedPorts"]) == ("1:1", {"80/tcp": {}})


def test_environment_is_a_set_whose_order_is_not_as_written() -> None:
    written = ["A=1", "B=2", "C=3", "D=4"]
    ordered = body(envs=written)["Env"]
    assert sorted(ordered) == written, "none is lost"
    assert body(envs=written[::-1])["Env"] == ordered, "the order depends on the values alone"
    assert ordered != written, "a program must not count on the order"


@pytest.mark.parametrize(
    ("text", "form"), [("60s", "1m0s"), ("1m0s", "1m0s"), ("90m0s", "1h30m0s"), ("1h0m0s", "1h0m0s"), ("5s", "5s")]
)
def test_durations_are_read_in_gos_form(text: str, form: str) -> None:
    assert container_state.duration(container_config.nanoseconds(text)) == form


INSPECTED: dict[str, Any] = {
    "Name": "/box",
    "Image": "sha256:1",
    "State": {"Running": False, "ExitCode": 3},
    "NetworkSettings": {"Ports": {}, "Networks": {"app": {}}},
    "Config": {"Image": "i", "Env": ["X=1"], "Labels": {"a": "b"}, "Cmd": ["c"]},
    "HostConfig": {"Memory": 2**26, "MemorySwap": 2**27, "RestartPolicy": {"Name": "no"}, "CapDrop": ["ALL"]},
}


def test_reading_a_stopped_container_shows_that_it_does_not_run() -> None:
    port = {"internal": 80, "external": 8080, "ip": "127.0.0.1", "protocol": "tcp"}
    olds = {"image": "i", "mustRun": True, "ports": [port], "envs": ["A=1"]}
    present = container_state.outputs(INSPECTED, olds)
    assert (present["mustRun"], present["ports"]) == (False, []), "it must run, so both differ"
    assert (present["envs"], present["labels"]) == (["A=1"], []), "environment and labels are not read"
    assert (present["memory"], present["memorySwap"]) == (64, 128), "limits are, in MB"
    assert present["capabilities"] == {"drops": ["ALL"]}
    assert container_state.outputs(INSPECTED, {**olds, "image": "sha256:0"})["image"] == "sha256:1", "read as written"
    kept = container_state.outputs(INSPECTED, {**olds, "mustRun": False})
    assert kept["ports"] == [port], "the ports of one that need not run stay as they are"
    running = {**INSPECTED, "State": {"Running": True}}
    published = {"Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}}
    assert container_state.outputs({**running, "NetworkSettings": published}, olds)["ports"] == [port]


def test_uploads_belong_to_root_with_the_permissions_written() -> None:
    first = {"file": "/opt/a", "content": "one\n", "permissions": "0400"}
    second = {"file": "/opt/b", "content": "zwölf", "permissions": "0555"}
    with tarfile.open(fileobj=io.BytesIO(container.archive_of([first, second]))) as archive:
        members = archive.getmembers()
        contents = [file.read().decode() for member in members if (file := archive.extractfile(member))]
    assert contents == ["one\n", "zwölf"]
    assert [(m.name, m.uid, m.gid, m.mode) for m in members] == [("/opt/a", 0, 0, 0o400), ("/opt/b", 0, 0, 0o555)]


class RefusingApi:
    """A Docker Engine that answers every removal with this message, and knows no container to update."""

    def __init__(self, message: str) -> None:
        self.message = message

    def remove_network(self, name: str) -> None:
        raise APIError("", explanation=self.message)

    remove_volume = remove_network

    def _url(self, *_: str) -> str:
        return ""

    def _post_json(self, *_: str, data: object) -> None:
        pass

    def _result(self, *_: object) -> None:
        raise APIError("", explanation="No such container: c")


def refusing(resource: Callable[[Connection], Resource], message: str) -> Resource:
    """Return a resource type on such a Docker Engine."""
    connection = Connection()
    connection.api = RefusingApi(message)
    return resource(connection)


@pytest.mark.parametrize(
    ("resource", "message", "state"),
    [
        (Network, "error while removing network: network n id 1 has active endpoints", "pending"),
        (Volume, "remove v: volume is in use - [1]", "in_use"),
    ],
)
def test_a_busy_network_or_volume_is_waited_for_and_its_user_is_not_named(
    resource: Callable[[Connection], Resource], message: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(0, 1000, 10))
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(ProviderError) as raised:
        refusing(resource, message).delete("x", {})
    reason = f"timeout while waiting for state to become 'removed' (last state: '{state}', timeout: 30s)"
    assert str(raised.value) == reason, "which is all that the real plugin shows"
    assert next(seconds) > 30, "after 30 seconds"
    with pytest.raises(ProviderError, match="Error response from daemon: permission denied"):
        refusing(resource, "permission denied").delete("x", {})


def test_a_network_is_created_with_its_options() -> None:
    class Api:
        def create_network(self, name: str, **request: Any) -> dict[str, str]:  # noqa: ANN401 - as wide as JSON
            self.made = {"Name": name, "Internal": False, "IPAM": {"Config": []}, "Scope": "local", "Driver": "bridge"}
            self.made["Options"] = request["options"]
            return {"Id": "1"}

        def inspect_network(self, _: str) -> dict[str, Any]:
            return self.made

    connection, options = Connection(), {"com.docker.network.driver.mtu": "1450"}
    connection.api = Api()
    assert Network(connection).create({"name": "n", "options": options})[0] == "1"
    assert (Network(connection).read("1", {}) or {})["options"] == options, "or each refresh would replace it"


def test_a_failed_update_leaves_the_new_values_in_the_state() -> None:
    olds, news = {"mustRun": True, "memory": 64}, {"mustRun": True, "memory": 96}
    with pytest.raises(InitError, match=r"Unable to update a container: .*No such container") as raised:
        refusing(Container, "").update("c", olds, news)
    assert raised.value.outputs == news
    refusing(Container, "").update("c", news, news)  # has nothing to apply


def test_a_password_has_letters_and_digits_and_is_secret() -> None:
    identifier, outputs = RandomPassword().create({"length": 200})
    assert identifier == "none", "the id reveals nothing of it"
    assert len(outputs["result"]) == 200
    assert set(outputs["result"]) <= set(string.ascii_letters + string.digits)
    assert outputs["bcryptHash"].startswith("$2")
    assert {name for name, prop in RandomPassword.schema.items() if prop.secret} == {"result", "bcryptHash"}
    assert RandomPassword().create({"length": 20})[1]["result"] != RandomPassword().create({"length": 20})[1]["result"]


def test_a_random_id_is_the_same_bytes_in_every_encoding() -> None:
    identifier, outputs = RandomId().create({"byteLength": 8})
    assert int(outputs["hex"], 16) == int(outputs["dec"])
    assert outputs["b64Url"] == identifier
    with pytest.raises(ProviderError, match="replaces it"):
        RandomId().update(identifier, {}, {})


def test_a_volume_is_created_with_the_options_of_its_driver() -> None:
    class Api:
        def create_volume(self, name: str, **request: Any) -> dict[str, str]:  # noqa: ANN401 - as wide as JSON
            self.made = {"Name": name, "Driver": "local", "Mountpoint": "/v", "Options": request["driver_opts"]}
            return {"Name": name}

        def inspect_volume(self, _: str) -> dict[str, Any]:
            return self.made

    connection, options = Connection(), {"type": "nfs", "o": "addr=server", "device": ":/export"}
    connection.api = Api()
    identifier, outputs = Volume(connection).create({"name": "v", "driverOpts": options})
    assert (identifier, connection.api.made["Options"], outputs["driverOpts"]) == ("v", options, options)
    assert Volume(connection).create({"name": "v"})[1]["mountpoint"] == "/v"
    assert connection.api.made["Options"] is None
