"""Stand-in plugins: what they compare, refuse and fill in, held against what was observed of the real ones."""

import inspect
from typing import Any

import pulumi_docker
import pytest

from offline.plugins import durations, wire
from offline.plugins.checking import DEFAULTS, check
from offline.plugins.diffing import diff, response
from offline.plugins.engine.container import CONTAINER
from offline.plugins.engine.images import REMOTE_IMAGE, TABLES
from offline.plugins.engine.networks import NETWORK, VOLUME
from offline.plugins.wire import UNKNOWN

CLASSES = {
    CONTAINER: pulumi_docker.ContainerArgs,
    NETWORK: pulumi_docker.NetworkArgs,
    VOLUME: pulumi_docker.VolumeArgs,
    REMOTE_IMAGE: pulumi_docker.RemoteImageArgs,
}
# The SDK is newer than the plugin; the plugin refuses these.
SDK_ONLY = {CONTAINER: {"deviceCgroupRules"}}


def complete(kind: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401 - as wide as JSON
    """Return the inputs Check makes of what a program gives."""
    inputs, wrong = check(TABLES[kind], "own", {}, given)
    assert wrong == [], f"{given} is valid"
    return inputs


def compared(old: dict[str, Any], new: dict[str, Any], **read: Any) -> dict[str, tuple[str, bool]]:  # noqa: ANN401
    """Return the changes between two containers' inputs, the first with what was read back instead."""
    state = {
        "command": [],
        "entrypoints": [],
        "networkDatas": [],
        **complete(CONTAINER, **{"image": "i", **old}),
        **read,
    }
    changes = diff(TABLES[CONTAINER], state, complete(CONTAINER, **{"image": "i", "name": state["name"], **new}))
    return {change.key: (change.kind, change.replace) for change in changes}


@pytest.mark.parametrize("kind", CLASSES)
def test_the_table_has_every_input_of_the_sdk(kind: str) -> None:
    known = {name for name, prop in TABLES[kind].items() if prop.input}
    words = [name.split("_") for name in inspect.signature(CLASSES[kind]).parameters if name != "return"]
    inputs = {first + "".join(map(str.capitalize, rest)) for first, *rest in words}
    assert known == inputs - SDK_ONLY.get(kind, set()), "a property missing here would be refused without need"


@pytest.mark.parametrize(
    ("key", "before", "after", "replace"),
    [
        ("envs", ["A=1"], ["A=2"], True),
        ("labels", [{"label": "a", "value": "1"}], [{"label": "a", "value": "2"}], True),
        ("uploads", [{"file": "/a", "content": "1"}], [{"file": "/a", "content": "2"}], True),
        ("command", ["a", "b"], ["b", "a"], True),
        ("capabilities", {"drops": ["ALL"]}, {"drops": ["ALL"], "adds": ["CAP_CHOWN"]}, True),
        ("logOpts", {"max-size": "1m"}, {"max-size": "2m"}, True),
        ("cpus", "1.0", "2.0", True),
        ("readOnly", True, False, True),
        ("healthcheck", {"tests": ["CMD", "a"]}, {"tests": ["CMD", "b"]}, False),
        ("healthcheck", {"interval": "60s"}, {"interval": "1m0s"}, False),
        ("init", False, True, False),
        ("tmpfs", {"/a": ""}, {"/b": ""}, False),
        ("memory", 64, 32, False),
        ("restart", "no", "always", False),
        ("destroyGraceSeconds", 1, 2, False),
        ("wait", False, True, False),
    ],
)
def test_a_change_replaces_or_updates_as_the_real_plugin_does(key: str, before: Any, after: Any, replace: bool) -> None:  # noqa: ANN401
    assert compared({key: before}, {key: after}) == {key: ("UPDATE", replace)}, "from docker-plugin's own flags"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"envs": ["A=1", "B=2"]}, {"envs": ["B=2", "A=1"]}),
        ({"labels": [{"label": "a", "value": "1"}]}, {}),
        ({"command": ["a"], "entrypoints": ["b"], "hostname": "c", "shmSize": 64}, {}),
        ({"memory": 0, "privileged": False, "dns": []}, {}),
        ({"user": "999"}, {"user": ""}),
        (
            {"mounts": [{"target": "/a", "type": "tmpfs", "readOnly": False, "source": ""}]},
            {"mounts": [{"target": "/a", "type": "tmpfs"}]},
        ),
        (
            {"ports": [{"internal": 80, "external": 32768}, {"internal": 81, "external": 32769}]},
            {"ports": [{"internal": 81}, {"internal": 80, "ip": "0.0.0.0", "protocol": "tcp"}]},  # noqa: S104
        ),
    ],
)
def test_what_means_the_same_is_no_change(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert compared(old, new) == {}, "order in sets, zero values and what the engine fills in are no changes"


def test_a_stopped_container_differs_by_its_ports_and_by_not_running() -> None:
    port = [{"internal": 80, "external": 8080}]
    assert compared({"ports": port}, {"ports": port}, ports=[], mustRun=False) == {
        "ports": ("ADD", True),
        "mustRun": ("UPDATE", False),
    }, "with ports it is replaced"
    assert compared({}, {}, mustRun=False) == {"mustRun": ("UPDATE", False)}, "without it is started in place"


def test_after_a_failed_create_what_was_not_computed_replaces_the_container() -> None:
    partial = complete(CONTAINER, image="i", name="n", command=["a"])
    changes = diff(TABLES[CONTAINER], partial, complete(CONTAINER, image="i", name="n", command=["a"]))
    assert {change.key: change.replace for change in changes} == {"entrypoints": True, "networkDatas": False}
    given = complete(CONTAINER, image="i", name="n", command=["a"], entrypoints=[])
    changes = diff(TABLES[CONTAINER], given, given)
    assert [change.key for change in changes] == ["networkDatas"], "with both written it is updated, so not tried again"


def test_a_network_not_known_yet_replaces_and_an_environment_not_known_yet_does_not() -> None:
    network = [{"name": "app"}]
    unknown = compared({"networksAdvanced": network}, {"networksAdvanced": UNKNOWN})
    assert unknown == {"networksAdvanced": ("UPDATE", True)}, "else a network would be deleted under its containers"
    inside = compared({"networksAdvanced": network}, {"networksAdvanced": [{"name": UNKNOWN}]})
    assert inside == unknown, "wherever in it the unknown is"
    assert compared({"envs": ["A=1"]}, {"envs": [UNKNOWN]}) == {}, "the name in it may stay what it was"
    assert compared({"image": "i"}, {"image": UNKNOWN}) == {"image": ("UPDATE", True)}, "another image is another one"


def test_a_replacement_deletes_first_where_two_cannot_live_side_by_side() -> None:
    container = complete(CONTAINER, image="i", command=["a"], entrypoints=["b"])
    changes = diff(TABLES[CONTAINER], container, {**container, "image": "j"})
    assert response(TABLES[CONTAINER], changes, container, True).deleteBeforeReplace, "containers always"
    for name, first in (({}, False), ({"name": "fixed"}, True)):
        news = complete(NETWORK, driver="overlay", **name)
        changes = diff(TABLES[NETWORK], {**news, "driver": "bridge"}, news)
        answer = response(TABLES[NETWORK], changes, news, False)
        assert (answer.deleteBeforeReplace, list(answer.replaces)) == (first, ["driver"]), "networks by their name"
    update = {**container, "memory": 9}
    answer = response(TABLES[CONTAINER], diff(TABLES[CONTAINER], container, update), update, True)
    assert not answer.deleteBeforeReplace, "an update deletes nothing"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"nosuch": 1}, "Invalid or unknown key. Examine values at 'own.nosuch'"),
        ({"deviceCgroupRules": ["a"]}, "Invalid or unknown key"),
        ({"bridge": "x"}, "Invalid or unknown key"),
        ({"uploads": [{"file": "/a", "content": "b", "owner": "c"}]}, "Examine values at 'own.uploads'"),
        ({"uploads": [{"content": "b"}]}, "Missing required argument ('file')"),
        ({"uploads": [{"file": "/a", "content": "b", "permissions": "400"}]}, "doesn't match the pattern"),
        ({"uploads": [{"file": "/a", "contentBase64": "?"}]}, "not base64"),
        ({"restart": "sometimes"}, "doesn't match the pattern"),
        ({"memory": -1}, "cannot be lower than 0"),
        ({"memory": "much"}, "expected type int"),
        ({"healthcheck": {"interval": "1 minute"}}, "'1 minute' is not a valid duration"),
        ({"gpus": "all"}, "stand-in of this plugin does not support 'gpus'"),
    ],
)
def test_check_refuses_with_the_reason_and_the_place(given: dict[str, Any], reason: str) -> None:
    _, wrong = check(TABLES[CONTAINER], "own", {}, {"image": "i", **given})
    assert len(wrong) == 1, f"one mistake, one reason: {wrong}"
    assert reason in wrong[0], "the reason is the real plugin's"


