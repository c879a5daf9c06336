"""The services of a stack on a swarm: which there are, where they run, and what changes them."""

import asyncio

import pulumi
import pytest

from components.orchestrator.swarm.nodes import SwarmInfo
from components.orchestrator.watcher import NotReady, WaitTarget
from tests.support.program import CONTAINER, IMAGE, NETWORK, PREFIX, VOLUME, FakeWatcher, Recorded, Run
from tests.support.swarm import (
    CONFIG,
    ON_SWARM,
    SECRET,
    SERVICE,
    SWARM,
    Json,
    container_of,
    files_of,
    node,
    parts_of,
    service_of,
)
from tests.unit.test_cluster import changed

TWO_REPLICAS: Json = {**ON_SWARM, "replicas": 2, "replicaNodes": "db-2,app-1"}
MANAGERS = ["node.role==manager"]


def constraints(recorded: Recorded, part: str) -> list[str]:
    found: list[str] = service_of(recorded, part)["taskSpec"]["placement"].get("constraints", [])
    return found


def tasks(recorded: Recorded, part: str) -> int:
    return int(service_of(recorded, part)["mode"]["replicated"]["replicas"])


def networks(recorded: Recorded, part: str) -> dict[str, list[str]]:
    attached = service_of(recorded, part)["taskSpec"]["networksAdvanceds"]
    # By id: by name, a refresh shows a diff.
    return {entry["id"].removesuffix("-id"): entry["aliases"] for entry in attached if entry["id"].endswith("-id")}


def test_every_part_is_a_service_and_none_a_container_or_volume(built: Run) -> None:
    recorded = built(**TWO_REPLICAS, cores=3, backupSchedule="manual")
    databases = {"primary", "replica-1", "replica-2"}
    assert parts_of(recorded) == {"lb", "core-1", "core", "cache", *databases, "dump", "backup", "backup-tools"}
    assert not recorded.of(CONTAINER) and not recorded.of(VOLUME), "they would be on the manager's node only"
    registered = [(item.kind, item.name) for item in recorded.resources]
    assert len(set(registered)) == len(registered), "two resources of one name are one to the Pulumi engine"


def test_a_stack_of_one_machine_has_containers_as_before(built: Run) -> None:
    recorded = built(cores=2)
    assert not [item.name for kind in (SERVICE, CONFIG, SECRET) for item in recorded.of(kind)]
    assert {"core-1", "core-2"} <= {item.name for item in recorded.containers}
    core = recorded.container("core-1").environment
    assert core["DHIS2_HOME"] == "/opt/dhis2" and "dhis2.home" not in core["JAVA_TOOL_OPTIONS"]
    assert "file-names-" not in str([item.name for item in recorded.resources]), "no key of names it has not"


@pytest.mark.parametrize("cores", [1, 2, 3, 4])
def test_the_first_core_is_a_service_of_its_own_and_the_others_are_tasks_of_one(built: Run, cores: int) -> None:
    recorded = built(**ON_SWARM, cores=cores)
    assert tasks(recorded, "core-1") == 1
    assert ("core" in parts_of(recorded)) == (cores > 1)
    if cores > 1:
        assert tasks(recorded, "core") == cores - 1
        assert container_of(recorded, "core")["hostname"] == "cores-{{.Task.Slot}}", "logs and node.id name it"
        assert "core-1" in recorded.one(SERVICE, "core").needs, "the first core migrates alone"
        assert f"{PREFIX}-core" in recorded.watcher.waited
    assert recorded.outputs["cores"] == cores


def test_scaling_changes_only_the_number_of_tasks(built: Run) -> None:
    two, four = built(**ON_SWARM, cores=2), built(**ON_SWARM, cores=4)
    assert changed(two, four) == {"core"}, "users of the others would notice"
    service = service_of(four, "core")
    assert service | {"mode": service_of(two, "core")["mode"]} == service_of(two, "core"), "no running task restarts"
    added = {item.name for item in two.resources} - {item.name for item in built(**ON_SWARM, cores=1).resources}
    assert all(name == "core" or name.startswith("core-") for name in added), "with the files of its own"


def test_another_dump_or_image_deletes_every_core_and_the_sessions_first(built: Run) -> None:
    recorded = built(**ON_SWARM, cores=2)
    replaced = {}
    for item in recorded.of(SERVICE):
        replaced[item.name] = {urn.rsplit("::", 1)[-1] for urn in item.request.replace_with}
    trigger = {"core-replacement"}
    assert {part: found for part, found in replaced.items() if found} == dict.fromkeys(
        ("core-1", "core", "cache"), trigger
    )
    assert not list(built().container("cache").request.replace_with), "another file replaces a container anyway"


