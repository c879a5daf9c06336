"""Readiness and liveness of a core: what its healthcheck reports, and what its watchdog ends and what it does not."""

import os
import signal
import threading
import time

import pytest
from docker.models.containers import Container

from components.core.core_pool import TOMCAT
from tests.container.tomcat import ALONE, PING, ROOT, core, program_files, readiness, restarts
from tests.support.commands import execute, logs, shell_output
from tests.support.containers import Containers
from tests.support.http import ask
from tests.support.project import POSTGRES
from tests.support.simulators import PRIMARY
from tests.support.waiting import until

pytestmark = pytest.mark.container

BROKEN = ALONE.format("<listener><listener-class>no.such.Listener</listener-class></listener>")
# Longer than a silent core lives.
LONG_SECONDS = 16
BUSY = '<%@page session="false"%><% Thread.sleep(7000); %>done'
# Its start takes as long, as a migration does.
SLOW = ALONE.format(
    "<servlet><servlet-name>slow</servlet-name><jsp-file>/slow.jsp</jsp-file>"
    "<load-on-startup>1</load-on-startup></servlet>"
)
SLOW_PAGE = f"<%! public void jspInit() {{ try {{ Thread.sleep({LONG_SECONDS}000); }} catch (Exception e) {{}} }} %>"
THREADS = 5
WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
# Until this transaction ends, another one that creates a table of the same name waits.
LOCK = "begin; create table fileresource (); select pg_sleep(3600)"
RELEASE = "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'"


def ready(container: Container) -> bool:
    return readiness(container)[0] == 0


def java(container: Container) -> str:
    """The process id of the JVM inside the container."""
    return shell_output(container, "grep -lx java /proc/[0-9]*/comm | cut -d/ -f3")


def send(container: Container, name: str) -> None:
    """Send a signal to the JVM."""
    shell_output(container, f"kill -{name} {java(container)}")


def test_readiness_changes_nothing(containers: Containers) -> None:
    without_watchdog = {f"{TOMCAT}/bin/setenv.sh": "# empty", f"{ROOT}/WEB-INF/web.xml": BROKEN}
    container = core(containers, without_watchdog)
    until(lambda: "404" in readiness(container)[1], "its web application has failed")
    for _ in range(5):
        assert readiness(container) == (1, "DHIS2 failed to start: GET /api/ping answers 404")
    assert shell_output(container, "ls -A /tmp | grep -v hsperfdata || true") == "", "no state is kept"
    assert restarts(container) == 0, "it reports, and ends nothing"


def test_the_probe_connector_is_reachable_from_inside_the_container_only(containers: Containers) -> None:
    container = core(containers, PING)
    until(lambda: ready(container), "the core is ready")
    address = containers.address(container)
    assert (ask(address, "/api/ping")[0], ask(address, "/api/ping", port=8090)[0]) == (200, 0)


def test_a_core_whose_request_threads_are_all_busy_is_ready_and_not_ended(containers: Containers) -> None:
    server = program_files()[f"{TOMCAT}/conf/server.xml"].replace('port="8080"', f'port="8080" maxThreads="{THREADS}"')
    container = core(containers, {**PING, f"{ROOT}/busy.jsp": BUSY, f"{TOMCAT}/conf/server.xml": server})
    until(lambda: ready(container), "the core is ready")
    address = containers.address(container)
    statuses: list[int] = []
    requests = [
        threading.Thread(target=lambda: statuses.append(ask(address, "/busy.jsp", seconds=60)[0]))
        for _ in range(3 * THREADS)
    ]
    for request in requests:
        request.start()
    until(lambda: ask(address, "/api/ping", seconds=1)[0] == 0, "all request threads are busy")
    while any(request.is_alive() for request in requests):
        assert readiness(container) == (0, ""), "busy is not dead"
        time.sleep(1)
    assert statuses == [200] * len(requests), "each request is answered"
    assert restarts(container) == 0, "none of them ends the core"


