"""What a stack may use of the memory, MB: the sum of the limits of all that runs at the same time."""

from components.backup.sizing import MEMORY_MB as BACKUP_MEMORY_MB
from components.backup.sizing import TOOLS_MEMORY_MB
from components.database.sizing import FETCH_MEMORY_MB
from components.load_balancer.sizing import memory_mb as load_balancer_memory_mb
from components.settings.model import Settings, Tls
from components.tls.sizing import memory_mb as acme_memory_mb


def needed_mb(settings: Settings, load_balancers: int = 1) -> int:
    """Return the sum of the memory limits, MB."""
    databases = (1 + settings.replicas) * settings.database_memory_mb
    return settings.cores * settings.core_memory_mb + databases + _other_mb(settings, load_balancers)


def demand(settings: Settings, load_balancers: int = 1) -> str:
    """Return what messages say of the sum, the settings it comes from included."""
    return f"the stack may use {needed_mb(settings, load_balancers)} MB of memory ({settings.cores} x coreMemory {settings.core_memory_mb} + {1 + settings.replicas} x databaseMemory {settings.database_memory_mb} + {_other_mb(settings, load_balancers)})"


def _other_mb(settings: Settings, load_balancers: int) -> int:
    """Return the part of what is neither core nor database."""
    acme_mb = acme_memory_mb(on_swarm=settings.on_swarm) if settings.tls is Tls.ACME else 0
    balancers_mb = load_balancers * load_balancer_memory_mb(https=settings.https)
    backup_mb = 0 if settings.backup_cron is None else BACKUP_MEMORY_MB + TOOLS_MEMORY_MB
    return settings.cache_memory_mb + balancers_mb + FETCH_MEMORY_MB + acme_mb + backup_mb
