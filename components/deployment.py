"""From the selected stack's settings to its cluster and outputs; everything that can be checked first is."""

from functools import partial

import pulumi
import pulumi_docker as docker

from components.cluster import Cluster, ClusterArgs
from components.config import load_settings
from components.engine.watch import Watcher
from components.gates import Gates
from components.naming import Naming
from components.outputs import outputs_of
from components.preflight import PreflightError, check
from components.release import resolve_release
from components.seed import seed_of


def deploy() -> dict[str, pulumi.Input[object]]:
    """Register the selected stack; returns its outputs.

    Raises pulumi.RunError, before anything is registered, for wrong settings and an engine that cannot run the stack.
    """
    settings = load_settings()
    naming = Naming(pulumi.get_project(), pulumi.get_stack())
    release = resolve_release(settings.version, settings.image, settings.dump_url)
    try:
        check(settings, naming, release.image)
        seed = seed_of(release)
    except (PreflightError, OSError) as error:
        raise pulumi.RunError(str(error)) from None
    for warning in release.warnings(settings.cores, settings.replicas):
        pulumi.log.warn(warning)
    # Shown while it happens, and not once more among the diagnostics at the end.
    say = partial(pulumi.log.info, ephemeral=True)
    gates = Gates(Watcher(settings.docker_host, settings.ready_timeout_seconds, say))
    providers: list[pulumi.ProviderResource] = []
    if settings.docker_host:
        providers.append(docker.Provider("docker", host=settings.docker_host))
    cluster = Cluster(
        "cluster",
        ClusterArgs(settings=settings, release=release, seed=seed, naming=naming, gates=gates),
        pulumi.ResourceOptions(providers=providers),
    )
    return outputs_of(cluster, settings, release, seed, naming)
