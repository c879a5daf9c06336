"""SwarmOrchestrator: the parts of a stack as services of a Docker Swarm, with what these need.

What the plugin needs was observed on the real one: at most one environment variable a service (with more, any change
restarts all tasks, since their order is random), networks by id, tmpfs with mode 0777. With other forms each refresh
shows a diff.
"""

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import pulumi
import pulumi_docker as docker
import pulumi_random as random

from components.naming import DUMP_CACHE_VOLUME, SHARED_LABEL, Naming
from components.orchestrator.container_spec import ContainerSpec, File, Mount
from components.orchestrator.docker import go_duration, smaller_mtu
from components.orchestrator.hardening import DROPPED_CAPABILITIES
from components.orchestrator.interface import Endpoint, Image, Orchestrator, Service
from components.orchestrator.nfs import nfs_options, nfs_volume_name
from components.orchestrator.swarm import files
from components.orchestrator.swarm.placement import REPLICA, Placement
from components.orchestrator.swarm.services import BESIDE, ENVIRONMENT, SERVICE_NAME, in_environment
from components.orchestrator.swarm.volumes import NodeVolumes
from components.orchestrator.swarm.watcher import SwarmWatcher
from components.orchestrator.watcher import NotReady, WaitTarget
from components.settings.file_store import NfsExport

# A task whose healthcheck fails so often in a row is ended by the swarm. None is: see ADR 9.
RETRIES = 10**6
# The plugin gives up a deletion that takes as long as the grace period.
GRACE_SECONDS = 10
TMP_MB = 64  # where a spec has no /tmp of its own: the root file system is read-only
ANY_MODE = 0o777  # the plugin reads 0o1777 back as it
LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}