@pytest.mark.parametrize("init", [True, False], ids=["init", "no-init"])
def test_a_stopped_jvm_is_ended_and_restarted(containers: Containers, init: bool) -> None:
    container = core(containers, PING, init=init)
    until(lambda: ready(container), "the core is ready")
    if init:
        send(container, "STOP")
    else:
        # PID 1 takes it from outside only. `docker kill` would count as stopped by hand, and Docker not restart it.
        os.kill(container.attrs["State"]["Pid"], signal.SIGSTOP)
    until(lambda: restarts(container) == 1, "a stopped JVM is ended")
    assert "fatal: no answer to GET /api/ping 4 times in a row" in logs(container), "the log has the reason"
    assert "Full thread dump" in logs(container), "and what its threads did"
    until(lambda: ready(container), "it serves again")


def test_a_core_whose_application_failed_to_start_is_restarted_and_says_why(containers: Containers) -> None:
    container = core(containers, {f"{ROOT}/WEB-INF/web.xml": BROKEN})
    until(lambda: restarts(container), "Tomcat does not try again by itself")
    assert "no.such.Listener" in logs(container), "the reason is in the container's log, not in a file"
    assert "fatal: DHIS2 failed to start" in logs(container), "`up` shows this line"


def test_a_pause_of_seconds_ends_no_core(containers: Containers) -> None:
    container = core(containers, PING)
    until(lambda: ready(container), "the core is ready")
    send(container, "STOP")
    until(lambda: "no answer within 2 s" in readiness(container)[1], "as a long garbage collection does")
    time.sleep(3)
    send(container, "CONT")
    container.pause()
    time.sleep(LONG_SECONDS)  # the host sleeps
    container.unpause()  # type: ignore[no-untyped-call]
    time.sleep(5)  # the watchdog probes several times
    assert (ready(container), restarts(container)) == (True, 0)


def test_a_core_that_starts_slowly_is_not_ended(containers: Containers) -> None:
    container = core(
        containers, {f"{ROOT}/WEB-INF/web.xml": SLOW, f"{ROOT}/slow.jsp": SLOW_PAGE, f"{ROOT}/api/ping": "pong"}
    )
    until(lambda: "watchdog: DHIS2 is still starting or migrating" in logs(container), "its log shows that it goes on")
    line = "DHIS2 is starting or migrating the database: port 8090 is not open yet"
    assert readiness(container) == (1, line), "`up` shows this line"
    until(lambda: ready(container), "it starts in its own time")
    assert restarts(container) == 0, "no time limit ends it"


def test_a_migration_that_waits_for_a_lock_is_not_ended(containers: Containers) -> None:
    primary = containers.start(POSTGRES, "sh", "-c", PRIMARY, alias="postgres-primary", mem_limit="384m")
    until(lambda: execute(primary, "psql", "-h", "127.0.0.1", "-c", "select 1")[0] == 0, "the database runs")
    shell_output(primary, "createuser -s dhis && createdb -O dhis dhis")
    primary.exec_run(["psql", "-d", "dhis", "-c", LOCK], detach=True)
    conf = [
        "connection.url = jdbc:postgresql://postgres-primary/dhis",
        "connection.username = dhis",
        "connection.password = unused",
        "connection.pool.max_size = 5",
    ]
    container = core(containers, {"/opt/dhis2/dhis.conf": "\n".join(conf)}, mem_limit="768m")
    until(lambda: shell_output(primary, f'psql -Atd dhis -c "{WAITING}"') == "1", "its migration waits for the lock")
    time.sleep(LONG_SECONDS)
    assert "migrating the database" in readiness(container)[1], "`up` shows what it waits for"
    assert restarts(container) == 0, "a migration may take hours"
    shell_output(primary, f'psql -d dhis -c "{RELEASE}"')
    until(lambda: ready(container), "the migration goes on")
