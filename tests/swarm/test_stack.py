"""The life of a stack on three nodes, from nothing to nothing: steps in their order."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.load import Load
from tests.support.project import SIMULATOR
from tests.support.waiting import until
from tests.swarm.lab import Swarm
from tests.swarm.stacks import SwarmStack, deployed

pytestmark = [pytest.mark.swarm, pytest.mark.scenario]

OLDER, NEWER = (f"{SIMULATOR.partition(':')[0]}:{version}" for version in ("2.41.4", "2.42.5"))
RUNNING = {"primary": 1, "replica-1": 1, "cache": 1, "core-1": 1, "lb": 2, "dump": 0}


@pytest.fixture(scope="module")
def stack(swarm: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwarmStack]:
    """Deploy one core, load balancers on two nodes, and the databases on two others than the manager."""
    nodes = {"primaryNode": "node-2", "replicaNodes": '["node-3"]', "lbNodes": '["node-1", "node-3"]'}
    with deployed(swarm, tmp_path_factory.mktemp("stack"), image=OLDER, **nodes) as stack:
        yield stack


@pytest.fixture
def session(stack: SwarmStack) -> httpx.Cookies:
    """Return the cookies of a user who has logged in through the first load balancer."""
    return stack.log_in(stack.swarm.nodes[0])


def test_up_from_nothing_ends_with_dhis2_answering_through_the_load_balancer(stack: SwarmStack) -> None:
    url = stack.stack.outputs()["url"]
    assert url == stack.url(stack.swarm.nodes[0]), "the address of a node with a load balancer"
    assert httpx.get(f"{url}/api/ping").status_code == httpx.codes.OK, "DHIS2 answers once up has finished"
    assert stack.services() == RUNNING


def test_what_has_a_volume_runs_on_its_node_and_load_balancers_on_theirs(stack: SwarmStack) -> None:
    nodes = {part: sorted(stack.containers(part)) for part in ("primary", "replica-1", "lb")}
    assert nodes == {"primary": ["node-2"], "replica-1": ["node-3"], "lb": ["node-1", "node-3"]}


def test_a_second_up_changes_nothing(stack: SwarmStack) -> None:
    before = stack.container("core-1").id
    assert "unchanged" in stack.stack.up()
    done = stack.stack.pulumi("preview", "--refresh", "--expect-no-changes", "--stack", stack.stack.name)
    assert done.code == 0, f"the swarm reports other values than the program wrote:\n{done.text}"
    assert stack.container("core-1").id == before


def test_rows_arrive_on_the_node_of_the_replica(stack: SwarmStack) -> None:
    stack.sql("CREATE TABLE swarm_rows (n int); INSERT INTO swarm_rows VALUES (1)")
    until(lambda: stack.sql("SELECT count(*) FROM swarm_rows", "replica-1") == "1", "the row to arrive")


def test_a_session_is_valid_through_both_load_balancers(stack: SwarmStack, session: httpx.Cookies) -> None:
    for node in (stack.swarm.nodes[0], stack.swarm.nodes[2]):
        answer = httpx.get(f"{stack.url(node)}/api/me", cookies=session)
        assert answer.status_code == httpx.codes.OK, f"{node.hostname}: {answer.text}"


def test_a_file_uploaded_through_one_load_balancer_is_downloaded_through_the_other(
    stack: SwarmStack, session: httpx.Cookies
) -> None:
    first, second = (stack.url(stack.swarm.nodes[number]) for number in (0, 2))
    answer = httpx.post(f"{first}/api/fileResources", cookies=session, files={"file": ("note.txt", b"a note")})
    path = f"/api/fileResources/{answer.json()['response']['fileResource']['id']}"
    until(
        lambda: httpx.get(f"{second}{path}", cookies=session).json()["storageStatus"] == "STORED",
        "the upload to be stored",
    )
    assert httpx.get(f"{second}{path}/data", cookies=session).content == b"a note"


def test_scaling_under_load_through_two_load_balancers_fails_no_request(
    stack: SwarmStack, session: httpx.Cookies
) -> None:
    first, second = (stack.url(stack.swarm.nodes[number]) for number in (0, 2))
    before = stack.container("core-1").id
    with Load(first, session, clients=8) as one, Load(second, session, clients=8) as two:
        until(lambda: min(one.answered(), two.answered()) > 50, "some requests before")
        for cores in (2, 4, 2):
            stack.stack.set(cores=cores)
            stack.stack.up()
            assert stack.services()["core"] == cores - 1
            served_so_far = one.answered()
            until(lambda: one.answered() > served_so_far + 100, f"some requests on {cores} cores")  # noqa: B023
    for load in (one, two):
        assert not load.failures, f"failed requests: {dict(load.failures)}: {load.first_failure}"
    assert stack.container("core-1").id == before, "scaling replaces no core"


def test_another_version_starts_when_all_cores_of_the_one_before_have_ended(stack: SwarmStack) -> None:
    before = stack.container("core-1").attrs["Image"]
    stack.stack.set(image=NEWER)
    stack.stack.up()
    cores = [each for part in ("core-1", "core") for listed in stack.containers(part).values() for each in listed]
    assert len(cores) == 2
    assert before not in {core.attrs["Image"] for core in cores}


def test_a_node_that_is_not_there_is_named_with_those_that_are(stack: SwarmStack) -> None:
    stack.stack.set(primaryNode="node-9")
    output = stack.stack.failing_up()
    assert "primaryNode: the swarm has no node node-9. Its nodes: node-1 (manager, ready" in output
    stack.stack.set(primaryNode="node-2")


def test_with_keep_data_the_volumes_with_data_stay_and_are_used_again(stack: SwarmStack) -> None:
    stack.stack.set(keepData="true", backupSchedule="off")
    # Generated ones are lost with the state, and the database is one of this password.
    stack.stack.set_secret(encryptionPassword=stack.stack.outputs()["encryptionPassword"])
    stack.stack.up()
    stack.stack.destroy()
    kept = {"database-data on node-2", "database-data on node-3"}
    until(
        lambda: {name for name in stack.leftovers() if not name.startswith("cache-data on node-")} == kept,
        f"nothing to be left but {kept} and the volume of the cache",
    )
    stack.stack.up()
    assert stack.sql("SELECT count(*) FROM swarm_rows") == "1"
    until(lambda: stack.sql("SELECT count(*) FROM swarm_rows", "replica-1") == "1", "the replica to have the row")


def test_destroy_leaves_nothing_on_any_node(stack: SwarmStack) -> None:
    stack.stack.set(keepData="false")
    stack.stack.up()
    stack.stack.destroy()
    until(lambda: not stack.leftovers(), f"nothing to be left of {stack.stack.prefix}")