def test_check_fills_in_what_the_real_plugin_fills_in() -> None:
    inputs, _ = check(TABLES[CONTAINER], "own", {}, {"image": "i", "memory": "64", "wait": "true"})
    assert {"mustRun": True, "removeVolumes": True, "networkMode": "bridge", "memory": 64, "wait": True}.items() <= (
        inputs.items()
    ), "defaults, and numbers written as texts"
    assert "destroyGraceSeconds" not in inputs, "which means: killed at once"
    assert inputs["name"].startswith("own-") and len(inputs["name"]) == len("own-1936cce"), "a name of its own"
    assert "name" in inputs[DEFAULTS], "known to be made up"
    again, _ = check(TABLES[CONTAINER], "own", inputs, {"image": "i"})
    assert again["name"] == inputs["name"], "and kept"
    _, wrong = check(TABLES[CONTAINER], "own", {}, {})
    assert wrong == ["Missing required argument. Examine values at 'own.image'."]
    _, wrong = check(TABLES[CONTAINER], "own", {}, {"image": UNKNOWN, "memory": UNKNOWN, "uploads": [UNKNOWN]})
    assert wrong == [], "what is not known yet is not judged"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("60s", "1m0s"),
        ("1m0s", "1m0s"),
        ("90m", "1h30m0s"),
        ("1h", "1h0m0s"),
        ("1m0.5s", "1m0.5s"),
        ("1.5s", "1.5s"),
        ("0.25s", "250ms"),
        ("1500us", "1.5ms"),
        ("0", "0s"),
    ],
)
def test_durations_take_gos_form(text: str, form: str) -> None:
    assert durations.go_form(durations.parse(text)) == form, "as Go prints what it has read"


@pytest.mark.parametrize("text", ["", "60", "1 m", "s", "1d", "1m 0s"])
def test_what_go_does_not_read_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a valid duration"):
        durations.parse(text)


def test_values_survive_the_wire_and_secrets_are_opened() -> None:
    given = {"a": [1, 2.5, "x", True, {"b": UNKNOWN}], "c": {}}
    assert wire.from_struct(wire.to_struct(given)) == given, "nothing is lost, unknown stays unknown"
    sealed = wire.to_struct({"a": wire.Secret("x"), "b": None})
    assert "1b47061264138c4ac30d75fd1eb44270" in str(sealed), "the engine sees that it is a secret"
    assert wire.from_struct(sealed) == {"a": "x"}, "a plugin sees its value"
