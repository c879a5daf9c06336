"""A change of DHIS2's system settings through the load balancer makes every core read them again."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from docker.models.containers import Container

from tests.container.balancing import core, load_balancer, served_by
from tests.support.commands import logs
from tests.support.containers import Containers
from tests.support.http import ask
from tests.support.waiting import until

pytestmark = pytest.mark.container

DROP = "POST /api/systemSettings/keyLastSuccessfulMonitoring?value="
MOST_CORES = 16
PLAIN = {"Content-Type": "text/plain", "Cookie": "JSESSIONID=kept"}


@pytest.fixture(scope="module")
def cores(containers: Containers) -> list[Container]:
    """Three cores behind the load balancer."""
    return [core(containers) for _ in range(3)]


@pytest.fixture(scope="module")
def balancer(containers: Containers, cores: list[Container]) -> Container:
    """A load balancer that has found all cores."""
    container = load_balancer(containers)
    for one in cores:
        until(lambda one=one: served_by(containers.address(container), one), "the core is found")  # type: ignore[misc]
    return container


@pytest.fixture
def lb(containers: Containers, balancer: Container) -> str:
    """The address of the load balancer."""
    return containers.address(balancer)


def drops(container: Container) -> int:
    """How many requests a core got that make it read its settings again."""
    return logs(container).count(DROP)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/systemSettings/applicationTitle"),
        ("POST", "/api/systemSettings"),
        ("DELETE", "/api/42/systemSettings/applicationTitle?locale=fr"),
        ("POST", "/api/files/style"),
    ],
)
def test_each_core_reads_its_settings_again_after_a_change(
    cores: list[Container], lb: str, method: str, path: str
) -> None:
    before = [drops(one) for one in cores]
    assert ask(lb, path, method, b"Health data", PLAIN).status == 200, "this client closes its connection at once"
    until(
        lambda: all(drops(one) > count for one, count in zip(cores, before, strict=True)),
        "each core to get its request",
    )


def test_each_of_several_changes_at_once_reaches_each_core(cores: list[Container], lb: str) -> None:
    before = [drops(one) for one in cores]

    def change(number: int) -> int:
        return ask(lb, f"/api/systemSettings/setting{number}", "POST", b"value", PLAIN).status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(change, range(8))) == {200}
    until(lambda: sum(map(drops, cores)) - sum(before) == 8 * MOST_CORES, "all requests to be sent")
    received = [drops(one) - count for one, count in zip(cores, before, strict=True)]
    assert max(received) - min(received) <= 1, "each core has its turn, so no change misses one"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/systemSettings/applicationTitle", 200),
        ("POST", "/api/systemSettings/refused", 403),
        ("POST", "/api/dataValues", 200),
        ("POST", "/api/systemSettingsOfMyApp", 200),
    ],
)
def test_nothing_is_sent_to_the_cores_when_no_setting_was_changed(
    cores: list[Container], lb: str, method: str, path: str, status: int
) -> None:
    before = sum(map(drops, cores))
    assert ask(lb, path, method, None if method == "GET" else b"{}", PLAIN).status == status
    assert ask(lb, "/api/systemSettings/applicationTitle", "POST", b"value", PLAIN).status == 200
    until(lambda: sum(map(drops, cores)) >= before + MOST_CORES, "the requests of the second change")
    assert sum(map(drops, cores)) == before + MOST_CORES


def test_the_log_has_one_line_with_the_user_s_request_and_its_status(balancer: Container, lb: str) -> None:
    assert ask(lb, "/api/systemSettings/refused", "POST", b"value", PLAIN).status == 403
    assert ask(lb, "/api/systemSettings/logged", "POST", b"value", PLAIN).status == 200

    def lines() -> list[tuple[str, str]]:
        entries = [json.loads(line) for line in logs(balancer).splitlines() if line.startswith("{")]
        return [(entry["path"], entry["status"]) for entry in entries if entry["method"] == "POST"]

    # Each worker process writes its lines when its buffer is flushed. A refusal stays a refusal.
    logged = {("/api/systemSettings/logged", "200"), ("/api/systemSettings/refused", "403")}
    until(lambda: logged <= set(lines()), "the log to be written")
    assert lines().count(("/api/systemSettings/logged", "200")) == 1
    assert not [path for path, _ in lines() if "lb/" in path or "Monitoring" in path]
