"""Preflight of a swarm: what is refused before anything is registered."""

from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound

from components import preflight
from components.dhis2.dump_source import resolve_dump_source
from components.dhis2.release import resolve_release
from components.load_balancer.sizing import memory_mb as load_balancer_mb
from components.memory import demand, needed_mb
from components.naming import Naming
from components.orchestrator import engine_info
from components.orchestrator.swarm.nodes import Node, SwarmInfo
from components.preflight import PreflightError, check, check_disk
from components.settings.parsing import parse_settings
from components.swarm_preflight import load_balancers, nodes_without_load_balancer, reached_at_node, swarm_refusals
from tests.support import swarm as stacks
from tests.support.swarm import SWARM, Json, node
from tests.unit.test_preflight import NAMING, Engine
from tests.unit.test_swarm_nodes import THREE, Manager, reported

SETTINGS = {
    **stacks.SETTINGS,
    "fileStore": "s3://files?endpoint=https://s3.example.org",
    "fileStoreAccessKey": "key",
    "fileStoreSecretKey": "secret",
}
LIST = "Its nodes: app-1 (worker, ready, 16000 MB); db-1 (manager, ready, 16000 MB); db-2 (manager, ready, 16000 MB)."


def refusals(*nodes: Node, ports: dict[int, str] | None = None, **changed: object) -> list[str]:
    """Return all refusals of settings on a swarm of these nodes, of the usual three without any."""
    swarm = SwarmInfo(own="db-1", nodes=nodes or SWARM.nodes, published_ports=ports or {})
    return list(swarm_refusals(parse_settings({**SETTINGS, **changed}), NAMING, swarm))


def test_a_swarm_with_the_nodes_that_are_named_passes() -> None:
    assert refusals() == []
    assert refusals(lbNodes="db-1,app-1", cacheNode="app-1") == []


def test_a_file_store_on_one_node_is_refused_where_cores_run_on_several() -> None:
    (refusal,) = refusals(fileStore="volume")
    assert "cores run on any of 3" in refusal and "pulumi config set fileStore s3://" in refusal
    assert refusals(node("db-1"), replicaNodes="db-1", fileStore="volume") == []


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"primaryNode": "db-9"}, "primaryNode"),
        ({"replicaNodes": "db-9"}, "replicaNodes"),
        ({"cacheNode": "db-9"}, "cacheNode"),
        ({"lbNodes": "db-1,db-9"}, "lbNodes"),
    ],
)
def test_a_node_that_is_missing_is_refused_with_a_list_of_those_there_are(settings: Json, key: str) -> None:
    (refusal,) = refusals(**settings)
    assert refusal.startswith(f"{key}: the swarm has no node db-9. {LIST} Set one: ")
    assert f"pulumi config set {key}" in refusal.replace("--path ", "")


def test_two_nodes_of_one_name_are_refused_where_it_is_used() -> None:
    twins = (*SWARM.nodes, node("db-2", memory_mb=8000))
    (refusal,) = refusals(*twins)
    assert refusal.startswith("replicaNodes: the swarm has more than one node db-2.") and "hostnamectl" in refusal
    assert refusals(*SWARM.nodes, node("app-2"), node("app-2")) == []


@pytest.mark.parametrize("changed", [{"availability": "drain"}, {"availability": "pause"}, {"state": "down"}])
def test_a_node_that_takes_no_tasks_is_refused(changed: Json) -> None:
    (refusal,) = refusals(node("db-1"), node("db-2", **changed))
    assert refusal.startswith("replicaNodes: the node db-2 takes no tasks.")
    assert "docker node update --availability active db-2" in refusal


def test_a_database_that_does_not_fit_its_node_is_refused() -> None:
    (refusal,) = refusals(node("db-1"), node("db-2", memory_mb=4000), databaseMemory=5000)
    assert "the databases on db-2 may use 5000 MB of memory, and it has 4000 MB" in refusal
    assert refusal.endswith("pulumi config set databaseMemory 4000")


def test_a_core_that_fits_no_node_is_refused() -> None:
    nodes = (node("db-1", memory_mb=4000), node("db-2", memory_mb=6000), node("x", memory_mb=64_000, state="down"))
    refusal, *_ = refusals(*nodes, coreMemory=6001)
    assert refusal == (
        "a core may use 6001 MB of memory, and the largest node that takes tasks has 6000 MB. "
        "Use less: pulumi config set coreMemory 6000"
    )
    assert not any("a core may use" in each for each in refusals(*nodes, coreMemory=6000))


def test_two_databases_on_one_node_are_added_up() -> None:
    nodes = (node("db-1", memory_mb=5000), node("app-1", memory_mb=30_000))
    (refusal,) = refusals(*nodes, replicaNodes="db-1", databaseMemory=4000)
    assert "the databases on db-1 may use 8000 MB of memory, and it has 5000 MB" in refusal
    assert refusal.endswith("pulumi config set databaseMemory 2500")
    assert refusals(*nodes, replicaNodes="db-1", databaseMemory=2500) == [], "the proposed setting fits"


