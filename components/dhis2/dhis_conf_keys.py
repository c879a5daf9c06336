"""The keys of dhis.conf that this program writes itself, and why the setting `dhisConf` may not have them.

Sources: DHIS2's ConfigurationKey, ReadOnlyDataSourceManager and DefaultStartupRoutineExecutor classes, and its system
administration guide.
"""

import re

# Keys (* = anything) -> the reason, for messages and docs/settings.md. Keys not listed here are passed on.
OWNED_KEYS: dict[tuple[str, ...], str] = {
    (
        *("connection.url", "connection.username", "connection.password"),
        *("connection.driver_class", "connection.dialect", "connection.schema"),
    ): "the database, its user and its password are created with the stack",
    ("connection.pool.*", "db.pool.type"): (
        "pools are sized after the database's max_connections, and reads must return to a replica that is back"
    ),
    ("read*.connection.*",): "replicas have a setting of their own: pulumi config set replicas 2",
    ("active.read.replicas",): "DHIS2 overwrites it with the number of replicas it counts",
    ("system.read_only_mode",): (
        "when on, DHIS2 skips every startup routine: no cache invalidation, no jobs, no admin user"
    ),
    ("redis.*",): "sessions and cache invalidation of all cores need the stack's own cache",
    ("encryption.password",): "it has a setting of its own: pulumi config set --secret encryptionPassword",
    ("analytics.table.unlogged",): "unlogged tables are not replicated, so it depends on the setting replicas",
    ("server.base.url",): "it has a setting of its own: pulumi config set baseUrl https://dhis2.example.org",
    ("node.id", "node.primary_leader"): "every core has its own",
    ("cluster.*",): "the cores reach each other through the cache",
    ("filestore.*",): "where files are kept has settings of its own: pulumi config set fileStore s3://bucket",
    ("flyway.*",): "this program decides which core migrates the database, and how",
}


def pattern_of(keys: tuple[str, ...]) -> str:
    """Return the regular expression, valid in JSON schema too, of keys of OWNED_KEYS."""
    return f"^({'|'.join(keys)})$".replace(".", r"\.").replace("*", ".*")


def why_owned(key: str) -> str | None:
    """Return why the setting `dhisConf` may not have this key; None when it may."""
    reasons = (why for keys, why in OWNED_KEYS.items() if re.match(pattern_of(keys), key, re.IGNORECASE))
    return next(reasons, None)
