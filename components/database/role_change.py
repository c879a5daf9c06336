"""What has to be done before a database of a swarm takes the place of another one."""

import asyncio
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.database_roles import RoleChange
from components.orchestrator.container_paths import FILES
from components.orchestrator.readiness import POLL_SECONDS
from components.orchestrator.watcher import NotReady, WaitTarget, Watcher

SCRIPT = "role-change.sh"
STOP_TIMEOUT_SECONDS = 60
_COMMAND = ("/bin/bash", f"{FILES}/{SCRIPT}")
_LSN = re.compile(r"^[0-9A-F]+/[0-9A-F]+$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class HandOver:
    """The replica of a change gives its data over to the `primary`, the service that is deployed.

    `data` is the path of a database's volume, whose files belong to `uid`.
    """

    change: RoleChange
    primary: WaitTarget
    data: str
    uid: int

    async def done(self, watcher: Watcher) -> None:
        """Return when the replica's volume has all of the primary, and no database works on either any more.

        Raises NotReady, with the primary of before running, where the replica cannot take over.
        """
        replica = WaitTarget(self.change.replica, f"the replica on {self.change.new_node}", depends_on=(self.primary,))
        await _start(watcher, replica)
        if self.change.promotes:
            await self._prepare(watcher, self.change.marker)
            await watcher.until_succeeds(replica, (*_COMMAND, "allow"), "cannot be promoted")
        else:
            await self._switch_over(watcher, replica)
        await watcher.stop(replica.container, STOP_TIMEOUT_SECONDS)

    async def _switch_over(self, watcher: Watcher, replica: WaitTarget) -> None:
        primary, old = self.primary.container, self.change.old_node
        # It is stopped where an update ended half-way.
        await _start(watcher, self.primary)
        try:
            await watcher.until_ready([replica, self.primary])
        except NotReady as error:
            raise NotReady(
                f"{error}\n  Nothing was changed. To promote the replica with what it has received: docker node update --availability drain {old} && pulumi up"
            ) from None
        code, marker = await watcher.execute(primary, ["cat", f"{self.data}/restored"])
        await self._prepare(watcher, self.change.marker if code else marker)
        code, output = await watcher.execute(replica.container, (*_COMMAND, "position"))
        if code:
            raise NotReady(f"{replica.display_name} cannot take over: {output.strip()}. Nothing was changed")
        pulumi.log.info(f"the primary on {old} is shut down, and {replica.display_name} takes over")
        await watcher.stop(primary, STOP_TIMEOUT_SECONDS)
        code, output = await watcher.execute(replica.container, (*_COMMAND, "allow", _LSN.findall(output)[-1]))
        if code:
            await watcher.start(primary)
            raise NotReady(
                f"{replica.display_name} cannot take over: {output.strip()}. The primary on {old} is started again"
            )

    async def _prepare(self, watcher: Watcher, marker: str) -> None:
        await watcher.write_file(self.change.replica, f"{self.data}/promotion.prepared", marker, self.uid)


async def stop_all(watcher: Watcher, services: Sequence[str]) -> None:
    """Return when databases have ended whose places others take."""
    for service in services:
        await watcher.stop(service, STOP_TIMEOUT_SECONDS)


async def _start(watcher: Watcher, target: WaitTarget) -> None:
    """Start a service that was scaled to no tasks. Raises NotReady where it does not run after the timeout."""
    if await watcher.started_at(target.container) < math.inf:
        return
    await watcher.start(target.container)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + watcher.timeout_seconds
    while await watcher.started_at(target.container) == math.inf:
        if loop.time() > deadline:
            raise NotReady(f"{target.display_name} does not run; see: docker service ps {target.container}")
        await asyncio.sleep(POLL_SECONDS)
