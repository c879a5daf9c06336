"""The core's files in a real Tomcat: how it stops, and what its answers disclose."""

import threading

import pytest

from tests.container.tomcat import PING, ROOT, core, readiness
from tests.support.commands import execute, logs
from tests.support.containers import Containers
from tests.support.http import ask
from tests.support.waiting import until

pytestmark = pytest.mark.container

# Longer than the probes of a closed port that would be enough for a silent core.
SLOW = """<%@page session="false"%><% new java.io.File("/tmp/accepted").createNewFile(); Thread.sleep(8000); %>
done at <%= request.getRemoteAddr() %>"""


def test_a_stopping_core_answers_its_requests_and_its_watchdog_does_not_interfere(containers: Containers) -> None:
    container = core(containers, {**PING, f"{ROOT}/slow.jsp": SLOW})
    until(lambda: readiness(container)[0] == 0, "the core is ready")
    address = containers.address(container)
    answers: list[tuple[int, dict[str, str], str]] = []
    client = threading.Thread(
        target=lambda: answers.append(ask(address, "/slow.jsp", headers={"X-Forwarded-For": "203.0.113.7"}))
    )
    client.start()
    until(lambda: execute(container, "test", "-f", "/tmp/accepted")[0] == 0, "the request is accepted")  # noqa: S108
    container.stop(timeout=60)
    client.join()
    status, _, text = answers[0]
    assert status == 200, "a request that was accepted is answered"
    assert "203.0.113.7" in text, "DHIS2 sees the user's address"
    assert "awaitConnectionsClose" in logs(container), "it was answered while the core was stopping"
    assert "fatal: " not in logs(container), "a closed port is a stop, not a silent core"


def test_an_error_page_discloses_no_version(containers: Containers) -> None:
    container = core(containers, PING)
    until(lambda: readiness(container)[0] == 0, "the core is ready")
    status, _, page = ask(containers.address(container), "/nothing")
    assert (status, "Tomcat/" in page) == (404, False), "attackers look for versions"