def test_networks_are_never_replaced_for_what_is_read_back(built: Run) -> None:
    for item in built(**ON_SWARM).of(NETWORK):
        assert set(item.request.ignoreChanges) == {"labels", "options"}, "all services would be replaced too"


def test_networks_are_overlays_of_which_the_data_leads_nowhere_else(built: Run) -> None:
    found = {item.name: item.inputs for item in built(**ON_SWARM).of(NETWORK)}
    assert {name: inputs["driver"] for name, inputs in found.items()} == dict.fromkeys(found, "overlay")
    assert {name: inputs["internal"] for name, inputs in found.items()} == {"edge": False, "app": False, "data": True}
    assert [inputs["options"] for inputs in found.values()] == [{"encrypted": "true"}] * 3


def test_networks_are_not_encrypted_where_that_is_switched_off(built: Run) -> None:
    recorded = built(**ON_SWARM, encryptedNetworks="false")
    assert [item.inputs.get("options") for item in recorded.of(NETWORK)] == [None] * 3


def test_encrypted_networks_have_the_mtu_of_the_daemon(built: Run) -> None:
    options = {"encrypted": "true", "com.docker.network.driver.mtu": "1450"}
    assert [item.inputs["options"] for item in built(**ON_SWARM, mtu=1450).of(NETWORK)] == [options] * 3


def test_the_load_balancer_has_no_route_to_the_data_network(built: Run) -> None:
    recorded = built(**ON_SWARM, cores=2)
    assert networks(recorded, "lb").keys() == {"edge", "app"}
    assert networks(recorded, "core-1") == {"app": ["core", "core-1"], "data": ["core-1"]}
    assert networks(recorded, "core") == {"app": ["core"], "data": ["core"]}, "one name leads to all cores"
    assert networks(recorded, "primary") == {"data": ["postgres-primary"]}
    assert networks(recorded, "cache") == {"data": ["cache"]}
    assert networks(recorded, "dump") == {"edge": ["dump"]}


def test_names_lead_to_the_tasks_and_only_the_load_balancer_is_published_on_its_nodes(built: Run) -> None:
    recorded = built(**ON_SWARM, cores=2, port=9000)
    endpoints = {item.name: item.inputs["endpointSpec"] for item in recorded.of(SERVICE)}
    assert {endpoint["mode"] for endpoint in endpoints.values()} == {"dnsrr"}, "NGINX balances, not a virtual IP"
    assert [part for part, endpoint in endpoints.items() if endpoint.get("ports")] == ["lb"]
    (port,) = endpoints["lb"]["ports"]
    assert port == {"targetPort": 8080, "publishedPort": 9000, "protocol": "tcp", "publishMode": "host"}, (
        "through the ingress network all users have one address"
    )


def test_every_manager_has_a_load_balancer(built: Run) -> None:
    recorded = built(**ON_SWARM)
    assert service_of(recorded, "lb")["mode"] == {"global": True}
    assert constraints(recorded, "lb") == MANAGERS


def test_load_balancers_are_on_the_nodes_that_are_named(built: Run) -> None:
    recorded = built(**ON_SWARM, lbNodes="db-2,app-1")
    assert constraints(recorded, "lb") == ["node.hostname!=db-1"], (
        "constraints are met together, so the others are named"
    )
    assert constraints(built(**ON_SWARM, lbNodes="db-1,db-2,app-1"), "lb") == []


def test_what_has_a_volume_is_pinned_to_the_node_of_it(built: Run) -> None:
    recorded = built(**TWO_REPLICAS, cores=2, backupSchedule="manual")
    pinned = {part: constraints(recorded, part) for part in parts_of(recorded) - {"lb"}}
    primary = ["node.hostname==db-1"]
    assert pinned == {
        "primary": primary,
        "dump": primary,
        "backup": primary,
        "backup-tools": primary,
        "replica-1": ["node.hostname==db-2"],
        "replica-2": ["node.hostname==app-1"],
        "cache": [],
        "core-1": [],
        "core": [],
    }
    assert constraints(built(**ON_SWARM, cacheNode="app-1"), "cache") == ["node.hostname==app-1"]


def test_another_node_of_a_load_balancer_or_the_cache_changes_nothing_else(built: Run) -> None:
    before = built(**ON_SWARM, cores=2)
    assert changed(before, built(**ON_SWARM, cores=2, lbNodes="db-2")) == {"lb"}
    assert changed(before, built(**ON_SWARM, cores=2, cacheNode="db-2")) == {"cache"}


