"""Which node of a swarm has which database, and how one takes the place of another."""

import math
from collections.abc import Sequence

import pytest

from components.database.role_change import HandOver, stop_all
from components.database_roles import DUMP, DUMP_KEY, LEFT_NODE, PROMOTIONS, DatabaseRoles, RoleChange, database_roles
from components.orchestrator.swarm.nodes import Deployed, Node, SwarmInfo
from components.orchestrator.swarm.placement import Place, database_places
from components.orchestrator.watcher import NotReady, WaitTarget
from components.settings.parsing import parse_settings
from components.swarm_preflight import swarm_refusals
from tests.support.program import PREFIX, FakeWatcher, Run
from tests.support.swarm import ON_SWARM, SERVICE, SWARM, container_of, files_of, node, service_of, wait
from tests.unit.test_preflight import NAMING
from tests.unit.test_swarm_preflight import SETTINGS

FIRST = "database-data"


def service(hostname: str, volume: str = FIRST, **labels: str) -> Deployed:
    return Deployed(node=hostname, volumes=(NAMING.of(volume),), labels=labels)


def swarm(*nodes: Node, **deployed: Deployed) -> SwarmInfo:
    """Return a swarm with these nodes, else the usual three, and databases by their parts with `_` for `-`."""
    named = {NAMING.of(part.replace("_", "-")): found for part, found in deployed.items()}
    return SwarmInfo(own="db-1", nodes=nodes or SWARM.nodes, published_ports={}, deployed=named)


def roles(there: SwarmInfo, **changed: object) -> DatabaseRoles:
    return database_roles(parse_settings({**SETTINGS, **changed}), NAMING, there)


TWO = {"primary": service("db-1"), "replica_1": service("db-2")}
DB_1_IS_AWAY = (node("db-1", state="down"), node("db-2"), node("app-1"))
SWITCHED = {"primary": service("db-2", **{LEFT_NODE: "db-1"}), "replica_1": service("db-1")}


def test_databases_have_volumes_of_their_nodes_whatever_their_part() -> None:
    assert database_places("a", ["b", "a", "b"]) == {
        "primary": Place("a", FIRST),
        "replica-1": Place("b", FIRST),
        "replica-2": Place("a", "database-2-data"),
        "replica-3": Place("b", "database-2-data"),
    }


def test_what_is_deployed_on_its_nodes_stays_there() -> None:
    found = roles(swarm(**TWO))
    assert (found.primary_node, found.replica_nodes, found.change, found.leaving) == ("db-1", ("db-2",), None, ())
    assert found.labels == {} and found.warnings == []
    assert roles(swarm()) == DatabaseRoles(primary_node="db-1", replica_nodes=("db-2",)), "of a stack to come, too"


def test_the_primary_and_the_replica_of_the_new_node_change_places() -> None:
    found = roles(swarm(**TWO), primaryNode="db-2")
    assert (found.primary_node, found.replica_nodes) == ("db-2", ("db-1",))
    assert found.change and not found.change.promotes and found.change.replica == NAMING.of("replica-1")
    assert found.leaving == (NAMING.of("replica-1"),), "its volume is the primary's now"
    assert found.labels == {LEFT_NODE: "db-1"} and found.promotions == 0
    (warning,) = found.warnings
    assert "moves from db-1 to db-2" in warning


@pytest.mark.parametrize("written", ["db-2", "db-1"])
def test_the_replica_stays_where_the_primary_was(written: str) -> None:
    found = roles(swarm(**SWITCHED), primaryNode="db-2", replicaNodes=written)
    assert (found.replica_nodes, found.change, found.leaving) == (("db-1",), None, ())
    assert found.labels == {LEFT_NODE: "db-1"}, "the next run has to know it, too"


def test_the_way_back_is_the_same() -> None:
    found = roles(swarm(**SWITCHED))
    assert (found.primary_node, found.replica_nodes, found.left_node) == ("db-1", ("db-2",), "db-2")
    assert found.change and found.change.old_node == "db-2"


def test_a_primary_whose_node_is_away_gives_way_to_the_replica_which_is_promoted() -> None:
    labels = {DUMP: "small.sql.gz", DUMP_KEY: "k"}
    found = roles(
        swarm(*DB_1_IS_AWAY, primary=service("db-1", **labels), replica_1=TWO["replica_1"]), primaryNode="db-2"
    )
    assert found.change and found.change.promotes
    assert found.change.marker == "dump_key=k\ndump_name=small.sql.gz\naccepted_key=k\n"
    assert (found.replica_nodes, found.left_out, found.promotions) == ((), True, 1)
    assert found.labels == {LEFT_NODE: "db-1", PROMOTIONS: "1"}
    promoted, without = found.warnings
    assert "the replica on db-2 is promoted" in promoted and "without the replica" in without


