"""`make restart`: what only a restart of every core makes effective, without a failed request."""

from __future__ import annotations

import asyncio

import docker

from components.naming import NUMBER_LABEL, SERVICE_LABEL, STACK_LABEL
from components.orchestrator.client import connect
from components.orchestrator.readiness import NotReady, WaitTarget, Watcher
from components.orchestrator.restart import restart_in_turn
from tools.naming import naming
from tools.terminal import ToolError, report


def restart_cores(docker_host: str, stack: str, timeout_seconds: int) -> None:
    """Restart a stack's cores one after the other, each when the others are healthy.

    Raises ToolError when there are fewer than two, or one does not become healthy; no further core is stopped then.
    """
    prefix = naming(stack).prefix
    targets = cores(connect(docker_host), prefix)
    if not targets:
        raise ToolError(f"stack {stack} has no cores on this Docker Engine. Deploy it: make up STACK={stack}")
    if len(targets) == 1:
        fix = "pulumi config set cores 2 && pulumi up"
        raise ToolError(
            f"stack {stack} has one core, so users would see 'DHIS2 is starting' while it restarts. Add a core first: {fix}\n  Or interrupt the service: docker restart {targets[0].container}"
        )
    watcher = Watcher(docker_host, timeout_seconds, lambda line: report("restart", line))
    try:
        asyncio.run(restart_in_turn(watcher, targets))
    except NotReady as error:
        raise ToolError(f"the restart ends here, the other cores still run: {error}") from error
    report("restart", f"all {len(targets)} cores of stack {stack} were restarted and are healthy")


def cores(client: docker.DockerClient, prefix: str) -> list[WaitTarget]:
    """Return a stack's cores in the order of their numbers, stopped ones too."""
    containers = client.containers.list(
        all=True, filters={"label": [f"{STACK_LABEL}={prefix}", f"{SERVICE_LABEL}=core"]}
    )
    numbered = sorted((int(container.labels[NUMBER_LABEL]), str(container.name)) for container in containers)
    return [WaitTarget(name, f"core {number}") for number, name in numbered]
