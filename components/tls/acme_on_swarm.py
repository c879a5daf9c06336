"""What `up` waits for on a swarm: the answer of the CA, and that each load balancer has fetched its certificate.

Commands run beside the tasks, and what they print is logged on the node: never the key.
"""

import asyncio
import time
from collections.abc import Sequence

from components.orchestrator.commands import NOT_RUNNING
from components.orchestrator.container_state import FATAL
from components.orchestrator.watcher import NotReady, WaitTarget, Watcher
from components.stack_context import CertificateVolume

POLL_SECONDS = 1.0
CERTIFICATES = (
    "sed",
    "-n",
    "/-BEGIN CERTIFICATE-/,/-END CERTIFICATE-/p",
    CertificateVolume.certificate,
)


async def until_answered(watcher: Watcher, client: WaitTarget, healthcheck: Sequence[str]) -> str:
    """Return once there is a certificate: why it could not be renewed, or nothing.

    Raises NotReady with what the CA has answered instead.
    """
    deadline = time.monotonic() + watcher.timeout_seconds
    while True:
        code, output = await watcher.execute(client.container, healthcheck)
        if not code:
            return output.strip()
        if output.startswith(FATAL):
            raise NotReady(
                f"{client.display_name}: {output.removeprefix(FATAL).strip()}. Full log: {watcher.log_command(client)}"
            )
        if time.monotonic() > deadline:
            raise NotReady(
                f"{client.display_name}: {output.strip()}, after {watcher.timeout_seconds} s. Full log: {watcher.log_command(client)}"
            )
        await asyncio.sleep(POLL_SECONDS)


async def until_fetched(watcher: Watcher, client: WaitTarget, load_balancer: WaitTarget) -> str:
    """Return the certificates that the client has published, once all load balancers serve them.

    A node that takes no further task, such as one that is paused, cannot be asked.
    """
    deadline = time.monotonic() + watcher.timeout_seconds
    while True:
        _, published = await watcher.execute(client.container, CERTIFICATES)
        served = await watcher.execute_on_each(load_balancer.container, CERTIFICATES)
        others = [node for node, (code, text) in served.items() if code != NOT_RUNNING and text != published]
        if published and (0, published) in served.values() and not others:
            return published
        if time.monotonic() > deadline:
            raise NotReady(
                f"{client.display_name} was not fetched by the load balancer on {', '.join(others) or 'any node'} within {watcher.timeout_seconds} s; see: {watcher.log_command(load_balancer)}"
            )
        await asyncio.sleep(POLL_SECONDS)
