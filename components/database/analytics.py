"""DHIS2's analytics tables, which dashboards read: built once after a restore. ADR 11 has the reasons."""

from collections.abc import Mapping

import pulumi

from components.database.passwords import AdminPassword
from components.naming import Naming
from components.orchestrator.container_paths import FILES
from components.orchestrator.interface import Endpoint
from components.orchestrator.watcher import NotReady, Watcher

SCRIPT = f"{FILES}/analytics.sh"


async def build_analytics(
    watcher: Watcher, naming: Naming, core: Endpoint, admin: AdminPassword | None, marker: Mapping[str, str]
) -> None:
    """Ask a core for the analytics job where it is due, and log where it stands by the primary's marker.

    `admin` is the password that the user admin has. Whatever fails is a warning: the cluster serves.
    """
    primary = naming.of("primary")
    state = marker.get("analytics")
    progress = f"Progress: dhis2-cluster status -s {naming.stack}"
    if state == "failed":
        reason = marker.get("analytics_reason")
        pulumi.log.warn(
            f"DHIS2 could not build the analytics tables, which dashboards read: {reason}. To build them: dhis2-cluster analytics --wait -s {naming.stack}. To leave them: pulumi config set analytics false"
        )
    elif state == "running":
        pulumi.log.info(f"DHIS2 still builds the analytics tables, which dashboards read. {progress}")
    elif state == "due" and admin is None:
        pulumi.log.warn(
            "the analytics tables, which dashboards read, are not built: the program does not know the password of DHIS2's user admin. To build them, in DHIS2: Data Administration > Analytics tables. To leave them: pulumi config set analytics false"
        )
    elif state == "due" and admin is not None:
        command = ["/bin/bash", SCRIPT, "start", core.host, str(core.port), admin]
        try:
            code, output = await watcher.execute(primary, command)
        except NotReady as error:
            code, output = 1, str(error)
        if code:
            pulumi.log.warn(
                f"DHIS2 did not begin to build the analytics tables, which dashboards read: {str(output).strip()}. The next pulumi up tries again"
            )
            return
        pulumi.log.info(
            f"DHIS2 builds the analytics tables in the background (job {str(output).strip()}): dashboards have data once it is done. {progress}"
        )
