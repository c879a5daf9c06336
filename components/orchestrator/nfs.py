"""NFS exports as volumes of Docker's local driver: their names and options. Without Pulumi, for commands too."""

import hashlib

from components.naming import Naming
from components.settings.file_store import NfsExport


def nfs_options(export: NfsExport) -> dict[str, str]:
    """Return the options of Docker's local driver that mount an export, over NFS 4: one port, and no other daemons."""
    return {"type": "nfs", "o": f"addr={export.server},rw,nfsvers=4", "device": f":{export.path}"}


def nfs_volume_name(part: str, export: NfsExport, naming: Naming) -> str:
    """Return the name of the volume of an export: another export has another name."""
    return naming.of(f"{part}-nfs-{hashlib.sha256(str(export).encode()).hexdigest()[:8]}")