def test_the_replica_is_left_out_until_the_node_is_back() -> None:
    primary = service("db-2", **{LEFT_NODE: "db-1", PROMOTIONS: "2"})
    found = roles(swarm(*DB_1_IS_AWAY, primary=primary), primaryNode="db-2")
    assert (found.replica_nodes, found.left_out, found.change, found.promotions) == ((), True, None, 2)
    found = roles(swarm(primary=primary), primaryNode="db-2")
    assert (found.replica_nodes, found.left_out, found.promotions) == (("db-1",), False, 2)


def test_a_replica_on_the_node_of_the_primary_is_one_where_it_was_from_the_beginning() -> None:
    there = swarm(primary=service("db-1"), replica_1=service("db-1", "database-2-data"))
    found = roles(there, replicaNodes="db-1")
    assert (found.replica_nodes, found.leaving) == (("db-1",), ())


def test_a_replica_that_takes_the_place_of_another_waits_for_its_end() -> None:
    there = swarm(primary=service("app-1"), replica_1=service("db-1"), replica_2=service("db-2"))
    found = roles(there, primaryNode="app-1", replicaNodes="db-2")
    assert found.leaving == (NAMING.of("replica-2"),)


@pytest.mark.parametrize("nodes", [(), DB_1_IS_AWAY])
def test_the_primary_moves_to_no_node_without_a_replica(nodes: Sequence[Node]) -> None:
    there = swarm(*nodes, **TWO)
    refusals = [*swarm_refusals(parse_settings({**SETTINGS, "primaryNode": "app-1"}), NAMING, there)]
    assert any("app-1 has no replica that could take its place" in refusal for refusal in refusals)
    assert any("pulumi config set primaryNode db-1" in refusal for refusal in refusals)


@pytest.mark.parametrize("nodes", [(), DB_1_IS_AWAY])
def test_a_node_that_has_a_replica_is_accepted(nodes: Sequence[Node]) -> None:
    there = swarm(*nodes, **TWO)
    assert not [*swarm_refusals(parse_settings({**SETTINGS, "primaryNode": "db-2"}), NAMING, there)]


def deployed_as(there: SwarmInfo) -> SwarmInfo:
    """Return a swarm with the names of the program under test."""
    named = {name.replace(NAMING.prefix, PREFIX): found for name, found in there.deployed.items()}
    volumes = {
        name: Deployed(
            node=found.node,
            volumes=tuple(volume.replace(NAMING.prefix, PREFIX) for volume in found.volumes),
            labels=found.labels,
        )
        for name, found in named.items()
    }
    return SwarmInfo(own="db-1", nodes=there.nodes, published_ports={}, deployed=volumes)


def test_databases_on_a_swarm_start_through_the_script_that_changes_roles(built: Run) -> None:
    recorded = built(**ON_SWARM)
    for part, role in (("primary", "primary"), ("replica-1", "replica")):
        command = container_of(recorded, part)["commands"]
        assert command[-3:] == ["/opt/dhis2-cluster/role-change.sh", "start", role]
        assert "/opt/dhis2-cluster/role-change.sh" in files_of(recorded, part)
        mounted = {mount["target"]: mount.get("source") for mount in container_of(recorded, part)["mounts"]}
        assert mounted["/var/lib/postgresql"] == f"{PREFIX}-{FIRST}"
    assert "/opt/dhis2-cluster/role-change.sh" not in built().container("primary").files, "one machine has one node"


def test_a_switch_over_keeps_the_cores_and_their_password(built: Run) -> None:
    before = built(**ON_SWARM)
    after = built(**{**ON_SWARM, "swarm": deployed_as(swarm(**TWO)), "primaryNode": "db-2"})
    for recorded in (before, after):
        assert "keepers" not in recorded.one("random:index/randomPassword:RandomPassword", "database-password").inputs
    assert service_of(before, "core-1") == service_of(after, "core-1")
    assert service_of(after, "primary")["taskSpec"]["placement"]["constraints"] == ["node.hostname==db-2"]
    assert service_of(after, "replica-1")["taskSpec"]["placement"]["constraints"] == ["node.hostname==db-1"]
    labels = {entry["label"]: entry["value"] for entry in service_of(after, "primary")["labels"]}
    assert labels[LEFT_NODE] == "db-1" and PROMOTIONS not in labels
    assert "primary-gate" in after.gates and "primary-gate" not in before.gates


