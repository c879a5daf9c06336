"""Cores that come, go, die and hang behind a real NGINX: who notices."""

import json
import threading
from collections.abc import Iterator
from functools import partial

import pytest
from docker.models.containers import Container

from tests.container import tomcat
from tests.container.balancing import booted, core, load, load_balancer, served_by
from tests.support.commands import logs
from tests.support.containers import Containers
from tests.support.http import ask
from tests.support.waiting import until

pytestmark = pytest.mark.container


@pytest.fixture
def containers() -> Iterator[Containers]:
    """A network for one test: cores of another would answer."""
    with Containers() as containers:
        yield containers


def lb_with(containers: Containers, *cores: Container) -> str:
    """The address of a load balancer that has found all these cores."""
    address = containers.address(load_balancer(containers))
    for one in cores:
        until(partial(served_by, address, one), "the core is found")
    return address


def requests(container: Container, method: str, path: str) -> int:
    """How many requests of a kind a core has had."""
    return logs(container).count(f'"{method} {path} ')


def pong(containers: Containers, text: str) -> Container:
    """A core of a real Tomcat whose ping tells its name."""
    return tomcat.core(containers, {**tomcat.PING, f"{tomcat.ROOT}/api/ping": text}, alias="core")


def answers(lb: str, text: str) -> bool:
    """Was a ping answered with this text?"""
    return ask(lb, "/api/ping")[2] == text


def test_scaling_up_and_down_loses_no_request(containers: Containers) -> None:
    pong(containers, "first")
    lb = containers.address(load_balancer(containers))
    until(partial(answers, lb, "first"), "the first core serves")
    with load(lb) as seen:
        for name in ("second", "third"):
            more = pong(containers, name)
            until(partial(answers, lb, name), "a new core is found without a reload")
            more.stop(timeout=60)
            containers.network.disconnect(more, force=True)
        answered = seen.answered()
        until(lambda: seen.answered() > answered + 500, "the first core serves all")
    assert not seen.failed("GET") + seen.failed("POST"), f"no request may fail: {dict(seen.failures)}"


def test_a_killed_core_loses_no_get_and_no_later_post(containers: Containers) -> None:
    first, second = core(containers), core(containers)
    lb = lb_with(containers, first, second)
    with load(lb) as seen:
        second.kill()
        containers.network.disconnect(second, force=True)
        answered = seen.answered()
        until(lambda: seen.answered() > answered + 500, "the other core serves all")
    assert not seen.failed("GET"), f"what changes nothing is asked again: {dict(seen.failures)}"
    with load(lb) as later:
        until(lambda: later.answered() > 500, "the other core serves all")
    assert not later.failed("POST"), "the dead address is known by now"


def test_a_request_in_flight_survives_a_change_of_the_list_of_cores(containers: Containers) -> None:
    hung = core(containers)
    lb = lb_with(containers, hung)
    hung.kill(signal="STOP")
    answers: list[tuple[int, dict[str, str], str]] = []
    waiting = threading.Thread(target=lambda: answers.append(ask(lb, "/slow")))
    waiting.start()
    other = core(containers)
    # By now the list the request began with is an old one, and NGINX gives its retry up as busy.
    until(lambda: served_by(lb, other, seconds=2), "the new core is found")
    hung.kill()
    waiting.join()
    status, _, text = answers[0]
    assert status == 200, f"a second pass sees the new list: {text}"
    assert json.loads(text)["core"] == str(other.id)[:12], "the new core answers"


def test_a_core_that_has_just_booted_serves_at_once_when_it_is_alone(containers: Containers) -> None:
    old, new = core(containers), core(containers, boots=True)
    balancer = load_balancer(containers)
    lb, tried = containers.address(balancer), f"{containers.address(new)}:8080"
    # By now it is known to refuse, and is left alone for two seconds.
    until(lambda: served_by(lb, old) and tried in logs(balancer), "the booting core was tried")
    booted(new)
    until(partial(served_by, containers.address(new), new), "it has booted")
    old.kill()
    statuses = [ask(lb, "/api/ping", method, b"x")[0] for method in ("GET", "POST") * 5]
    assert statuses == [200] * 10, "a core that was refused a moment ago is tried before the service is said to be away"


def test_new_requests_avoid_a_core_that_hangs(containers: Containers) -> None:
    hung, other = core(containers), core(containers)
    lb = lb_with(containers, hung, other)
    hung.kill(signal="STOP")
    stuck = [threading.Thread(target=ask, args=(lb, "/stuck"), kwargs={"seconds": 60}) for _ in range(4)]
    for thread in stuck:
        thread.start()
    until(lambda: requests(other, "GET", "/stuck"), "one of them went to the other core")
    served = [served_by(lb, other, seconds=5) for _ in range(20)]
    hung.kill()
    for thread in stuck:
        thread.join()
    assert sum(served) >= 18, "its open requests count against it"


def test_a_get_goes_to_another_core_and_a_sent_post_does_not(containers: Containers) -> None:
    bad, good = core(containers, drops=True), core(containers)
    lb = lb_with(containers, bad, good)
    gets = [ask(lb, "/drop")[0] for _ in range(20)]
    assert gets == [200] * 20, "reading again changes nothing"
    good.kill()
    until(lambda: ask(lb, "/drop")[0] == 502, "the bad core is alone")
    before = requests(bad, "POST", "/drop")
    status, _, text = ask(lb, "/drop", "POST", b"x")
    assert status == 502, "it may have been carried out, so it is not sent again"
    assert "before you send it again" in json.loads(text)["message"], "the person has to look"
    until(lambda: requests(bad, "POST", "/drop") > before, "the core has logged it")
    assert requests(bad, "POST", "/drop") == before + 1, "a change is never made twice"


def test_all_cores_dead_is_starting_and_heals(containers: Containers) -> None:
    only = core(containers)
    lb = lb_with(containers, only)
    only.kill()
    until(lambda: ask(lb, "/api/me")[0] == 503, "DHIS2 is starting")
    only.start()
    until(lambda: served_by(lb, only), "it serves again by itself")
