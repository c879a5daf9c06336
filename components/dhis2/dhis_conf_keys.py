"""Keys of dhis.conf this program writes itself, and why nobody else may. Pure.

Sources: DHIS2's ConfigurationKey, ReadOnlyDataSourceManager and DefaultStartupRoutineExecutor classes, and its system
administration guide.
"""

import re

# Patterns of keys -> the reason a person gets who sets one. Keys not listed here are passed on.
OWNED_KEYS: tuple[tuple[str, str], ...] = (
    (r"connection\.(url|username|password|driver_class|dialect|schema)", "it makes the database and its password"),
    (
        r"connection\.pool\..*|db\.pool\.type",
        "pools are sized with the database's max_connections and replicas' return",
    ),
    (r"read[0-9]+\.connection\..*", "it follows the replicas setting: pulumi config set replicas 2"),
    (r"active\.read\.replicas", "DHIS2 overwrites it with the number of replicas it finds"),
    (
        r"system\.read_only_mode",
        "on, DHIS2 skips every start-up routine: no cache invalidation, no jobs, no admin user",
    ),
    (r"redis\..*", "sessions and cache invalidation of all cores go through the cache it makes"),
    (r"encryption\.password", "it is generated once; another one makes encrypted values unreadable"),
    (r"analytics\.table\.unlogged", "unlogged tables never reach a replica, so it follows the replicas setting"),
    (r"server\.base\.url", "it follows the baseUrl setting: pulumi config set baseUrl https://dhis2.example.org"),
    (r"node\.(id|primary_leader)", "each core gets its own"),
    (r"cluster\..*", "cores find each other through the cache"),
    (r"filestore\.(provider|container)", "all cores share one file volume"),
    (r"flyway\..*", "it decides which core migrates, and how"),
)

_OWNED = tuple((re.compile(pattern, re.IGNORECASE), reason) for pattern, reason in OWNED_KEYS)


def why_owned(key: str) -> str | None:
    """Why a dhis.conf key may not be set in `dhisConf`; None when it may."""
    for pattern, reason in _OWNED:
        if pattern.fullmatch(key):
            return reason
    return None