def test_a_promotion_replaces_passwords_and_deletes_the_cores_first(built: Run) -> None:
    there = deployed_as(swarm(*DB_1_IS_AWAY, **TWO))
    after = built(**{**ON_SWARM, "swarm": there, "primaryNode": "db-2", "backupSchedule": "manual"})
    for use in ("database", "replication", "backup-role"):
        password = after.one("random:index/randomPassword:RandomPassword", f"{use}-password")
        assert password.inputs["keepers"] == {"promotions": "1"}
        assert not password.request.deleteBeforeReplace, "the old secret is in use until the cores are deleted"
    trigger = after.one("random:index/randomId:RandomId", "core-replacement")
    assert trigger.inputs["keepers"]["promotions"] == "1"
    assert [item.name for item in after.of(SERVICE) if item.name.startswith("replica")] == []
    assert after.outputs["replicas"] == 0
    assert any("is promoted" in warning for warning in after.warnings)


class FakeDatabases(FakeWatcher):
    """Records what is done to the services; `answers` are those of commands by their last words."""

    def __init__(self, **answers: tuple[int, str]) -> None:
        super().__init__()
        self.answers, self.done, self.stopped = answers, list[str](), set[str]()

    async def started_at(self, container: str) -> float:
        return math.inf if container in self.stopped else 1.0

    async def stop(self, container: str, timeout_seconds: int) -> None:
        self.stopped.add(container)
        self.done.append(f"stop {container}")

    async def start(self, container: str) -> None:
        self.stopped.discard(container)
        self.done.append(f"start {container}")

    async def execute(self, container: str, command: Sequence[str]) -> tuple[int, str]:
        name = "restored" if command[0] == "cat" else command[2]
        self.done.append(f"{name} in {container}" + ("".join(f" {word}" for word in command[3:])))
        return self.answers.get(name, (0, ""))

    async def until_succeeds(self, target: WaitTarget, command: Sequence[str], failure: str) -> None:
        await self.execute(target.container, command)

    async def write_file(self, container: str, path: str, content: str | bytes, uid: int) -> None:
        self.done.append(f"write {path} in {container} for {uid}: {content!r}")


def hand_over(watcher: FakeDatabases, *, promotes: bool = False) -> None:
    change = RoleChange(old_node="db-1", new_node="db-2", replica="two", promotes=promotes, marker="known")
    wait(HandOver(change=change, primary=WaitTarget("one", "the primary"), data="/data", uid=9).done(watcher))


def test_a_replica_takes_over_when_it_has_all_that_the_primary_wrote() -> None:
    watcher = FakeDatabases(restored=(0, "dump_key=k\n"), position=(0, "0/3000060\n"))
    hand_over(watcher)
    assert watcher.done == [
        "restored in one",
        "write /data/promotion.prepared in two for 9: 'dump_key=k\\n'",
        "position in two",
        "stop one",
        "allow in two 0/3000060",
        "stop two",
    ]


def test_a_primary_is_not_stopped_for_a_replica_that_does_not_stream() -> None:
    watcher = FakeDatabases(position=(1, "fatal: the replica does not stream from its primary"))
    with pytest.raises(NotReady, match=r"does not stream from its primary\. Nothing was changed"):
        hand_over(watcher)
    assert not watcher.stopped


def test_a_primary_is_started_again_where_the_replica_has_not_received_all() -> None:
    watcher = FakeDatabases(position=(0, "log line\n0/3000060"), allow=(1, "fatal: has not received all"))
    with pytest.raises(NotReady, match=r"has not received all\. The primary on db-1 is started again"):
        hand_over(watcher)
    assert not watcher.stopped and "stop two" not in watcher.done


def test_what_an_update_that_ended_half_way_has_stopped_is_started_first() -> None:
    watcher = FakeDatabases(position=(0, "0/3000060"))
    watcher.stopped = {"one", "two"}
    hand_over(watcher)
    assert watcher.done[:2] == ["start two", "start one"]
    assert watcher.stopped == {"one", "two"}


def test_a_primary_that_is_not_ready_is_no_reason_to_lose_rows() -> None:
    watcher = FakeDatabases()

    def fail(target: WaitTarget) -> None:
        raise NotReady(f"{target.display_name} exited with code 1")

    watcher.failing = fail
    with pytest.raises(NotReady, match="docker node update --availability drain db-1 && pulumi up"):
        hand_over(watcher)
    assert watcher.done == []


def test_a_replica_whose_primary_is_away_is_promoted_with_what_it_has() -> None:
    watcher = FakeDatabases()
    hand_over(watcher, promotes=True)
    assert watcher.done == ["write /data/promotion.prepared in two for 9: 'known'", "allow in two", "stop two"]


def test_replicas_whose_places_others_take_end_before(built: Run) -> None:
    watcher = FakeDatabases()
    wait(stop_all(watcher, ["three"]))
    assert watcher.done == ["stop three"]
    there = deployed_as(swarm(primary=service("app-1"), replica_1=service("db-1"), replica_2=service("db-2")))
    watcher = FakeDatabases()
    built(**{**ON_SWARM, "swarm": there, "primaryNode": "app-1"}, watcher=watcher)
    assert f"stop {PREFIX}-replica-2" in watcher.done
