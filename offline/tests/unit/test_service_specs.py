"""The fake docker provider's services: what is refused, sent, read and compared."""

import inspect
from typing import Any

import pulumi_docker
import pytest
from pulumi.runtime.proto import provider_pb2

from offline.plugins.check import check
from offline.plugins.diff import diff
from offline.plugins.docker_provider import service_spec, service_state
from offline.plugins.docker_provider.image_names import tagged, with_digest
from offline.plugins.docker_provider.service import Service
from offline.plugins.formats import duration, nanoseconds, short_duration
from offline.plugins.property_values import UNKNOWN
from offline.plugins.resource import ProviderError
from offline.plugins.resource_schema import Schema
from offline.tests.unit.swarm import FULL, Json, Swarm, complete, service

CONTAINER = ("taskSpec", "containerSpec")
NETWORKS = ("taskSpec", "networksAdvanceds")


def changes(state: Json, news: Json) -> dict[str, str]:
    """Return the kinds of changes between a state and what a program sends."""
    response = diff(Service.schema, state, complete(news), (), Service.delete_before_replace)
    return {key: provider_pb2.PropertyDiff.Kind.Name(change.kind) for key, change in response.detailedDiff.items()}


def created(news: Json) -> tuple[Swarm, Json]:
    """Return a swarm with a service, and the state of it."""
    swarm = Swarm()
    inputs = complete({**news, "convergeConfig": None})
    outputs = Service(swarm.connection()).create(inputs)[1]
    return swarm, {**outputs, "convergeConfig": complete(news).get("convergeConfig")}


def refreshed(news: Json) -> Json:
    """Return the state of a new service after a refresh."""
    swarm, state = created(news)
    outputs = Service(swarm.connection()).read("service-1", state)
    assert outputs is not None
    return outputs


def test_a_service_in_the_right_form_is_unchanged_before_and_after_a_refresh() -> None:
    assert changes(created(FULL)[1], FULL) == {}
    assert changes(refreshed(FULL), FULL) == {}


