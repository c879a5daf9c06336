"""The core's files in a real Tomcat: when its port is open, and what its health check does to it."""

import pytest
from docker.models.containers import Container

from components.orchestrator.container_spec import FILES
from tests.container.tomcat import ALONE, PING, ROOT, core
from tests.support.commands import execute, logs
from tests.support.containers import Containers
from tests.support.http import ask
from tests.support.waiting import until

pytestmark = pytest.mark.container

SLOW = '<%@page session="false"%><% Thread.sleep(3000); %>done at <%= request.getRemoteAddr() %>'
BROKEN = ALONE.format("<listener><listener-class>no.such.Listener</listener-class></listener>")


def check(container: Container) -> int | None:
    """The exit code of one health check; None when it has ended the container under itself."""
    container.reload()
    if container.status != "running":
        return None
    return execute(container, "/bin/sh", f"{FILES}/health.sh")[0]


def ended(container: Container) -> bool:
    """Is the container no longer running? Checks once more if it is."""
    check(container)
    container.reload()
    return bool(container.status == "exited")


def java(container: Container) -> str:
    """The JVM's process number inside the container."""
    return execute(container, "sh", "-c", "grep -lx java /proc/[0-9]*/comm | cut -d/ -f3")[1]


@pytest.mark.parametrize("init", [True, False], ids=["init", "no-init"])
def test_a_core_that_stops_answering_is_ended(containers: Containers, init: bool) -> None:
    container = core(containers, PING, init=init)
    until(lambda: check(container) == 0, "the core is healthy")
    container.kill(signal="STOP") if not init else execute(container, "sh", "-c", f"kill -STOP {java(container)}")
    until(lambda: ended(container), "a stopped JVM is ended")
    assert "fatal: no answer to /api/ping 3 times in a row" in logs(container), "its log says why"
    assert "Full thread dump" in logs(container), "and what it was doing"


def test_a_core_whose_application_failed_is_ended_and_says_why(containers: Containers) -> None:
    container = core(containers, {**PING, f"{ROOT}/WEB-INF/web.xml": BROKEN})
    until(lambda: ended(container), "Tomcat would answer 404 for ever")
    assert "no.such.Listener" in logs(container), "the reason is in the container's log, not in a file"
    assert "fatal: DHIS2 failed to start" in logs(container), "nobody has to know what a 404 means"


def test_looking_at_a_core_beside_the_engine_counts_nothing(containers: Containers) -> None:
    container = core(containers, {**PING, f"{ROOT}/WEB-INF/web.xml": BROKEN})
    until(lambda: ask(containers.address(container), "/api/ping")[0] == 404, "its application has failed")
    looks = [execute(container, "/usr/bin/env", "LOOK=1", "/bin/sh", f"{FILES}/health.sh")[0] for _ in range(4)]
    assert looks == [1] * 4, "not ready"
    container.reload()
    assert container.status == "running", "whoever waits for a core must not be what ends it"
    until(lambda: ended(container), "the engine's own checks do")


def test_a_core_that_does_not_boot_in_its_time_is_ended(containers: Containers) -> None:
    # Its web application starts, and has no answer to a ping: a folder is redirected to.
    empty = {f"{ROOT}/WEB-INF/web.xml": ALONE.format(""), f"{ROOT}/api/ping/index.html": "not yet"}
    container = core(containers, empty, BOOT_SECONDS="1")
    until(lambda: ended(container), "the boot time is over")
    assert "fatal: not started after" in logs(container), "its log says why"


def test_a_restarted_core_has_its_boot_time_again(containers: Containers) -> None:
    container = core(containers, PING, FAILURES="1")
    until(lambda: check(container) == 0, "the core is healthy")
    container.restart(timeout=30)
    assert check(container) == 1, "it boots and does not answer yet"
    until(lambda: check(container) == 0, "what it was before the restart does not count")


def test_a_stopping_core_finishes_what_it_has(containers: Containers) -> None:
    container = core(containers, {**PING, f"{ROOT}/slow.jsp": SLOW})
    until(lambda: check(container) == 0, "the core is healthy")
    address = containers.address(container)
    # Tomcat is told to end from inside the request's own time; it is compiled by the first one.
    assert ask(address, "/slow.jsp")[0] == 200, "the page works"
    status, _, page = ask(address, "/nothing")
    assert (status, "Tomcat/" in page) == (404, False), "an error page that tells the version tells where to look"
    execute(container, "sh", "-c", f"(sleep 1; kill -TERM {java(container)}) >/dev/null 2>&1 &")
    status, _, text = ask(address, "/slow.jsp", headers={"X-Forwarded-For": "203.0.113.7"})
    assert status == 200, "a request that was taken is answered"
    assert "203.0.113.7" in text, "DHIS2 sees the user's address"
    assert "awaitConnectionsClose" in logs(container), "it was answered while the core was stopping"
