"""The only place that knows docker.Container: from a Workload to its resource, and to the volumes of its data.

What the plugin needs to be told, and how, was observed on the real one: values are written in the form the engine
reports them in (Go durations, `CAP_…`), or each refresh would find a difference.
"""

import pulumi
import pulumi_docker as docker

from components.naming import Naming
from components.workload import File, Health, Mount, Workload

LOG_FILES, LOG_FILE_MB = 3, 10
# Edits of these are noted in the state and never reach the container, unless it is replaced.
SILENTLY_IGNORED = ["healthcheck", "init", "tmpfs"]


def container(name: str, workload: Workload, opts: pulumi.ResourceOptions) -> docker.Container:
    """The hardened container of a workload: an unprivileged user, nothing to gain, limits, rotated logs.

    Root file systems stay writable, because files cannot be put into a read-only one. `memory` and `memory_swap` are
    equal: no swap, and the memory limit can be changed in place.
    """
    edits = pulumi.ResourceOptions(delete_before_replace=True, replace_on_changes=SILENTLY_IGNORED)
    return docker.Container(
        name,
        name=workload.name,
        image=workload.image,
        entrypoints=list(workload.entrypoint) or None,
        command=list(workload.command) or None,
        hostname=workload.hostname or None,
        user=f"{workload.uid}:{workload.uid}",
        envs=[pulumi.Output.concat(key, "=", value) for key, value in sorted(workload.environment.items())],
        labels=[
            docker.ContainerLabelArgs(label=label, value=value) for label, value in sorted(workload.labels.items())
        ],
        uploads=[_upload(file) for file in workload.files],
        mounts=[_mount(mount) for mount in workload.mounts],
        tmpfs={
            scratch.path: f"uid={workload.uid},gid={workload.uid},mode={scratch.mode},size={scratch.size_mb}m"
            for scratch in workload.scratch
        },
        ports=_ports(workload),
        # Beside networks_advanced, or each refresh finds a difference.
        network_mode="bridge",
        networks_advanced=[
            docker.ContainerNetworksAdvancedArgs(name=attached.network, aliases=list(attached.aliases))
            for attached in workload.networks
        ],
        healthcheck=_healthcheck(workload.health) if workload.health else None,
        memory=workload.memory_mb,
        memory_swap=workload.memory_mb,
        shm_size=workload.shared_memory_mb,
        capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
        security_opts=["no-new-privileges:true"],
        init=True,
        restart="no" if workload.one_shot else "unless-stopped",
        must_run=not workload.one_shot,
        stop_signal=workload.stop_signal,
        stop_timeout=workload.grace_seconds,
        # Without it the plugin ends containers by force.
        destroy_grace_seconds=workload.grace_seconds,
        log_driver="json-file",
        log_opts={"max-size": f"{LOG_FILE_MB}m", "max-file": str(LOG_FILES)},
        opts=pulumi.ResourceOptions.merge(edits, opts),
    )


def volume(part: str, naming: Naming, parent: pulumi.Resource, *, keep: bool) -> docker.Volume:
    """A volume of the stack for data of a part; `keep`: it outlives the stack."""
    return docker.Volume(
        part,
        name=naming.of(part),
        labels=[docker.VolumeLabelArgs(label=label, value=value) for label, value in naming.object_labels().items()],
        # A volume is never made anew for a label.
        opts=pulumi.ResourceOptions(parent=parent, retain_on_delete=keep, ignore_changes=["labels"]),
    )


def go_duration(seconds: int) -> str:
    """Whole seconds in the form Go prints a duration: `5s`, `1m0s`, `1h0m0s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _upload(file: File) -> docker.ContainerUploadArgs:
    return docker.ContainerUploadArgs(
        file=file.path, content=file.content, permissions="0555" if file.executable else "0444"
    )


def _mount(mount: Mount) -> docker.ContainerMountArgs:
    return docker.ContainerMountArgs(type="volume", source=mount.volume, target=mount.path, read_only=mount.read_only)


def _ports(workload: Workload) -> list[docker.ContainerPortArgs]:
    port = workload.port
    if port is None:
        return []
    return [docker.ContainerPortArgs(internal=port.internal, external=port.external, ip=port.address, protocol="tcp")]


def _healthcheck(health: Health) -> docker.ContainerHealthcheckArgs:
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", *health.command],
        interval=go_duration(health.interval_seconds),
        timeout=go_duration(health.timeout_seconds),
        start_period=go_duration(health.start_period_seconds),
        retries=health.retries,
    )