def test_a_node_that_joins_changes_a_load_balancer_of_named_nodes_only(built: Run) -> None:
    joined = SwarmInfo(own="db-1", nodes=(*SWARM.nodes, node("app-2")), published_ports={})
    assert changed(built(**ON_SWARM), built(**{**ON_SWARM, "swarm": joined})) == set()
    named = {**ON_SWARM, "lbNodes": "db-1"}
    assert changed(built(**named), built(**{**named, "swarm": joined})) == {"lb"}


def test_a_service_is_created_when_the_tasks_of_a_removed_one_have_ended(run: Run) -> None:
    recorded = run(**ON_SWARM, cores=2)
    for item in recorded.of(SERVICE):
        assert next(iter(item.request.hooks.before_create)) == f"{item.name}-gone", "before it waits for others"
        asyncio.run(recorded.gates[f"{item.name}-gone"](None))
    expected = sorted(f"{PREFIX}-{part}" for part in parts_of(recorded))
    assert sorted(recorded.watcher.gone) == expected, "two servers would write to one volume"


def test_what_is_updated_in_place_is_held_back_as_what_is_created(built: Run) -> None:
    gated = {}
    for item in built(**ON_SWARM, cores=2).of(SERVICE):
        hooks = item.request.hooks
        assert list(hooks.before_create)[1:] == list(hooks.before_update), item.name
        gated[item.name] = list(hooks.before_update)
    assert {part: hooks for part, hooks in gated.items() if hooks} == {
        "core-1": ["core-1-gate"],
        "replica-1": ["replica-1-gate"],
        "lb": ["lb-gate"],
    }
    containers = built(cores=2).containers
    assert not [item.name for item in containers if item.request.hooks.before_update], "those are replaced"


def test_images_are_pulled_by_each_node_by_their_digest(run: Run) -> None:
    images = run(**ON_SWARM).of(IMAGE)
    assert {item.name for item in images} == {"load-balancer-image", "database-image", "core-image", "cache-image"}
    assert all(item.inputs["keepLocally"] for item in images)


def test_dhis2_is_asked_through_the_name_of_the_load_balancer(built: Run) -> None:
    (command,) = built(**ON_SWARM).watcher.commands
    assert command[-1] == "http://lb:8080/api/ping", "127.0.0.1 is the job's own"


def test_a_preview_shows_all_services_and_waits_for_nothing(run: Run) -> None:
    recorded = run(preview=True, **ON_SWARM, cores=2)
    assert {"core-1", "core", "primary"} <= parts_of(recorded)
    assert recorded.watcher.waited == [] and recorded.watcher.gone == []


def test_dhis2_has_its_home_among_the_jvm_options(built: Run) -> None:
    recorded = built(**ON_SWARM, cores=2, javaOptions="-Xss2m")
    for core in ("core-1", "core"):
        options = container_of(recorded, core)["env"]["JAVA_TOOL_OPTIONS"].split()
        assert "-Ddhis2.home=/opt/dhis2" in options, "a second variable would restart all tasks in each update"
        assert options[-1] == "-Xss2m", "the last of two options counts"
        assert "/opt/dhis2/dhis.conf" in files_of(recorded, core)


def test_each_image_is_pulled_on_the_nodes_of_what_it_is_for(built: Run) -> None:
    pulled = {part: constraints for part, _, constraints in built(**TWO_REPLICAS).watcher.pulled}
    assert pulled == {
        "lb": ("node.role==manager",),
        "dump": ("node.hostname==db-1",),
        "primary": ("node.hostname==db-1",),
        "replica-1": ("node.hostname==db-2",),
        "replica-2": ("node.hostname==app-1",),
        "cache": (),
        "core-1": (),
    }


def test_nothing_is_replaced_for_an_image_that_nodes_lack(run: Run) -> None:
    def fail(target: WaitTarget) -> None:
        if target.container.startswith("image ") and "core" in target.container:
            raise NotReady("a node lacks it")

    into = Recorded(watcher=FakeWatcher(failing=fail))
    with pytest.raises(pulumi.RunError, match="a node lacks it"):
        run(into=into, **ON_SWARM)
    assert not {item.name for item in into.resources} & {"core-replacement", "core-1", "primary"}


def test_a_preview_pulls_nothing_on_nodes(run: Run) -> None:
    assert run(preview=True, **ON_SWARM).watcher.pulled == []