def test_a_stack_that_does_not_fit_the_nodes_that_take_tasks_is_refused() -> None:
    nodes = (node("db-1", memory_mb=8000), node("db-2", memory_mb=8000), node("x", availability="drain"))
    (refusal,) = refusals(*nodes, cores=8)
    demanded = demand(parse_settings({**SETTINGS, "cores": 8}), 2)
    assert refusal.startswith(f"{demanded}, and the nodes that take tasks have 16000 MB. Add a node, ")
    assert refusal.endswith("pulumi config set cores 3")
    assert refusals(*nodes, cores=3) == [], "the proposed setting fits"
    assert refusals(*nodes, cores=4) != [], "and one more does not"
    (refusal,) = refusals(node("db-1", memory_mb=3100), node("db-2", memory_mb=3100))
    assert refusal.endswith("Add a node: docker swarm join-token worker"), "not even one core fits"


@pytest.mark.parametrize(
    ("lb_nodes", "count"), [("", 2), ("db-1", 1), ("db-1,app-1,db-2", 3), ("db-1,db-1", 1)], ids=str
)
def test_a_load_balancer_counts_once_for_each_of_its_nodes(lb_nodes: str, count: int) -> None:
    settings = parse_settings({**SETTINGS, "lbNodes": lb_nodes})
    assert load_balancers(settings, SWARM) == count, "without lbNodes each manager has one"
    more = needed_mb(settings, count) - needed_mb(settings, 1)
    assert more == (count - 1) * load_balancer_mb(https=False)
    drained = SwarmInfo(own="db-1", nodes=(node("db-1"), node("x", availability="drain")), published_ports={})
    assert load_balancers(parse_settings(SETTINGS), drained) == 1


def test_nodes_that_report_no_memory_pass() -> None:
    assert refusals(node("db-1", memory_mb=0), node("db-2", memory_mb=0), cores=16) == []


def test_a_port_that_another_service_publishes_is_refused() -> None:
    (refusal,) = refusals(ports={8080: "web"}, port=8080)
    assert refusal == "port 8080 is published by the service web. Choose another: pulumi config set port 8081"
    (refusal,) = refusals(ports={8443: "web"}, tls="selfSigned")
    assert refusal.endswith("pulumi config set httpsPort 8444")
    assert refusals(ports={8080: NAMING.of("lb"), 80: "web"}) == [], "or no second up would pass"


@pytest.mark.parametrize(
    ("stack", "refused"),
    [("dev", ""), ("a_b", ""), ("x" * 36, ""), ("x" * 37, "would have 64 characters"), ("2.42", "takes no service")],
)
def test_a_stack_whose_name_no_service_can_have_is_refused(stack: str, refused: str) -> None:
    found = list(swarm_refusals(parse_settings(SETTINGS), Naming("dhis2-cluster", stack), SWARM))
    assert bool(found) == bool(refused)
    assert all(refused in text and text.endswith("pulumi stack rename NAME") for text in found)


def test_nodes_without_a_load_balancer_are_those_not_named() -> None:
    assert nodes_without_load_balancer(parse_settings(SETTINGS), SWARM) is None, "all managers have one"
    named = parse_settings({**SETTINGS, "lbNodes": "db-1"})
    assert nodes_without_load_balancer(named, SWARM) == ["app-1", "db-2"]


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://10.0.0.1:8080"),
        ({"lbNodes": "db-2,db-1"}, "http://10.0.0.2:8080"),
        ({"hostname": "dhis2.example.org"}, "http://dhis2.example.org:8080"),
        ({"baseUrl": "https://dhis2.example.org"}, "https://dhis2.example.org"),
    ],
)
def test_users_reach_a_load_balancer_at_its_node_where_nothing_else_is_set(settings: Json, url: str) -> None:
    assert reached_at_node(parse_settings({**SETTINGS, **settings}), SWARM).public_url == url
    through_another = SwarmInfo(own="db-2", nodes=SWARM.nodes, published_ports={})
    assert reached_at_node(parse_settings({**SETTINGS, **settings}), through_another).public_url == url, (
        "or cores restart"
    )
    unknown = SwarmInfo(own="db-1", nodes=(node("db-1", address=""),), published_ports={})
    assert reached_at_node(parse_settings(SETTINGS), unknown).public_url == "http://127.0.0.1:8080"


def checked(monkeypatch: pytest.MonkeyPatch, engine: Engine, **settings: object) -> engine_info.EngineInfo:
    monkeypatch.setattr(engine_info, "connect", lambda _: engine)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return check(parse_settings({**SETTINGS, **settings}), NAMING, "dhis2/core:2.42")[0]


def test_preflight_refuses_what_a_swarm_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PreflightError, match="is in no swarm"):
        checked(monkeypatch, Manager({"LocalNodeState": "inactive"}))
    with pytest.raises(PreflightError, match="primaryNode: the swarm has no node db-9") as caught:
        checked(monkeypatch, Manager(nodes=THREE), primaryNode="db-9", replicaNodes="db-9")
    assert "\n" not in str(caught.value) and "replicaNodes:" not in str(caught.value), "the first one"


