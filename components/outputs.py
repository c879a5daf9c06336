"""What a person gets to see at the end of `pulumi up`, and by `pulumi stack output`."""

import pulumi

from components.cluster import Cluster
from components.naming import STACK_LABEL, Naming
from components.release import Release
from components.seed import Seed
from components.settings import Settings

ADMIN = "admin"  # in every DHIS2 dump and in an empty database


def outputs_of(
    cluster: Cluster, settings: Settings, release: Release, seed: Seed, naming: Naming
) -> dict[str, pulumi.Input[object]]:
    """The stack's outputs by name. The address comes last into being: when DHIS2 answers at it."""
    return {
        "url": cluster.ready.apply(lambda _: settings.public_url),
        "username": ADMIN,
        "adminPassword": cluster.admin_password,
        "version": release.version,
        "image": release.image,
        "dump": seed.name,
        "cores": settings.cores,
        "replicas": settings.replicas,
        "status": f"docker ps -a --filter label={STACK_LABEL}={naming.prefix}",
        "logs": f"docker compose -p {naming.prefix} logs -f",
        "psql": f"docker exec -it {naming.of('primary')} psql -h /var/run/postgresql -U postgres dhis",
    }
