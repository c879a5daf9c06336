"""Fake providers: what they refuse, fill in and compare, as observed of the real providers."""

import inspect
from typing import Any

import pulumi_docker
import pulumi_random
import pytest
from pulumi.runtime.proto import provider_pb2

from offline.plugins import property_values
from offline.plugins.check import DEFAULTS, check
from offline.plugins.diff import diff
from offline.plugins.docker_provider import images
from offline.plugins.docker_provider.container import CONTAINER, Container
from offline.plugins.docker_provider.images import REMOTE_IMAGE, RemoteImage
from offline.plugins.docker_provider.networks import NETWORK, VOLUME, Network
from offline.plugins.property_values import UNKNOWN
from offline.plugins.random_provider import provider as random_provider
from offline.plugins.random_provider.provider import IDENTIFIER, PASSWORD
from tests.support.program import Run

SCHEMAS = {**images.SCHEMAS, **random_provider.SCHEMAS}
SDK = {
    CONTAINER: pulumi_docker.ContainerArgs,
    NETWORK: pulumi_docker.NetworkArgs,
    VOLUME: pulumi_docker.VolumeArgs,
    REMOTE_IMAGE: pulumi_docker.RemoteImageArgs,
    PASSWORD: pulumi_random.RandomPasswordArgs,
    IDENTIFIER: pulumi_random.RandomIdArgs,
}
BASE = {"image": "i", "name": "n"}


def complete(kind: str, **news: Any) -> dict[str, Any]:  # noqa: ANN401 - as wide as JSON
    """Return the inputs that Check makes of what a program sends."""
    inputs, refused = check(SCHEMAS[kind], "own", news)
    assert refused == [], f"{news} is valid"
    return inputs


def changes(response: provider_pb2.DiffResponse) -> dict[str, str]:
    """Return the kinds of changes by property."""
    return {
        key: provider_pb2.PropertyDiff.Kind.Name(change.kind) for key, change in sorted(response.detailedDiff.items())
    }


def container_changes(old: dict[str, Any], new: dict[str, Any], **read: Any) -> dict[str, str]:  # noqa: ANN401
    """Return the changes between two containers' inputs; `read` is in the state instead of what was written."""
    computed: dict[str, Any] = {"command": [], "entrypoints": [], "networkDatas": []}
    state = {**computed, **complete(CONTAINER, **BASE, **old), **read}
    return changes(diff(Container.schema, state, complete(CONTAINER, **BASE, **new), (), True))


def test_everything_the_program_registers_is_accepted(run: Run) -> None:
    recorded = run(cores=2, replicas=1, dumpUrl="none", adminPassword="District-1")
    sent = [resource for resource in recorded.resources if resource.kind.startswith(("docker:", "random:"))]
    assert {resource.kind for resource in sent} == set(SDK), "no type is emulated that the program does not register"
    for resource in sent:
        _, refused = check(SCHEMAS[resource.kind], resource.name, property_values.from_struct(resource.request.object))
        assert refused == [], f"{resource.name} would be refused"


@pytest.mark.parametrize("kind", SDK)
def test_a_schema_has_only_inputs_of_the_sdk(kind: str) -> None:
    words = [name.split("_") for name in inspect.signature(SDK[kind]).parameters]
    inputs = {first + "".join(map(str.capitalize, rest)) for first, *rest in words}
    declared = {name for name, prop in SCHEMAS[kind].items() if not prop.output}
    assert declared <= inputs, "another name would be filled in, and never compared with what a program sends"


@pytest.mark.parametrize(
    ("key", "before", "after", "kind"),
    [
        ("envs", ["A=1"], ["A=2"], "UPDATE_REPLACE"),
        ("labels", [{"label": "a", "value": "1"}], [{"label": "a", "value": "2"}], "UPDATE_REPLACE"),
        (
            "uploads",
            [{"file": "/a", "content": "1", "permissions": "0444"}],
            [{"file": "/a", "content": "2", "permissions": "0444"}],
            "UPDATE_REPLACE",
        ),
        ("command", ["a", "b"], ["b", "a"], "UPDATE_REPLACE"),
        ("logOpts", {"max-size": "1m"}, {"max-size": "2m"}, "UPDATE_REPLACE"),
        ("stopTimeout", 1, 2, "UPDATE_REPLACE"),
        ("user", "1:1", "2:2", "UPDATE_REPLACE"),
        ("healthcheck", {"tests": ["CMD", "a"]}, {"tests": ["CMD", "b"]}, "UPDATE"),
        ("healthcheck", {"interval": "60s"}, {"interval": "1m0s"}, "UPDATE"),
        ("init", False, True, "UPDATE"),
        ("tmpfs", {"/a": ""}, {"/b": ""}, "UPDATE"),
        ("memory", 64, 32, "UPDATE"),
        ("restart", "no", "always", "UPDATE"),
        ("destroyGraceSeconds", 1, 2, "UPDATE"),
    ],
)
def test_a_change_replaces_or_updates_as_with_the_real_plugin(key: str, before: Any, after: Any, kind: str) -> None:  # noqa: ANN401
    assert container_changes({key: before}, {key: after}) == {key: kind}


