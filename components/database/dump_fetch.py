"""The one-shot container that fetches the dump into the dump cache, and the upload of a local dump file through it."""

from collections.abc import Sequence
from functools import partial

import pulumi

from components.database.sizing import FETCH_MEMORY_MB
from components.dhis2.dump_source import DumpSource
from components.orchestrator.container_paths import FILES
from components.orchestrator.container_spec import ContainerSpec, File, Mount, NetworkAttachment, secret_file
from components.orchestrator.container_state import Condition
from components.orchestrator.watcher import DumpUpload, WaitTarget, Watcher
from components.stack_context import StackContext
from components.templates.rendering import render

UID = 101
FETCH_SCRIPT, CACHE_SCRIPT = "fetch-dump.sh", "dump-cache.sh"
CACHE_PATH = "/var/tmp"  # noqa: S108 - a folder everyone may write to: a new volume takes its mode over from the image


def fetch_dump(
    dump: DumpSource, dump_cache: pulumi.Output[str], context: StackContext, parent: pulumi.Resource
) -> pulumi.Output[Sequence[pulumi.Resource]]:
    """Register the container and return a value for `depends_on`: the container, once the dump is in the cache.

    The exited container stays: it is the record of the fetch.
    """
    name = context.naming.of("dump")
    files = [
        File(path=f"{FILES}/{script}", content=render(f"database/{script}"), executable=True)
        for script in (FETCH_SCRIPT, CACHE_SCRIPT)
    ]
    if dump.url:
        files.append(secret_file("dump-url", pulumi.Output.secret(dump.url)))
    spec = ContainerSpec(
        name=name,
        image=context.images.load_balancer.id,
        uid=UID,
        memory_mb=FETCH_MEMORY_MB,
        labels=context.naming.labels("dump"),
        networks=(NetworkAttachment(network=context.networks.edge, aliases=("dump",)),),
        entrypoint=("/bin/sh", f"{FILES}/{FETCH_SCRIPT}"),
        environment={
            "DUMP_KEY": dump.key,
            "DUMP_NAME": dump.name,
            "DUMP_SOURCE": "file" if dump.path else "url",
            # Here, and in the volume for the primary, which a changed setting would replace.
            "DUMP_CACHE_MB": str(context.settings.dump_cache_mb),
        },
        files=tuple(files),
        mounts=(Mount(volume=dump_cache, path=CACHE_PATH),),
        one_shot=True,
    )
    resource = context.orchestrator.container("dump", spec, pulumi.ResourceOptions(parent=parent))
    if context.roles and context.roles.change:
        # The database is there: on its new node the dump is fetched for later, and nothing waits for it.
        return pulumi.Output.from_input([])
    return context.gates.after(resource, partial(_until_fetched, dump, name))


async def _until_fetched(dump: DumpSource, name: str, watcher: Watcher) -> None:
    running = await watcher.restart_failed(name)
    if dump.path and running:
        upload = DumpUpload(path=dump.path, folder=CACHE_PATH, key=dump.key, uid=UID, make_room=_remove_copies)
        await watcher.upload_dump(name, upload)
    completed = Condition.SERVICE_COMPLETED_SUCCESSFULLY
    await watcher.until_ready([WaitTarget(name, f"the dump {dump.name}", completed)])


def _remove_copies(room_bytes: int) -> Sequence[str]:
    removal = f"remove_copies_while lacks {CACHE_PATH} {room_bytes // 1024}"
    return ("/bin/sh", "-c", f"cache={CACHE_PATH}; . {FILES}/{CACHE_SCRIPT}; {removal}")