@dataclass
class SwarmOrchestrator(Orchestrator):
    """Registers services of a swarm. `encrypted` networks use IPsec between nodes.

    `curl_image` is the reference of an image of the stack with curl, which is registered before any volume.
    """

    cluster: pulumi.Resource
    naming: Naming = field(kw_only=True)
    mtu: int = field(kw_only=True)
    encrypted: bool = field(kw_only=True)
    keep_data: bool = field(kw_only=True)
    placement: Placement = field(kw_only=True)
    watcher: SwarmWatcher = field(kw_only=True)
    docker_host: str | None = field(kw_only=True)
    curl_image: str = field(kw_only=True)
    most_variables = 1
    changes_in_place = True
    _exports: dict[str, dict[str, str]] = field(default_factory=dict, init=False)

    @cached_property
    def _key(self) -> pulumi.Output[str]:
        """What the names of configs and secrets are hashed with."""
        options = pulumi.ResourceOptions(parent=self.cluster)
        return random.RandomPassword("file-names", length=32, special=False, opts=options).result

    @cached_property
    def _volumes(self) -> NodeVolumes:
        return NodeVolumes(self.cluster, self.docker_host, self.curl_image)

    def image(self, name: str, reference: str, parent: pulumi.Resource) -> Image:
        """Register an image, used by its digest: each node pulls it. One that was loaded has only an id."""
        options = pulumi.ResourceOptions(parent=parent)
        resource = docker.RemoteImage(name, name=reference, keep_locally=True, opts=options)
        digest = pulumi.Output.all(resource.repo_digest, resource.image_id).apply(lambda values: values[0] or values[1])
        pulled: pulumi.Output[str] = digest.apply(partial(self._pulled, name, reference))
        if reference == self.curl_image:
            self._volumes.image = pulled
        return Image(resource=resource, id=pulled)

    async def _pulled(self, name: str, reference: str, digest: str) -> str:
        """Return the digest of an image once the nodes have it, so that nothing stops for one that a node lacks."""
        replicas = [f"{REPLICA}{number}" for number in range(1, len(self.placement.replica_nodes) + 1)]
        parts = {
            "load-balancer-image": ["lb", "dump"],
            "database-image": ["primary", *replicas],
            "cache-image": ["cache"],
            "core-image": ["core-1"],
        }
        if not pulumi.runtime.is_dry_run():
            try:
                for part in parts.get(name, []):
                    container, constraints = self.naming.of(part), self.placement.constraints(part)
                    await self.watcher.until_pulled(container, digest, reference, constraints)
            except NotReady as error:
                raise pulumi.RunError(str(error)) from None
        return digest

    def network(self, part: str, parent: pulumi.Resource, *, internal: bool) -> pulumi.Output[str]:
        """Register an overlay network and return its id."""
        options = ({"encrypted": "true"} if self.encrypted else {}) | smaller_mtu(self.mtu)
        return docker.Network(
            part,
            name=self.naming.of(part),
            driver="overlay",
            internal=internal,
            options=options or None,
            labels=[
                docker.NetworkLabelArgs(label=label, value=value)
                for label, value in self.naming.object_labels().items()
            ],
            # Read back otherwise than written, options would replace the network.
            opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["labels", "options"]),
        ).id

    def volume(self, part: str, parent: pulumi.Resource, *, kept: bool | None = None) -> pulumi.Output[str]:
        """Register the volume of a part and return its name; `kept` ones outlive the stack, by default with keepData.

        Docker Engine creates it on each node where a task mounts it. Databases on different nodes have one of the same
        name, which is one resource: it is removed from the nodes when no part has it any more.
        """
        kept = self.keep_data if kept is None else kept
        named_after = self.placement.volume_of(part)
        return self._volumes.register(named_after, self.naming.of(named_after), parent, kept=kept)

    def nfs_volume(self, part: str, export: NfsExport, parent: pulumi.Resource) -> pulumi.Output[str]:
        """Register the volume of an export and return its name; what is exported stays when it is deleted."""
        name = nfs_volume_name(part, export, self.naming)
        self._exports[name] = nfs_options(export)
        return self._volumes.register(name.removeprefix(self.naming.of("")), name, parent)

    def dump_cache_volume(self, parent: pulumi.Resource) -> pulumi.Output[str]:
        """Return the name of the dump cache on the primary's node."""
        return pulumi.Output.from_input(DUMP_CACHE_VOLUME)

    def container(self, name: str, spec: ContainerSpec, opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
        """Register the service of a spec with one task, or one on each of its nodes."""
        return self._service(name, spec, 1, opts)

    def own_address(self, endpoint: Endpoint) -> str:
        """Return the name of the service, since a command runs in a container beside it."""
        return endpoint.host

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
        """Register one service with a task for each number."""
        if not numbers:
            return []
        # The number of a task begins with 1, and the first of the group is a service of its own.
        tasks = replace(spec(group, numbers[0]), hostname=f"{group}s-{{{{.Task.Slot}}}}")
        depends_on = tuple(backend.wait_target for backend in backends)
        target = WaitTarget(tasks.name, f"{group} {numbers[0]} to {numbers[-1]}", depends_on=depends_on)
        resource = self._service(group, tasks, len(numbers), opts)
        return [Service(resource=resource, wait_target=target, endpoint=Endpoint(group, port))]

    def _service(self, part: str, spec: ContainerSpec, tasks: int, opts: pulumi.ResourceOptions) -> docker.Service:
        spec, command = _with_environment(spec)
        opts = pulumi.ResourceOptions.merge(opts, None)  # a copy
        opts.hooks = self._hooks(part, spec.name, opts.hooks)
        # A registry that answers adds them.
        opts.ignore_changes = ["taskSpec.placement.platforms"]
        # The plugin would delete the file before the service has the other one.
        of_files = pulumi.ResourceOptions(parent=opts.parent, delete_before_replace=False)
        key = files.key_of_names(part, spec, self._key, of_files)
        is_global = self.placement.is_global(part)
        # A task that ends well is not started again.
        restart = docker.ServiceTaskSpecRestartPolicyArgs(
            condition="none" if spec.one_shot else "any", delay="5s", max_attempts=0, window="0s"
        )
        return docker.Service(
            part,
            name=spec.name,
            labels=[docker.ServiceLabelArgs(label=label, value=value) for label, value in sorted(spec.labels.items())],
            task_spec=docker.ServiceTaskSpecArgs(
                container_spec=docker.ServiceTaskSpecContainerSpecArgs(
                    image=spec.image,
                    commands=command,
                    hostname=spec.hostname or None,
                    user=f"{spec.uid}:{spec.uid}",
                    env=dict(spec.environment) or None,
                    labels=[
                        docker.ServiceTaskSpecContainerSpecLabelArgs(label=label, value=value)
                        for label, value in sorted(self._container_labels(spec).items())
                    ],
                    cap_drops=list(DROPPED_CAPABILITIES),
                    init=True,
                    # Files are configs and secrets, so no one has to write them into the root file system.
                    read_only=(bool(spec.entrypoint) and not spec.own_disk) or None,
                    configs=files.configs(part, spec, key, of_files) or None,
                    secrets=files.secrets(part, spec, key, of_files) or None,
                    mounts=self._mounts(part, spec, opts.parent or self.cluster),
                    healthcheck=_healthcheck(spec) if spec.healthcheck else None,
                    stop_signal=spec.stop_signal,
                    stop_grace_period=short_duration(spec.stop_timeout_seconds + GRACE_SECONDS),
                ),
                resources=docker.ServiceTaskSpecResourcesArgs(
                    limits=docker.ServiceTaskSpecResourcesLimitsArgs(memory_bytes=spec.memory_mb * 2**20),
                    reservation=docker.ServiceTaskSpecResourcesReservationArgs(memory_bytes=spec.memory_mb * 2**20),
                ),
                restart_policy=restart,
                placement=docker.ServiceTaskSpecPlacementArgs(constraints=self.placement.constraints(part) or None),
                networks_advanceds=[
                    docker.ServiceTaskSpecNetworksAdvancedArgs(
                        id=attachment.network, aliases=sorted(attachment.aliases)
                    )
                    for attachment in spec.networks
                ],
                log_driver=docker.ServiceTaskSpecLogDriverArgs(name="json-file", options=LOG_OPTIONS),
            ),
            mode=docker.ServiceModeArgs(
                global_=True if is_global else None,
                replicated=None if is_global else docker.ServiceModeReplicatedArgs(replicas=tasks),
            ),
            endpoint_spec=docker.ServiceEndpointSpecArgs(
                mode="dnsrr",
                ports=[
                    docker.ServiceEndpointSpecPortArgs(
                        target_port=port.internal, published_port=port.external, protocol="tcp", publish_mode="host"
                    )
                    for port in spec.ports
                ]
                or None,
            ),
            # One task after the other, the old one first: a node need not have the memory of both.
            update_config=docker.ServiceUpdateConfigArgs(
                parallelism=1, order="stop-first", failure_action="pause", monitor="5s"
            ),
            opts=opts,
        )

    def _hooks(self, part: str, name: str, others: pulumi.ResourceHookBinding | None) -> pulumi.ResourceHookBinding:
        """Return hooks that create a service once the tasks of a removed one have ended, then those it has anyway."""

        async def until_gone(_: pulumi.ResourceHookArgs) -> None:
            await self.watcher.until_gone(name)

        hooks: list[pulumi.ResourceHook | pulumi.ResourceHookFunction] = [
            pulumi.ResourceHook(f"{part}-gone", until_gone)
        ]
        others = others or pulumi.ResourceHookBinding()
        return pulumi.ResourceHookBinding(
            before_create=[*hooks, *(others.before_create or [])], before_update=others.before_update
        )

    def _container_labels(self, spec: ContainerSpec) -> dict[str, str]:
        """Return the labels of the containers; with one that changes, all tasks would restart."""
        return {**self.naming.object_labels(), SERVICE_NAME: spec.name}

    def _mounts(
        self, part: str, spec: ContainerSpec, parent: pulumi.Resource
    ) -> list[docker.ServiceTaskSpecContainerSpecMountArgs]:
        volumes = [
            docker.ServiceTaskSpecContainerSpecMountArgs(
                type="volume",
                source=mount.volume,
                target=mount.path,
                read_only=mount.read_only or None,
                volume_options=pulumi.Output.from_input(mount.volume).apply(partial(self._volume_options, mount)),
            )
            for mount in spec.mounts
        ]
        tmp = {} if spec.own_disk else {"/tmp": TMP_MB}  # noqa: S108
        in_memory = {**tmp, **spec.tmpfs, "/dev/shm": spec.shared_memory_mb}  # noqa: S108
        shared = spec.shared_folder
        if shared:
            options = f"size={in_memory.pop(shared)}m,uid={spec.uid},gid={spec.uid},mode=1770"
            volumes.append(
                docker.ServiceTaskSpecContainerSpecMountArgs(
                    type="volume",
                    source=self._volumes.register(f"{part}-run", f"{spec.name}-run", parent),
                    target=shared,
                    volume_options=docker.ServiceTaskSpecContainerSpecMountVolumeOptionsArgs(
                        driver_name="local",
                        driver_options={"type": "tmpfs", "device": "tmpfs", "o": options},
                        labels=self._volume_labels(f"{spec.name}-run"),
                    ),
                )
            )
        return volumes + [
            docker.ServiceTaskSpecContainerSpecMountArgs(
                type="tmpfs",
                target=path,
                tmpfs_options=docker.ServiceTaskSpecContainerSpecMountTmpfsOptionsArgs(
                    size_bytes=size_mb * 2**20, mode=ANY_MODE
                ),
            )
            for path, size_mb in sorted(in_memory.items())
        ]

    def _volume_options(self, mount: Mount, name: str) -> docker.ServiceTaskSpecContainerSpecMountVolumeOptionsArgs:
        options = self._exports.get(name)
        return docker.ServiceTaskSpecContainerSpecMountVolumeOptionsArgs(
            labels=self._volume_labels(name),
            driver_name="local" if options else None,
            driver_options=options,
            no_copy=mount.no_copy or None,
        )

    def _volume_labels(self, name: str) -> list[docker.ServiceTaskSpecContainerSpecMountVolumeOptionsLabelArgs]:
        labels = {SHARED_LABEL: "dumps"} if name == DUMP_CACHE_VOLUME else self.naming.object_labels()
        return [
            docker.ServiceTaskSpecContainerSpecMountVolumeOptionsLabelArgs(label=label, value=value)
            for label, value in labels.items()
        ]


def _with_environment(spec: ContainerSpec) -> tuple[ContainerSpec, list[str] | None]:
    """Return a spec with its environment in a file, and the command that reads it; those of an image's own stay."""
    if not spec.entrypoint:
        return spec, None
    lines = [
        pulumi.Output.from_input(value).apply(partial(_assignment, key))
        for key, value in sorted(spec.environment.items())
    ]
    text = pulumi.Output.all(*lines).apply("".join)
    more = [
        File(path=ENVIRONMENT, content=pulumi.Output.concat("# Sourced by each command of this container.\n", text))
    ]
    if spec.beside:
        more.append(File(path=BESIDE, content=spec.beside, executable=True))
    spec = replace(spec, environment={}, files=(*spec.files, *more))
    if spec.healthcheck:
        spec = replace(spec, healthcheck=tuple(in_environment(spec.healthcheck)))
    return spec, in_environment(spec.entrypoint)


def _assignment(key: str, value: str) -> str:
    return f"export {key}={shlex.quote(value)}\n"


def short_duration(seconds: int) -> str:
    """Return whole seconds in the form the plugin reads the durations of a service back in: `5s`, `1m`, `1h`."""
    return re.sub("h0m$", "h", re.sub("m0s$", "m", go_duration(seconds)))


def _healthcheck(spec: ContainerSpec) -> docker.ServiceTaskSpecContainerSpecHealthcheckArgs:
    return docker.ServiceTaskSpecContainerSpecHealthcheckArgs(
        tests=["CMD", *spec.healthcheck],
        interval="5s",
        timeout="10s",
        start_period=short_duration(spec.start_period_seconds),
        retries=RETRIES,
    )
