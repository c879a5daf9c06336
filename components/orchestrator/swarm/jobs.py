"""Run commands beside the tasks of a swarm's services, whatever node these are on.

Docker Engine executes commands in containers of its own node only. So a command runs as a job: a task of the service's
own image, user, files, volumes and networks, on the node of the task it asks. It shares no processes and no loopback
with that one, so a command has to connect to the service by its name, or to a socket on a volume.

Not in the mode `replicated-job`: when such a service is removed, its tasks and containers stay (moby, issue 44312).
"""

import copy
import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from docker import DockerClient
from docker.types import ServiceMode
from requests.exceptions import RequestException

from components.orchestrator.commands import NOT_RUNNING, STDERR, Frame, read_service_frames
from components.orchestrator.container_paths import SECRETS
from components.orchestrator.hardening import DROPPED_CAPABILITIES
from components.orchestrator.short_lived import NO_NETWORK, ShortLived
from components.orchestrator.swarm.services import SERVICE_NAME, beside, running_tasks
from components.orchestrator.swarm.tasks import NO_NODE_SECONDS, Task, exit_code, has_ended, stuck

JOB_LABEL = "dhis2-cluster.job"
# Of a secret, and of a config before swarmkit had pull request 3054.
MOST_CONFIG_BYTES = 500_000
LONGEST_NAME = 63  # of a service
POLL_SECONDS = 0.2
JOB_SECONDS = 900
LOG_SECONDS = 30
SHOW_SECONDS = 1.0
STDIN = f"{SECRETS}/stdin"
Show = Callable[[Frame], None]


def run_job(
    client: DockerClient,
    service: str,
    command: Sequence[str],
    files: Mapping[str, tuple[str, str]] | None = None,
    *,
    node: str = "",
) -> tuple[int, str]:
    """Return exit code and output of a command beside the running task of a service.

    NOT_RUNNING where none runs, or where its node takes no further task, such as one that is paused. `node` is the id
    of a task's node where there are several; without it that of the newest. `files` are ids and names of configs by
    the paths the command has them at. Raises docker.errors.APIError where the swarm refuses the job, TimeoutError
    where it does not end.
    """
    code, frames = _run_beside(client, service, command, configs=files or {}, seconds=JOB_SECONDS, node=node)
    return code, text_of(frames)


def follow_job(
    client: DockerClient, service: str, command: Sequence[str], show: Show | None, stdin: str = ""
) -> tuple[int, list[Frame]]:
    """Run a command as `run_job` does, for as long as it takes, and `show` what it prints meanwhile.

    It reads `stdin`, which is a secret of the swarm until it has ended.
    """
    if not stdin:
        return _run_beside(client, service, command, show=show)
    name = new_name(service, "file")
    secret = client.api.create_secret(name, stdin.encode())["ID"]
    try:
        reading = ["/bin/sh", "-c", 'exec "$@" <"$0"', STDIN, *command]
        return _run_beside(client, service, reading, secrets_of={STDIN: (secret, name)}, show=show)
    finally:
        client.api.remove_secret(secret)


def text_of(frames: Sequence[Frame], stream: int | None = None) -> str:
    """Return what was printed as text, on one stream or on both."""
    return b"".join(content for number, content in frames if stream in (None, number)).decode(errors="replace")


def _run_beside(
    client: DockerClient,
    service: str,
    command: Sequence[str],
    *,
    configs: Mapping[str, tuple[str, str]] | None = None,
    secrets_of: Mapping[str, tuple[str, str]] | None = None,
    seconds: int | None = None,
    show: Show | None = None,
    node: str = "",
) -> tuple[int, list[Frame]]:
    found = running_tasks(client, service)
    if not found:
        return NOT_RUNNING, [(STDERR, f"{service} has no running task".encode())]
    node = node or found[0]["NodeID"]
    template = job_template(client.api.inspect_service(service)["Spec"]["TaskTemplate"], command, node)
    container = template["ContainerSpec"]
    for path, (config, name) in (configs or {}).items():
        file = {"Name": path, "UID": "0", "GID": "0", "Mode": 0o444}
        reference = {"ConfigID": config, "ConfigName": name, "File": file}
        container["Configs"] = [*(container.get("Configs") or []), reference]
    user = str(container.get("User") or "0").partition(":")[0]
    for path, (secret, name) in (secrets_of or {}).items():
        container["Secrets"] = [*(container.get("Secrets") or []), _secret(user, path, secret, name)]
    return _run(client, new_name(service, "run"), template, seconds, show)


def run_short_lived(client: DockerClient, spec: ShortLived, node: str = "") -> tuple[int, str]:
    """Return exit code and output of a command in a task on a node by its id, or on any.

    NOT_RUNNING where it did not run to its end.
    """
    names = {path: new_name(spec.name, "file") for path in spec.secrets}
    ids = {path: client.api.create_secret(name, spec.secrets[path].encode())["ID"] for path, name in names.items()}
    try:
        references = [_secret(str(spec.uid), path, ids[path], name) for path, name in names.items()]
        template = short_lived_template(spec, references)
        if node:
            template["Placement"] = {"Constraints": [f"node.id=={node}"]}
        code, frames = _run(client, new_name(spec.name, "run"), template, spec.timeout_seconds, None)
        return code, text_of(frames)
    finally:
        for secret in ids.values():
            client.api.remove_secret(secret)


