"""The stack's outputs: what `pulumi up` ends with and `pulumi stack output` prints."""

import pulumi

from components.cluster import Cluster
from components.dhis2.dump_source import DumpSource
from components.dhis2.release import Release
from components.naming import Naming
from components.settings.model import Settings

ADMIN = "admin"  # in every DHIS2 dump and in a blank database


def outputs_of(
    cluster: Cluster, settings: Settings, release: Release, dump: DumpSource, naming: Naming
) -> dict[str, pulumi.Input[object]]:
    """Return the stack's outputs by name. `url` resolves last: when DHIS2 answers at it."""
    return {
        "url": cluster.ready.apply(lambda _: settings.public_url),
        "username": ADMIN,
        "adminPassword": cluster.admin_password,
        "encryptionPassword": cluster.encryption_password,
        **({"backupPassword": cluster.backup_password} if cluster.backup_password is not None else {}),
        "version": release.version,
        "image": release.image,
        "dump": dump.name,
        "cores": settings.cores,
        "replicas": settings.replicas,
        "status": f"dhis2-cluster status -s {naming.stack}",
        "logs": f"dhis2-cluster logs -f -s {naming.stack}",
        "psql": f"dhis2-cluster psql -s {naming.stack}",
        "otherCommands": "dhis2-cluster analytics, backup, backups, move-files, open, reset, restart, restore, shell, start, stop; their options: --help",
    }
