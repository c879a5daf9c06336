"""DockerOrchestrator: containers, volumes, networks and images as resources of the docker plugin.

What the plugin needs was observed on the real one: values are written in the form Docker Engine reports them in (Go
durations, `CAP_…`), or each refresh would show a diff.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components.naming import DUMP_CACHE_VOLUME, SHARED_LABEL, Naming
from components.orchestrator.container_spec import ContainerSpec
from components.orchestrator.engine_info import ETHERNET_MTU, MTU_OPTION
from components.orchestrator.hardening import DROPPED_CAPABILITIES, SECURITY_OPTIONS
from components.orchestrator.interface import Endpoint, Image, Orchestrator, Service
from components.orchestrator.nfs import nfs_options, nfs_volume_name
from components.orchestrator.ssh import shared_options
from components.settings.file_store import NfsExport

# The plugin updates these in the state and never in the container, unless it is replaced.
STATE_ONLY = ["healthcheck", "init", "tmpfs"]


def providers(docker_host: str | None) -> list[pulumi.ProviderResource]:
    """Return the explicit provider that a `dockerHost` needs; without one the default provider serves."""
    if not docker_host:
        return []
    # Other options update the provider in Pulumi's state; no resource is replaced for them.
    ssh_options = shared_options() if docker_host.startswith("ssh:") else None
    return [docker.Provider("docker", host=docker_host, ssh_opts=ssh_options or None)]


@dataclass(frozen=True, kw_only=True)
class DockerOrchestrator(Orchestrator):
    """Registers containers of one Docker Engine; `mtu` is that of its networks."""

    naming: Naming
    keep_data: bool
    mtu: int

    def container(self, name: str, spec: ContainerSpec, opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
        """Register the hardened container of a spec: unprivileged user, no capabilities, limits, rotated logs.

        Root file systems stay writable, because files cannot be uploaded into a read-only one. `memory` and
        `memory_swap` are equal: no swap, and the memory limit can be changed in place.
        """
        replacement = pulumi.ResourceOptions(delete_before_replace=True, replace_on_changes=STATE_ONLY)
        return docker.Container(
            name,
            name=spec.name,
            image=spec.image,
            entrypoints=list(spec.entrypoint) or None,
            hostname=spec.hostname or None,
            user=f"{spec.uid}:{spec.uid}",
            envs=[pulumi.Output.concat(key, "=", value) for key, value in sorted(spec.environment.items())],
            labels=[
                docker.ContainerLabelArgs(label=label, value=value) for label, value in sorted(spec.labels.items())
            ],
            uploads=[
                docker.ContainerUploadArgs(
                    file=file.path, content=file.content, permissions="0555" if file.executable else "0444"
                )
                for file in spec.files
            ],
            mounts=[
                docker.ContainerMountArgs(
                    type="volume",
                    source=mount.volume,
                    target=mount.path,
                    read_only=mount.read_only,
                    volume_options=docker.ContainerMountVolumeOptionsArgs(no_copy=True) if mount.no_copy else None,
                )
                for mount in spec.mounts
            ],
            tmpfs={path: f"uid={spec.uid},gid={spec.uid},mode=1770,size={size}m" for path, size in spec.tmpfs.items()},
            ports=[
                docker.ContainerPortArgs(
                    internal=port.internal, external=port.external, ip=port.address, protocol="tcp"
                )
                for port in spec.ports
            ],
            # Beside networks_advanced, or each refresh shows a diff.
            network_mode="bridge",
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=attachment.network, aliases=list(attachment.aliases))
                for attachment in spec.networks
            ],
            healthcheck=_healthcheck(spec) if spec.healthcheck else None,
            memory=spec.memory_mb,
            memory_swap=spec.memory_mb,
            shm_size=spec.shared_memory_mb,
            capabilities=docker.ContainerCapabilitiesArgs(drops=list(DROPPED_CAPABILITIES)),
            security_opts=list(SECURITY_OPTIONS),
            init=True,
            restart="no" if spec.one_shot else "unless-stopped",
            must_run=not spec.one_shot,
            stop_signal=spec.stop_signal,
            stop_timeout=spec.stop_timeout_seconds,
            # Without it the plugin kills containers at once.
            destroy_grace_seconds=spec.stop_timeout_seconds,
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            opts=pulumi.ResourceOptions.merge(replacement, opts),
        )

    def own_address(self, endpoint: Endpoint) -> str:
        """Return the loopback address, since a command runs in the container itself."""
        return "127.0.0.1"

    def replicas(
        self,
        group: str,
        numbers: range,
        spec: Callable[[str, int], ContainerSpec],
        *,
        port: int,
        opts: pulumi.ResourceOptions,
        backends: Sequence[Service],
    ) -> list[Service]:
        """Register one container for each number."""
        names = {f"{group}-{number}": number for number in numbers}
        return [
            self.service(name, spec(name, number), f"{group} {number}", Endpoint(name, port), opts, backends=backends)
            for name, number in names.items()
        ]

    def volume(self, part: str, parent: pulumi.Resource, *, kept: bool | None = None) -> pulumi.Output[str]:
        """Register a volume of a part and return its name; `kept` ones outlive the stack, by default with keepData."""
        kept = self.keep_data if kept is None else kept
        return docker.Volume(
            part,
            name=self.naming.of(part),
            labels=[
                docker.VolumeLabelArgs(label=label, value=value) for label, value in self.naming.object_labels().items()
            ],
            # A volume is never replaced for a label.
            opts=pulumi.ResourceOptions(parent=parent, retain_on_delete=kept, ignore_changes=["labels"]),
        ).name

    def nfs_volume(self, part: str, export: NfsExport, parent: pulumi.Resource) -> pulumi.Output[str]:
        """Register the volume through which containers mount an NFS export, and return its id, which is its name.

        Docker cannot change the options of a volume, so another export has another volume, which exists before the old
        one is deleted. Nothing is mounted before a container starts, and what is exported stays when it is deleted.
        """
        name = nfs_volume_name(part, export, self.naming)
        labels = self.naming.object_labels()
        return docker.Volume(
            name.removeprefix(self.naming.of("")),
            name=name,
            driver_opts=nfs_options(export),
            labels=[docker.VolumeLabelArgs(label=label, value=value) for label, value in labels.items()],
            opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["labels"]),
        ).id

    def dump_cache_volume(self, parent: pulumi.Resource) -> pulumi.Output[str]:
        """Register the dump cache that all stacks of a Docker Engine share and return its name; no stack removes it."""
        return docker.Volume(
            "dumps",
            name=DUMP_CACHE_VOLUME,
            labels=[docker.VolumeLabelArgs(label=SHARED_LABEL, value="dumps")],
            opts=pulumi.ResourceOptions(parent=parent, retain_on_delete=True),
        ).name

    def network(self, part: str, parent: pulumi.Resource, *, internal: bool) -> pulumi.Output[str]:
        """Register a network and return its id, not its name: when it is recreated its containers are replaced."""
        return docker.Network(
            part,
            name=self.naming.of(part),
            internal=internal,
            options=smaller_mtu(self.mtu) or None,
            labels=[
                docker.NetworkLabelArgs(label=label, value=value)
                for label, value in self.naming.object_labels().items()
            ],
            opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["labels"]),
        ).id

    def image(self, name: str, reference: str, parent: pulumi.Resource) -> Image:
        """Register an image, used by its id; the new one is pulled before anything that runs from the old one stops."""
        resource = docker.RemoteImage(
            name, name=reference, keep_locally=True, opts=pulumi.ResourceOptions(parent=parent)
        )
        return Image(resource=resource, id=resource.image_id)


def smaller_mtu(mtu: int) -> dict[str, str]:
    """Return the option of a network with this MTU; Docker gives it Ethernet's, also where the host's link has less."""
    return {MTU_OPTION: str(mtu)} if mtu < ETHERNET_MTU else {}


def go_duration(seconds: int) -> str:
    """Return whole seconds in the form Go prints a duration: `5s`, `1m0s`, `1h0m0s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _healthcheck(spec: ContainerSpec) -> docker.ContainerHealthcheckArgs:
    period = go_duration(spec.start_period_seconds)
    tests = ["CMD", *spec.healthcheck]
    return docker.ContainerHealthcheckArgs(tests=tests, interval="5s", timeout="10s", start_period=period, retries=3)