@pytest.mark.parametrize("before", [{}, {"keepers": {"a": "1"}}])
def test_a_password_is_replaced_with_its_keepers(before: dict[str, Any]) -> None:
    state = complete(PASSWORD, length=20, special=False, **before)
    found = changes(
        diff(SCHEMAS[PASSWORD], state, complete(PASSWORD, length=20, special=False, keepers={"a": "2"}), (), True)
    )
    assert [(key.partition(".")[0], kind.rpartition("_")[2]) for key, kind in found.items()] == [("keepers", "REPLACE")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"envs": ["A=1", "B=2"]}, {"envs": ["B=2", "A=1"]}),
        ({"labels": [{"label": "a", "value": "1"}]}, {}),
        ({"command": ["a"], "entrypoints": ["b"], "hostname": "c", "shmSize": 64}, {}),
        ({"memory": 0, "tmpfs": {}, "ports": []}, {}),
        (
            {"mounts": [{"source": "v", "target": "/a", "type": "volume", "readOnly": False}]},
            {"mounts": [{"source": "v", "target": "/a", "type": "volume"}]},
        ),
        (
            {"ports": [{"internal": 80, "external": 8080}, {"internal": 81, "external": 8081}]},
            {"ports": [{"internal": 81, "external": 8081, "protocol": "tcp"}, {"internal": 80, "external": 8080}]},
        ),
    ],
)
def test_equal_values_are_no_change(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert container_changes(old, new) == {}, "order in sets, zero values and computed values are no changes"


def test_a_stopped_container_differs_by_its_ports_and_by_must_run() -> None:
    port = [{"internal": 80, "external": 8080}]
    stopped = container_changes({"ports": port}, {"ports": port}, ports=[], mustRun=False)
    assert stopped == {"mustRun": "UPDATE", "ports": "ADD_REPLACE"}, "with published ports it is replaced"
    assert container_changes({}, {}, mustRun=False) == {"mustRun": "UPDATE"}, "without them it is started"


def test_after_a_failed_create_what_was_not_computed_replaces_the_container() -> None:
    def changed(**news: list[str]) -> dict[str, str]:
        inputs = complete(CONTAINER, **BASE, **news)
        return changes(diff(Container.schema, inputs, inputs, (), True))

    assert changed(command=["a"]) == {"entrypoints": "ADD_REPLACE", "networkDatas": "ADD"}
    written = changed(command=["a"], entrypoints=["b"])
    assert written == {"networkDatas": "ADD"}, "with both written it is updated, and never started"


def test_an_unknown_network_replaces_and_an_unknown_environment_does_not() -> None:
    network = [{"name": "app"}]
    unknown = container_changes({"networksAdvanced": network}, {"networksAdvanced": UNKNOWN})
    assert unknown == {"networksAdvanced": "UPDATE_REPLACE"}, "or its network would be deleted first"
    inside = container_changes({"networksAdvanced": network}, {"networksAdvanced": [{"name": UNKNOWN}]})
    assert inside == unknown, "wherever the unknown value stands"
    assert container_changes({"envs": ["A=1"]}, {"envs": [UNKNOWN]}) == {}, "it may turn out to be the same"
    unknown = container_changes({"user": "1:1"}, {"user": UNKNOWN})
    assert unknown == {"user": "UPDATE_REPLACE"}, "only what the provider computes may stay"


def test_ignored_properties_are_no_change() -> None:
    old = complete(NETWORK, name="n", labels=[{"label": "a", "value": "1"}])
    new = complete(NETWORK, name="n", labels=[{"label": "a", "value": "2"}])
    assert changes(diff(Network.schema, old, new, ["labels"], True)) == {}, "ignoreChanges is the provider's to apply"
    assert changes(diff(Network.schema, old, new, (), True)) == {"labels": "UPDATE_REPLACE"}


def test_a_fixed_name_is_deleted_before_it_is_replaced_and_an_image_is_not() -> None:
    old, new = complete(NETWORK, name="n", internal=True), complete(NETWORK, name="n", internal=False)
    replaced = diff(Network.schema, {**old, "internal": False}, old, (), Network.delete_before_replace)
    assert (list(replaced.replaces), replaced.deleteBeforeReplace) == (["internal"], True)
    same = diff(Network.schema, new, new, (), Network.delete_before_replace)
    assert not same.deleteBeforeReplace, "what is not replaced is not deleted"
    old, new = (complete(REMOTE_IMAGE, name=name, keepLocally=True) for name in ("a", "b"))
    pulled = diff(RemoteImage.schema, old, new, (), RemoteImage.delete_before_replace)
    assert (list(pulled.replaces), pulled.deleteBeforeReplace) == (["name"], False), "the new image is pulled first"


@pytest.mark.parametrize(
    ("news", "reason"),
    [
        ({"nosuch": 1}, "does not support 'nosuch'. Examine values at 'own.nosuch'."),
        ({"gpus": "all"}, "does not support 'gpus'. Examine values at 'own.gpus'."),
        ({"networkDatas": []}, "does not support 'networkDatas'"),
        ({"wait": True}, "supports only False here. Examine values at 'own.wait'."),
        ({"mounts": [{"type": "bind", "source": "/a", "target": "/b"}]}, "supports only 'volume' here"),
        ({"ports": [{"internal": 80}]}, "Missing required argument. Examine values at 'own.ports.external'."),
        (
            {"uploads": [{"file": "/a", "content": "b", "permissions": "0444", "owner": "c"}]},
            "does not support 'owner'. Examine values at 'own.uploads.owner'.",
        ),
        ({"uploads": [{"content": "b", "permissions": "0444"}]}, "Examine values at 'own.uploads.file'."),
        ({"uploads": [{"file": "/a", "content": "", "permissions": "0444"}]}, "doesn't match the pattern"),
        ({"uploads": [{"file": "/a", "content": "b", "permissions": "400"}]}, "doesn't match the pattern"),
        ({"capabilities": {"drops": ["all"]}}, "doesn't match the pattern"),
        ({"restart": "sometimes"}, "doesn't match the pattern"),
        ({"healthcheck": {"interval": "1 minute"}}, "doesn't match the pattern"),
        ({"memory": -1}, "cannot be lower than 0"),
        ({"memory": "much"}, "expected type int, got 'much'"),
        ({"envs": "A=1"}, "expected a list"),
        ({"logOpts": ["a"]}, "expected type map"),
    ],
)
def test_check_names_the_property_and_the_reason(news: dict[str, Any], reason: str) -> None:
    _, refused = check(Container.schema, "own", {**BASE, **news})
    assert len(refused) == 1, f"one property, one reason: {refused}"
    assert reason in refused[0]


def test_check_fills_in_the_real_plugins_defaults() -> None:
    inputs = complete(CONTAINER, **BASE, memory="64", mustRun="true", healthcheck={"tests": ["NONE"]})
    expected = {"mustRun": True, "removeVolumes": True, "networkMode": "bridge", "restart": "no", "memory": 64}
    assert expected.items() <= inputs.items(), "defaults, and numbers written as strings"
    assert inputs["healthcheck"]["startInterval"] == "0s", "in nested objects too"
    assert "destroyGraceSeconds" not in inputs, "without it a container is killed at once"
    assert {"networkMode", "restart"} <= set(inputs[DEFAULTS]), "they are listed as filled in"
    assert "memory" not in inputs[DEFAULTS]


def test_check_requires_what_the_program_always_sends() -> None:
    _, refused = check(Container.schema, "own", {})
    assert refused == [f"Missing required argument. Examine values at 'own.{key}'." for key in ("image", "name")]
    _, refused = check(RemoteImage.schema, "own", {"name": "i"})
    assert refused == ["Missing required argument. Examine values at 'own.keepLocally'."], "else it would be removed"


def test_check_accepts_unknown_values() -> None:
    news = {"image": UNKNOWN, "name": "n", "memory": UNKNOWN, "uploads": [UNKNOWN], "logOpts": {"max-size": UNKNOWN}}
    assert check(Container.schema, "own", news)[1] == []


def test_property_values_survive_the_struct_and_secrets_are_opened() -> None:
    properties = {"a": [1, 2.5, "x", True, {"b": UNKNOWN}], "c": {}}
    assert property_values.from_struct(property_values.to_struct(properties)) == properties
    struct = property_values.to_struct({"a": property_values.secret("x"), "b": None})
    assert "1b47061264138c4ac30d75fd1eb44270" in str(struct), "the Pulumi engine sees that it is a secret"
    assert property_values.from_struct(struct) == {"a": "x"}, "a provider sees its value"
