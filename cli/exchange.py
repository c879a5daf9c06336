"""Replace database or files of a running stack while no core runs: what `restore` and `reset` have in common."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from cli.after_restore import finish
from cli.backups import fatal_of
from cli.deployed import DeployedStack
from cli.errors import FAILED, CommandError
from cli.output import progress
from cli.parts import Part
from components.orchestrator.commands import marker_of
from components.orchestrator.container_paths import FILES
from components.orchestrator.watcher import NotReady

REQUEST = ("bash", f"{FILES}/restore-request.sh")
SET_ADMIN = ("bash", f"{FILES}/passwords.sh", "set-admin", "open")
MARKER = "/var/lib/postgresql/restored"
CACHE_CLIENT = f"{FILES}/client.sh"
# A restore takes as long as the database is large; readyTimeout is about DHIS2.
WEEK_SECONDS = 7 * 86400


@dataclass
class Exchange:
    """The exchange of what a stack has; `marker` is the primary's of its restore, empty while there was none."""

    containers: DeployedStack
    marker: dict[str, str] = field(default_factory=dict, init=False)

    def run(self, replace: Callable[[], None], start: Callable[[], None] | None = None) -> None:
        """Stop the cores, replace, drop the sessions, and start the cores, by default the first one alone.

        Raises CommandError with what failed; the cores run then with what is there.
        """
        stack = self.containers.target.stack
        progress("stopping the cores")
        self.containers.map(self.containers.stop, self._cores())
        failure: Exception | None = None
        try:
            replace()
            self._flush()
        except (CommandError, NotReady) as error:
            failure = error
        closed = bool(self.marker) and not self._is_safe()
        try:
            (self.start_cores if start is None or failure else start)()
            if self.marker and (start is None or failure):
                self._finish()
            if closed:
                self._start([self.containers.select(["lb"])[0]])
        except NotReady as error:
            stopped = f"; the load balancer stays stopped. Start it: dhis2-cluster start -s {stack}" if closed else ""
            failure = failure or NotReady(f"{error}{stopped}")
        if failure:
            raise CommandError(str(failure), FAILED) from failure

    def restore_database(self, *request: str) -> None:
        """Have the primary restore what is requested, and the replicas clone it.

        Raises CommandError where it could not, and serves the database before.
        """
        primary, before = self.containers.running("primary"), self._read_marker()
        self.must("primary", [*REQUEST, *request], "the primary took no request")
        progress("restoring the database")
        self.containers.restart(primary)
        failure: NotReady | None = None
        try:
            self._wait([primary], WEEK_SECONDS)
        except NotReady as error:
            failure = error
            self._wait([primary], WEEK_SECONDS)
        marker = self._read_marker()
        wanted = request[1] if len(request) > 1 else ""
        if marker.get("restored_at") == before.get("restored_at") or marker.get("restored_set", "") != wanted:
            raise CommandError(
                f"the database could not be restored, and the one before is kept: {failure or self.containers.log_command(primary)}",
                FAILED,
            )
        self.marker = marker
        replicas = [part for part in self.containers.parts() if part.group == "replica"]
        if replicas:
            # Their healthchecks may have passed before they notice that this is another database.
            progress("the replicas clone the primary")
            self.containers.map(self.containers.restart, replicas)
            self._wait(replicas, WEEK_SECONDS)

    def start_cores(self) -> None:
        """Start the cores, the first one alone: it migrates the database. Raises NotReady."""
        cores = self._cores()
        for group in filter(None, (cores[:1], cores[1:])):
            self._start(group)

    def must(self, name: str, command: Sequence[str], failure: str) -> None:
        """Run a command in a part. Raises CommandError with the failure and its reason."""
        code, output = self.containers.execute(self.containers.running(name), command)
        if code:
            raise CommandError(f"{failure}: {fatal_of(output)}", FAILED)

    def _is_safe(self) -> bool:
        """Return whether others can be let in once DHIS2 serves the new database; else stop the load balancer.

        Where others can reach the stack, admin gets its password and well-known accounts are disabled while no core
        runs. A blank database has no accounts before DHIS2 has started.
        """
        if not self.containers.target.settings.is_open_to_others:
            return True
        if self.containers.execute(self.containers.running("primary"), SET_ADMIN)[0] == 0:
            return True
        progress("stopping the load balancer until admin has its password")
        self.containers.stop(self.containers.select(["lb"])[0])
        return False

    def _finish(self) -> None:
        async def restart_cores(meanwhile: Callable[[], Awaitable[None]]) -> None:
            await asyncio.to_thread(self.containers.map, self.containers.stop, self._cores())
            await asyncio.to_thread(self._flush)
            await meanwhile()
            await asyncio.to_thread(self.start_cores)

        asyncio.run(finish(self.containers.watcher(), self.containers.target, self.marker, restart_cores))

    def _flush(self) -> None:
        client = self.containers.sourced(CACHE_CLIENT, "cache")
        self.must("cache", ("sh", "-c", f"{client} && echo FLUSHALL | client"), "the cache refused FLUSHALL")

    def _cores(self) -> list[Part]:
        return [part for part in self.containers.parts() if part.group == "core"]

    def _read_marker(self) -> dict[str, str]:
        code, text = self.containers.execute(self.containers.running("primary"), ["cat", MARKER])
        return {} if code else marker_of(text)

    def _start(self, parts: Sequence[Part]) -> None:
        progress(f"starting {', '.join(part.part for part in parts)}")
        self.containers.map(self.containers.start, parts)
        self._wait(parts)

    def _wait(self, parts: Sequence[Part], seconds: int | None = None) -> None:
        watcher = self.containers.watcher(seconds)
        asyncio.run(watcher.until_ready([part.wait_target for part in parts]))
