"""What `pulumi up` does after a restore, too: admin's password, well-known accounts, and the analytics tables."""

from collections.abc import Awaitable, Callable, Mapping

from cli.target import Target
from components.orchestrator.watcher import Watcher
from tools.naming import naming


async def finish(
    watcher: Watcher,
    target: Target,
    marker: Mapping[str, str],
    restart_cores: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
) -> None:
    """Log in as admin, and start the analytics job where it is due by the primary's marker.

    Raises NotReady when admin has not the password that is assigned to it.
    """
    # Not at the top: importing Pulumi takes a second, which all verbs would wait for.
    from components.core.core_pool import CorePool  # noqa: PLC0415
    from components.database.analytics import build_analytics  # noqa: PLC0415
    from components.database.passwords import verify_admin_password  # noqa: PLC0415
    from components.orchestrator.interface import Endpoint  # noqa: PLC0415

    names, settings = naming(target.stack), target.settings
    core = Endpoint("core-1", CorePool.endpoint.port)
    admin = await verify_admin_password(
        watcher, names.of("primary"), core, restart_cores, is_open=settings.is_open_to_others
    )
    if settings.analytics:
        await build_analytics(watcher, names, core, admin, marker)