def test_what_is_left_out_is_computed_and_no_change() -> None:
    small = {"name": "core", "taskSpec": {"containerSpec": {"image": "app:1"}}}
    swarm, state = created(small)
    sent = swarm.service["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert (sent["StopGracePeriod"], sent["Init"]) == (0, False), "sent although not set, as the real plugin does"
    assert (sent["Healthcheck"], sent["DNSConfig"]) == ({}, {}), "which leaves them to the image and to Docker Engine"
    assert state["taskSpec"]["containerSpec"]["stopGracePeriod"] == "0s", "tasks are killed at once"
    assert state["mode"] == {"replicated": {"replicas": 1}, "global": False}
    assert changes(state, small) == {}
    assert changes(refreshed(small), small) == {}
    with_labels = created({**small, "labels": FULL["labels"]})[1]
    assert changes(with_labels, small) == {}, "labels that are not set any more stay"


@pytest.mark.parametrize(
    ("news", "kinds"),
    [
        (service("mode", "replicated", "replicas", 3), {"mode": "UPDATE"}),
        (service(labels=[{"label": "a", "value": "c"}]), {"labels": "UPDATE"}),
        (service(convergeConfig={"timeout": "1m"}), {"convergeConfig": "UPDATE"}),
        (service(updateConfig=None), {"updateConfig": "DELETE"}),
        (service("endpointSpec", "ports", []), {"endpointSpec": "UPDATE"}),
        (service(*CONTAINER, "image", "app:2"), {"taskSpec": "UPDATE"}),
        (service(*CONTAINER, "env", {"SLOT": "1"}), {"taskSpec": "UPDATE"}),
        (service(*CONTAINER, "healthcheck", "tests", ["CMD", "false"]), {"taskSpec": "UPDATE"}),
        (service(*CONTAINER, "configs", 0, "configId", "c2"), {"taskSpec": "UPDATE"}),
        (service(*CONTAINER, "secrets", []), {"taskSpec": "UPDATE"}),
        (service("taskSpec", "placement", "constraints", []), {"taskSpec": "UPDATE"}),
        (service("taskSpec", "forceUpdate", 1), {"taskSpec": "UPDATE"}),
        (service(*CONTAINER, "labels", 0, "value", "n"), {"taskSpec": "UPDATE_REPLACE"}),
        (service(*CONTAINER, "hosts", 0, "ip", "10.0.0.3"), {"taskSpec": "UPDATE_REPLACE"}),
        (service(*CONTAINER, "sysctl", {}), {"taskSpec": "UPDATE_REPLACE"}),
        (service(*CONTAINER, "mounts", 1, "tmpfsOptions", "mode", 0o755), {"taskSpec": "UPDATE"}),
        (service(*CONTAINER, "mounts", []), {"taskSpec": "UPDATE"}),
        (
            service(*CONTAINER, "mounts", 0, "volumeOptions", {"labels": [{"label": "a", "value": "b"}]}),
            {"taskSpec": "UPDATE_REPLACE"},
        ),
        (service(*NETWORKS, 0, "aliases", ["core"]), {"taskSpec": "UPDATE_REPLACE"}),
        (service(*NETWORKS, 0, "id", "n2"), {"taskSpec": "UPDATE_REPLACE"}),
        (service(name="other"), {"name": "UPDATE_REPLACE"}),
    ],
)
def test_an_edit_updates_or_replaces_as_with_the_real_plugin(news: Json, kinds: dict[str, str]) -> None:
    assert changes(refreshed(FULL), news) == kinds


@pytest.mark.parametrize(
    ("news", "kinds"),
    [
        (service(*NETWORKS, [{"name": "n1", "aliases": ["core", "app"]}]), {"taskSpec": "UPDATE_REPLACE"}),
        (service(*CONTAINER, "mounts", 1, "tmpfsOptions", "mode", 0o1777), {"taskSpec": "UPDATE"}),
    ],
)
def test_a_set_that_docker_keeps_in_another_form_differs_after_each_refresh(news: Json, kinds: dict[str, str]) -> None:
    assert changes(created(news)[1], news) == {}, "without a refresh it is recorded as written"
    assert changes(refreshed(news), news) == kinds


@pytest.mark.parametrize(
    ("news", "kinds"),
    [
        (service(*CONTAINER, "healthcheck", "interval", "60s"), {"taskSpec": "UPDATE"}),
        (service(*CONTAINER, "healthcheck", "interval", "1m0s"), {"taskSpec": "UPDATE"}),
        (service("taskSpec", "restartPolicy", {"condition": "any"}), {"taskSpec": "UPDATE"}),
        (service(*CONTAINER, "image", "app"), {"taskSpec": "UPDATE"}),
        (service("updateConfig", "maxFailureRatio", "0.25"), {"updateConfig": "UPDATE"}),
    ],
)
def test_a_value_that_docker_keeps_in_another_form_always_differs(news: Json, kinds: dict[str, str]) -> None:
    swarm, state = created(news)
    assert changes(state, news) == kinds, "recorded as Docker Engine reports it"
    inputs = {**complete(news), "convergeConfig": None}
    updated = Service(swarm.connection()).update("service-1", state, inputs)
    assert changes({**updated, "convergeConfig": state["convergeConfig"]}, news) == kinds
    assert changes(refreshed(news), news) == kinds


@pytest.mark.parametrize(
    "news",
    [
        service(*NETWORKS, 0, "aliases", ["app", "core"]),
        service(*CONTAINER, "mounts", FULL["taskSpec"]["containerSpec"]["mounts"][::-1]),
        service("updateConfig", "maxFailureRatio", "0"),
        service(*CONTAINER, "healthcheck", None),
        service(*CONTAINER, "stopGracePeriod", None),
        service("taskSpec", "resources", None),
        service("taskSpec", "restartPolicy", None),
        service("taskSpec", "placement", None),
        service(*CONTAINER, "dnsConfig", None),
        service(mode=None),
        service(endpointSpec=None),
        service("endpointSpec", "ports", 0, "publishedPort", None),
    ],
)
def test_order_in_sets_and_computed_members_are_no_change(news: Json) -> None:
    assert changes(refreshed(FULL), news) == {}


def test_unknown_ids_replace_for_a_network_and_update_for_a_file() -> None:
    state = refreshed(FULL)
    assert changes(state, service(*NETWORKS, 0, "id", UNKNOWN)) == {"taskSpec": "UPDATE_REPLACE"}
    assert changes(state, service(*CONTAINER, "configs", 0, "configId", UNKNOWN)) == {"taskSpec": "UPDATE"}
    assert changes(state, service(taskSpec=UNKNOWN)) == {"taskSpec": "UPDATE"}, "so it does not go before what it uses"


def test_the_request_is_docker_engines() -> None:
    body = service_spec.service_body(complete(FULL))
    task, container = body["TaskTemplate"], body["TaskTemplate"]["ContainerSpec"]
    assert body["Mode"] == {"Replicated": {"Replicas": 2}}
    assert body["UpdateConfig"]["Delay"] == 60 * 10**9
    assert body["RollbackConfig"]["Parallelism"] == 0, "zero is a value: all at once"
    assert container["Hosts"] == ["10.0.0.2 h"]
    assert container["StopGracePeriod"] == 90 * 10**9
    assert container["Healthcheck"]["Interval"] == 60 * 10**9
    assert {"Type": "tmpfs", "Target": "/volatile", "TmpfsOptions": {"SizeBytes": 4096, "Mode": 0o777}} in container[
        "Mounts"
    ]
    assert container["Secrets"] == [
        {"SecretID": "s1", "SecretName": "pw", "File": {"Name": "pw", "UID": "9", "GID": "0", "Mode": 0o400}}
    ]
    assert container["Configs"][0]["File"]["Mode"] == 0o444, "everyone may read what has no mode"
    assert task["Networks"] == [{"Target": "n1", "Aliases": ["app", "core"], "DriverOpts": {}}]
    assert task["Resources"] == {"Limits": {"MemoryBytes": 2**26}, "Reservations": {"NanoCPUs": 10**8}}
    assert body["EndpointSpec"]["Ports"] == [
        {"Protocol": "tcp", "PublishMode": "host", "PublishedPort": 8080, "TargetPort": 80}
    ]


def test_the_order_of_sets_is_always_the_same_and_that_of_the_environment_never() -> None:
    spec = {**complete(FULL)["taskSpec"]["containerSpec"], "env": {"A": "1", "B": "2", "C": "3"}}
    inputs = complete(service("taskSpec", "containerSpec", spec))
    turned = complete(service("taskSpec", "containerSpec", {**spec, "mounts": spec["mounts"][::-1]}))
    container = service_spec.service_body(inputs)["TaskTemplate"]["ContainerSpec"]
    assert service_spec.service_body(turned)["TaskTemplate"]["ContainerSpec"]["Mounts"] == container["Mounts"]
    present = container["Env"]
    for _ in range(20):
        after = service_spec.service_body(inputs, present)["TaskTemplate"]["ContainerSpec"]["Env"]
        assert sorted(after) == ["A=1", "B=2", "C=3"]
        assert after != present, "so each update restarts all tasks"
        present = after
    one = complete(FULL)
    (entry,) = service_spec.service_body(one)["TaskTemplate"]["ContainerSpec"]["Env"]
    again = service_spec.service_body(one, [entry])["TaskTemplate"]["ContainerSpec"]["Env"]
    assert again == [entry], "one variable has no order: an update leaves the tasks alone"


def test_a_network_needs_an_id_or_a_name() -> None:
    with pytest.raises(ProviderError, match="network 'name' or 'id' must be specified"):
        service_spec.service_body(complete(service(*NETWORKS, [{"aliases": ["a"]}])))


@pytest.mark.parametrize(
    ("news", "reason"),
    [
        (service(nosuch=1), "Invalid or unknown key. Examine values at 'own.nosuch'."),
        (service(*CONTAINER, "ulimits", []), "Invalid or unknown key. Examine values at 'own.taskSpec.containerSpec.ulimits'."),
        (service(auth={}), "does not support 'auth'"),
        (service(*CONTAINER, "privileges", {}), "does not support 'privileges'"),
        (service(*CONTAINER, "isolation", "hyperv"), "supports only 'default' here"),
        (service(*CONTAINER, "image", None), "Missing required argument. Examine values at 'own.taskSpec.containerSpec.image'."),
        (service(*CONTAINER, "stopGracePeriod", "1 minute"), "'1 minute' is not a valid duration"),
        (service(*CONTAINER, "stopGracePeriod", "-1s"), "'-1s' duration must not be negative"),
        (service(*CONTAINER, "mounts", 0, "type", "npipe"), "doesn't match the pattern"),
        (service("updateConfig", "maxFailureRatio", "2"), "'2' has to be between 0.0 and 1.0"),
        (service("updateConfig", "maxFailureRatio", "few"), "'few' is not a float"),
        (service("updateConfig", "order", "both"), "doesn't match the pattern"),
        (service("rollbackConfig", "failureAction", "rollback"), "doesn't match the pattern"),
        (service("mode", "replicated", "replicas", -1), "'-1' cannot be lower than 0"),
        (service("endpointSpec", "mode", "host"), "doesn't match the pattern"),
        (service(taskSpec=None), "Missing required argument. Examine values at 'own.taskSpec'."),
    ],
)  # fmt: skip
def test_check_names_the_property_and_the_reason(news: Json, reason: str) -> None:
    _, refused = check(Service.schema, "own", news)
    assert len(refused) == 1, f"one property, one reason: {refused}"
    assert reason in refused[0]


@pytest.mark.parametrize(
    ("news", "paths"),
    [
        (service(), []),
        (service(mode={"global": True}, convergeConfig=None), []),
        (service(mode={"global": True}), ["mode.global", "convergeConfig"]),
        (service("mode", "global", False), ["mode.replicated", "mode.global", "mode.global", "convergeConfig"]),
        (service(mode=UNKNOWN), []),
    ],
)
def test_a_global_service_has_neither_replicas_nor_a_way_to_wait(news: Json, paths: list[str]) -> None:
    refused = list(Service(Swarm().connection()).refused(news))
    assert [path for path, _ in refused] == paths
    assert all(reason.startswith("Conflicting configuration arguments. ") for _, reason in refused)


def test_a_global_service_stays_as_it_is() -> None:
    everywhere = service(mode={"global": True}, convergeConfig=None)
    swarm, state = created(everywhere)
    assert swarm.service["Spec"]["Mode"] == {"Global": {}}
    assert changes(state, everywhere) == {}
    assert changes(refreshed(everywhere), everywhere) == {}


def test_a_change_of_mode_sends_both_modes_and_is_left_to_docker_engine() -> None:
    state = refreshed(FULL)
    assert changes(state, service(mode={"global": True}, convergeConfig=None))["mode"] == "UPDATE"
    body = service_spec.service_body(complete(service(mode={"global": True, "replicated": {"replicas": 2}})))
    assert body["Mode"] == {"Replicated": {"Replicas": 2}, "Global": {}}, "which it refuses: it is no replacement"


def test_ports_and_mode_are_read_before_docker_engine_has_allocated_them() -> None:
    swarm, _ = created(FULL)
    swarm.service["Endpoint"] = {}
    endpoint = service_state.outputs(swarm.service, {})["endpointSpec"]
    assert (endpoint["mode"], endpoint["ports"][0]["publishedPort"]) == ("dnsrr", 8080)


@pytest.mark.parametrize(
    ("text", "full", "short"),
    [
        ("0s", "0s", "0s"),
        ("0", "0s", "0s"),
        ("60s", "1m0s", "1m"),
        ("90m", "1h30m0s", "1h30m"),
        ("60m", "1h0m0s", "1h"),
        ("1m30s", "1m30s", "1m30s"),
        ("1.5s", "1.5s", "1.5s"),
        ("250ms", "250ms", "250ms"),
        ("1500us", "1.5ms", "1.5ms"),
        ("10m10s", "10m10s", "10m10s"),
    ],
)
def test_durations_have_gos_form_and_services_a_shorter_one(text: str, full: str, short: str) -> None:
    assert (duration(nanoseconds(text)), short_duration(nanoseconds(text))) == (full, short)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("app", "app:latest"),
        ("app:1", "app:1"),
        ("docker.io/library/app", "app:latest"),
        ("docker.io/a/app:1", "a/app:1"),
        ("10.0.0.1:5000/app", "10.0.0.1:5000/app:latest"),
        ("app@sha256:1", "app@sha256:1"),
        ("sha256:" + "a" * 64, "sha256:" + "a" * 64),
        ("a" * 64, "a" * 64),
    ],
)
def test_an_image_gets_a_tag(image: str, name: str) -> None:
    assert tagged(image) == name
    assert with_digest("app", "sha256:1") == "app:latest@sha256:1"
    assert with_digest("app@sha256:1", "sha256:2") == "app@sha256:1"


def members_of(schema: Schema, arguments: str) -> list[tuple[str, Schema]]:
    """Return the nested objects of a schema with the names of the SDK's classes for them."""
    found = [(arguments, schema)]
    for name, prop in schema.items():
        singular = name[:-1] if prop.is_collection else name
        if prop.members:
            found += members_of(prop.members, f"{arguments}{singular[0].upper()}{singular[1:]}")
    return found


@pytest.mark.parametrize(("arguments", "schema"), members_of(Service.schema, "Service"))
def test_the_schema_is_that_of_the_sdk(arguments: str, schema: Schema) -> None:
    def camel(name: str) -> str:
        first, *rest = name.rstrip("_").split("_")
        return first + "".join(map(str.capitalize, rest))

    parameters: Any = inspect.signature(getattr(pulumi_docker, f"{arguments}Args")).parameters
    assert {camel(name) for name in parameters} == set(schema), "or an unknown key would be supported, and the reverse"
