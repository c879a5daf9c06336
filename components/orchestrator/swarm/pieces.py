"""Write a file on a volume of a service, on whatever node its task runs.

A swarm brings content to another node as configs only, and a config is small. So a large file goes there in pieces: job
after job appends some of them to a new file, and the last one has it checked and renamed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress

from docker import DockerClient
from docker.errors import APIError

from components.orchestrator.container_paths import FILES
from components.orchestrator.swarm.jobs import MOST_CONFIG_BYTES, new_name, run_job

# A node gets the configs of a task in one message. Some releases end its session above 4 MiB (swarmkit, issue 2733).
JOB_PIECES = 4
MOST_BYTES = 50_000_000  # the managers keep it in their log, in memory too, until that is compacted
WRITE_LABEL = "dhis2-cluster.write"

_BEGIN = """set -eu; umask 077; trap '[ $? -eq 0 ] || rm -f "$0.new"' EXIT"""
_APPEND = 'cat "$@" >>"$0.new"'
_END = 'echo "{digest}  $0.new" | sha256sum -c - >/dev/null; mv -f "$0.new" "$0"'


def write_file(client: DockerClient, service: str, path: str, content: bytes) -> tuple[int, str]:
    """Replace a file atomically, readable for the service's user only; return the exit code and output of the last job.

    Raises docker.errors.APIError and TimeoutError as `run_job` does. No config is left in any case.
    """
    _remove_stale(client, service)
    pieces = [content[start : start + MOST_CONFIG_BYTES] for start in range(0, len(content) or 1, MOST_CONFIG_BYTES)]
    digest, code, output = hashlib.sha256(content).hexdigest(), 0, ""
    for start in range(0, len(pieces), JOB_PIECES):
        steps = [_BEGIN, *(['rm -f "$0.new"'] if start == 0 else []), _APPEND]
        steps += [_END.format(digest=digest)] if start + JOB_PIECES >= len(pieces) else []
        code, output = _append(client, service, path, "; ".join(steps), pieces[start : start + JOB_PIECES])
        if code:
            break
    return code, output


def _append(client: DockerClient, service: str, path: str, script: str, pieces: Sequence[bytes]) -> tuple[int, str]:
    """Return exit code and output of a script that has pieces as the files in its arguments."""
    created: dict[str, tuple[str, str]] = {}
    try:
        for number, piece in enumerate(pieces):
            name = new_name(service, "file")
            config = client.api.create_config(name, piece, labels={WRITE_LABEL: service})
            created[f"{FILES}/written-{number}"] = (config["ID"], name)
        return run_job(client, service, ["/bin/sh", "-c", script, path, *created], created)
    finally:
        _remove(client, created)


def _remove(client: DockerClient, created: Mapping[str, tuple[str, str]]) -> None:
    for config, _ in created.values():
        client.api.remove_config(config)  # type: ignore[no-untyped-call]


def _remove_stale(client: DockerClient, service: str) -> None:
    """Remove the configs that a killed program has left; those stay whose job it has left, too."""
    for config in client.api.configs(filters={"label": f"{WRITE_LABEL}={service}"}):
        with suppress(APIError):
            client.api.remove_config(config["ID"])  # type: ignore[no-untyped-call]