def short_lived_template(spec: ShortLived, secrets_of: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the task template of a command, with references of its secrets."""
    return {
        "ContainerSpec": {
            "Image": spec.image,
            "Command": list(spec.command),
            "User": f"{spec.uid}:{spec.uid}",
            "Env": [f"{key}={value}" for key, value in spec.environment.items()],
            "CapabilityDrop": list(DROPPED_CAPABILITIES),
            "Init": True,
            "Mounts": [_mount(spec, path, volume) for path, volume in spec.mounts.items()],
            "Secrets": list(secrets_of),
        },
        "Resources": {"Limits": {"MemoryBytes": spec.memory_mb * 2**20}},
        "RestartPolicy": {"Condition": "none"},
        "Networks": [] if spec.network == NO_NETWORK else [{"Target": spec.network}],
    }


def _secret(uid: str, path: str, secret: str, name: str) -> dict[str, Any]:
    file = {"Name": path, "UID": uid, "GID": uid, "Mode": 0o400}
    return {"SecretID": secret, "SecretName": name, "File": file}


def _mount(spec: ShortLived, path: str, volume: str) -> dict[str, Any]:
    options: dict[str, Any] = {"NoCopy": spec.no_copy}
    if volume in spec.volume_options:
        options["DriverConfig"] = {"Name": "local", "Options": dict(spec.volume_options[volume])}
    return {"Type": "volume", "Source": volume, "Target": path, "VolumeOptions": options}


def _run(
    client: DockerClient, name: str, template: dict[str, Any], seconds: int | None, show: Show | None
) -> tuple[int, list[Frame]]:
    """Return exit code and output of a service with one task, which is removed; without `seconds` it has no end."""
    with job_service(client, name, template, ServiceMode("replicated", 1)) as job:
        return _result(client, job, name, seconds, show)


@contextmanager
def job_service(client: DockerClient, name: str, template: Mapping[str, Any], mode: ServiceMode) -> Iterator[str]:
    """Create a service of a task template and yield its id; it is removed at the end.

    Raises docker.errors.APIError where the swarm refuses it.
    """
    job = client.api.create_service(template, name=name, labels={JOB_LABEL: "true"}, mode=mode)
    try:
        yield str(job["ID"])
    finally:
        client.api.remove_service(job["ID"])  # type: ignore[no-untyped-call]


def new_name(service: str, what: str) -> str:
    """Return a new name for a job of a service or what it takes; that of the service may leave no room."""
    ending = f"-{what}-{secrets.token_hex(3)}"
    return f"{service[: LONGEST_NAME - len(ending)].rstrip('-_')}{ending}"


def job_template(template: Mapping[str, Any], command: Sequence[str], node: str) -> dict[str, Any]:
    """Return the task template of a job beside a task of a service's template, on a node by its id."""
    job: dict[str, Any] = copy.deepcopy(dict(template))
    container = job["ContainerSpec"]
    for key in ("Args", "Hostname", "Healthcheck"):
        container.pop(key, None)
    labels = {key: value for key, value in (container.get("Labels") or {}).items() if key != SERVICE_NAME}
    container |= {"Command": beside(command), "Healthcheck": {"Test": ["NONE"]}, "Labels": labels}
    job |= {
        "ForceUpdate": 0,
        "RestartPolicy": {"Condition": "none"},
        "Placement": {"Constraints": [f"node.id=={node}"]},
    }
    # Its memory is used for seconds; with a reservation it might find no room beside the service.
    job["Resources"] = {"Limits": (job.get("Resources") or {}).get("Limits") or {}}
    # Under an alias others would take it for the service.
    job["Networks"] = [{"Target": network["Target"]} for network in job.get("Networks") or []]
    return job


def _result(
    client: DockerClient, job: str, name: str, seconds: int | None, show: Show | None
) -> tuple[int, list[Frame]]:
    deadline = time.monotonic() + (math.inf if seconds is None else seconds)
    shown, shown_at, stuck_at = 0, time.monotonic(), math.inf
    while time.monotonic() < deadline:
        task: Task = next(iter(client.api.tasks({"service": job})), {})
        status = task.get("Status") or {}
        if has_ended(task):
            code = exit_code(task)
            if status["State"] != "complete" and not code:
                return NOT_RUNNING, [(STDERR, str(status.get("Err") or status["State"]).encode())]
            frames = _frames(client, job)
            _show_new(frames, shown, show)
            return code, frames
        error = str(status.get("Err") or "")
        stuck_at = min(stuck_at, time.monotonic()) if stuck(error) else math.inf
        if time.monotonic() - stuck_at > NO_NODE_SECONDS:
            return NOT_RUNNING, [(STDERR, error.encode())]
        if show and status.get("State") == "running" and time.monotonic() - shown_at > SHOW_SECONDS:
            with suppress(RequestException):  # what its node does not answer in time is shown later
                shown = _show_new(_frames(client, job), shown, show)
            shown_at = time.monotonic()
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"{name} did not end within {seconds} s")


def _frames(client: DockerClient, job: str) -> list[Frame]:
    return list(read_service_frames(client, job, tail="all", timeout_seconds=LOG_SECONDS))


def _show_new(frames: Sequence[Frame], shown: int, show: Show | None) -> int:
    """Show what was not shown, and return how many frames were by now."""
    if show:
        for frame in frames[shown:]:
            show(frame)
    return max(shown, len(frames))