def test_preflight_of_a_swarm_does_not_look_at_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Manager(nodes=THREE, memory_mb=2000)
    found = checked(monkeypatch, engine, cores=4)
    assert found.swarm and [item.hostname for item in found.swarm.nodes] == ["app-1", "db-1", "db-2"]


def disk_problem(monkeypatch: pytest.MonkeyPatch, dump: Path, **settings: object) -> str:
    engine = checked(monkeypatch, Manager(nodes=THREE), **settings)
    source = resolve_dump_source(resolve_release("2.42", None, str(dump)))
    monkeypatch.setattr(preflight, "volume_exists", lambda *_: pytest.fail("the volume may be on any node"))
    try:
        check_disk(parse_settings({**SETTINGS, **settings}), NAMING, source, engine)
    except PreflightError as error:
        return str(error)
    return ""


def test_a_local_dump_goes_to_no_other_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dump = tmp_path / "d.sql"
    dump.write_text("SELECT 1;")
    refusal = disk_problem(monkeypatch, dump, primaryNode="db-2")
    assert refusal.startswith("the dump d.sql is a local file") and "(db-2), while dockerHost is on db-1" in refusal
    assert "docker node promote db-2" in refusal and "pulumi config set dumpUrl https://" in refusal
    assert disk_problem(monkeypatch, dump, primaryNode="db-1") == ""


def test_nodes_of_the_architecture_of_the_images_are_not_asked_about_at_a_registry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Manager(nodes=THREE, here=(parse_settings({}).cache_image,))
    monkeypatch.setattr(engine, "inspect_distribution", lambda _: pytest.fail("all images are there"))
    assert checked(monkeypatch, engine).warnings == (), "x86_64 of a node is amd64 of an image"


def mixed(arm: str, **engine: Any) -> Manager:  # noqa: ANN401 - of the Docker Engine
    """Return a manager of two nodes like itself and one of another architecture."""
    other = reported(arm)
    other["Description"]["Platform"] = {"Architecture": "aarch64"}
    nodes = [node for node in THREE if node["Description"]["Hostname"] != arm]
    return Manager(nodes=(*nodes, other), **engine)


def test_an_image_that_was_loaded_is_refused_where_a_node_has_another_architecture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = mixed("app-1", here=(parse_settings({}).cache_image,))
    monkeypatch.setattr(engine, "inspect_distribution", refuse)
    with pytest.raises(PreflightError) as caught:
        checked(monkeypatch, engine)
    message = str(caught.value)
    assert "on nodes of another architecture: dhis2/core:2.42 (built for amd64) on app-1 (arm64); " in message
    assert "Choose others: pulumi config set version …, pulumi config set databaseImage …" in message
    assert message.endswith("docker node update --availability drain app-1") and "\n" not in message


def refuse(_: str) -> None:
    raise APIError("500", explanation="no such host")


def no_image(_: str) -> None:
    raise ImageNotFound("no such image")


def test_a_node_of_another_architecture_is_refused_for_what_it_is_named_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PreflightError) as caught:
        checked(monkeypatch, mixed("db-2", platforms=("amd64", "unknown")))
    message, image = str(caught.value), parse_settings({}).database_image
    assert f"another architecture: {image} (built for amd64) on db-2 (arm64). Choose others: pulumi config" in message
    assert "dhis2/core" not in message, "the swarm starts it on other nodes"


def test_what_runs_on_any_node_runs_on_those_it_is_built_for(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings = checked(monkeypatch, mixed("app-1", platforms=("amd64",))).warnings
    assert (
        warnings[0]
        == "the swarm starts no task of dhis2/core:2.42 (built for amd64) on app-1 (arm64), only on other nodes"
    )
    assert checked(monkeypatch, mixed("app-1", platforms=("amd64", "arm64"))).warnings == ()


def test_an_image_for_none_of_the_nodes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = tuple(
        reported(name, availability="drain" if name == "db-9" else "active") for name in ("db-1", "db-2", "db-9")
    )
    for each in nodes[:2]:
        each["Description"]["Platform"] = {"Architecture": "aarch64"}
    with pytest.raises(PreflightError, match=r"dhis2/core:2.42 \(built for amd64\) on db-1 \(arm64\), db-2 \(arm64\)"):
        checked(monkeypatch, Manager(nodes=nodes, platforms=("amd64",)))


def test_an_architecture_that_is_not_known_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = {
        "Description": {"Hostname": "x"},
        "Spec": {"Role": "worker", "Availability": "active"},
        "Status": {"State": "ready"},
    }
    assert checked(monkeypatch, Manager(nodes=(*THREE, bare), platforms=("amd64",))).warnings == ()
    unknown = mixed("db-2", platforms=())
    monkeypatch.setattr(unknown, "get", no_image)
    assert checked(monkeypatch, unknown).warnings == (), "neither here nor at the registry"
    assert checked(monkeypatch, mixed("db-2", OperatingSystem="Docker Desktop", platforms=("amd64",))).warnings == ()
