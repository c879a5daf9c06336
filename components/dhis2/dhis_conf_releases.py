"""Which release reads which key of dhis.conf. DHIS2 ignores any other key without a word.

Source: the keys of DHIS2's ConfigurationKey class in each tag from 2.38.2 to 2.43.1 and in master. A key of the class
may be ignored all the same, as `system.session.timeout` is beside Redis (DHIS2-18460). Keys that this program sets
itself are not here.
"""

import difflib
from collections.abc import Iterable, Iterator

from components.dhis2.version import Version

# The first release in each line that got the keys after its .0, then the .0 that all later lines follow -> the keys.
_FIRST: dict[tuple[tuple[int, int], ...], str] = {
    ((38, 3), (39, 1), (40, 0)): "csp.enabled csp.header.value csp.upgrade.insecure.enabled",
    ((39, 8), (40, 6), (41, 2), (42, 0)): "max.file_upload_size",
    ((40, 0),): (
        "event_hooks.enabled linked_accounts.enabled linked_accounts.relogin_url switch_user_allow_listed_ips "
        "switch_user_feature.enabled"
    ),
    ((40, 1), (41, 0)): "system.sql_view_write_enabled",
    ((40, 4), (41, 1), (42, 0)): "analytics.table.skip_column analytics.table.skip_index",
    ((40, 7), (41, 3), (42, 0)): "linked_accounts.logout_url",
    ((40, 7), (41, 4), (42, 0)): "system.session.timeout",
    ((40, 9), (41, 0)): "analytics.connection.pool.timeout",
    ((40, 10), (41, 6), (42, 3), (43, 0)): "audit.api",
    ((41, 0),): (
        "analytics.connection.driver_class analytics.connection.password analytics.connection.pool.acquire_incr "
        "analytics.connection.pool.acquire_retry_attempts analytics.connection.pool.acquire_retry_delay "
        "analytics.connection.pool.idle.con.test.period analytics.connection.pool.initial_size "
        "analytics.connection.pool.max_idle_time analytics.connection.pool.max_idle_time_excess_con "
        "analytics.connection.pool.max_size analytics.connection.pool.min_size "
        "analytics.connection.pool.num.helper.threads analytics.connection.pool.preferred.test.query "
        "analytics.connection.pool.test.on.checkin analytics.connection.pool.test.on.checkout "
        "analytics.connection.pool.validation_timeout analytics.connection.url analytics.connection.username "
        "analytics.database system.remote_servers_allowed"
    ),
    ((41, 1), (42, 0)): "analytics.database.catalog analytics.database.driver_filename",
    ((42, 0),): (
        "cache.ehcache.config.file http.security.csrf.enabled login.saved.requests.enable "
        "login.security.email_2fa.enabled login.security.totp_2fa.enabled metadata.categories.max_combinations "
        "metadata.categories.max_options metadata.categories.max_per_combo metadata.sync.remote_servers_allowed "
        "monitoring.ehcache.enabled oauth2.server.enabled oauth2.server.jwt.keystore.alias "
        "oauth2.server.jwt.keystore.generate-if-missing oauth2.server.jwt.keystore.key-password "
        "oauth2.server.jwt.keystore.password oauth2.server.jwt.keystore.path route.remote_servers_allowed "
        "session.cookie.samesite"
    ),
    ((43, 0),): (
        "analytics.connection.pool.keep_alive_time_seconds analytics.connection.pool.max_lifetime_seconds "
        "analytics.connection.pool.min_idle doris.catalog.connection.url logging.query logging.query.slow_threshold "
        "logging.session_id monitoring.sql.context monitoring.sql.context.keys"
    ),
    ((44, 0),): (
        "dhis2.static.cache.always_no_cache_patterns dhis2.static.cache.default_max_age "
        "dhis2.static.cache.dev_mode_force_no_cache dhis2.static.cache.enabled dhis2.static.cache.html_max_age "
        "dhis2.static.cache.html_rewrite_enabled dhis2.static.cache.immutable_max_age monitoring.jmx.enabled "
        "oauth2.server.dcr.refresh-token-ttl"
    ),
}
# The last line that reads the key -> keys, each with the one that took its place, if any.
_LAST: dict[int, dict[str, str]] = {
    40: dict.fromkeys(
        (
            *("analytics.cache.expiration", "leader.time.to.live.minutes", "system.cache.cap.percentage"),
            *("debezium.connection.password", "debezium.connection.username", "debezium.db.hostname"),
            *("debezium.db.name", "debezium.db.port", "debezium.enabled", "debezium.exclude.list"),
            *("debezium.shutdown_on.connector_stop", "debezium.slot.name"),
        ),
        "",
    ),
    41: {"oauth2.authorization.server.enabled": "oauth2.server.enabled", "system.program_rule.server_execution": ""},
    42: {
        "enable.query.logging": "logging.query",
        "slow.query.logging.threshold.time": "logging.query.slow_threshold",
        "logging.request_id.enabled": "",
        "changelog.tracker": "",
        "elapsed.time.query.logging.enabled": "",
        "method.query.logging.enabled": "",
    },
}
_ALWAYS = (
    "apphub.api.url apphub.base.url artemis.embedded.persistence artemis.embedded.security artemis.embedded.threads "
    "artemis.host artemis.mode artemis.password artemis.port artemis.username audit.aggregate audit.database "
    "audit.in_memory-queue.enabled audit.logger audit.metadata audit.tracker changelog.aggregate "
    "enable.api_token.authentication "
    "google.service.account.client.id hibernate.cache.use_query_cache hibernate.cache.use_second_level_cache "
    "ldap.manager.dn ldap.manager.password ldap.search.base ldap.search.filter ldap.url logging.file.max_archives "
    "logging.file.max_size max.sessions.per_user metadata.sync.retry metadata.sync.retry.time.frequency.millisec "
    "monitoring.api.enabled monitoring.cpu.enabled monitoring.dbpool.enabled monitoring.hibernate.enabled "
    "monitoring.jvm.enabled monitoring.uptime.enabled oidc.jwt.token.authentication.enabled oidc.logout.redirect_url "
    "oidc.oauth2.login.enabled server.https system.audit.enabled system.cache.max_size.factor "
    "system.monitoring.password system.monitoring.url system.monitoring.username system.sql_view_table_protection "
    "system.update_notifications_enabled tracker.temporary.ownership.timeout "
    "analytics.table.ordering connection.database connection.host connection.port"
)
_FIRST_OF = {key: releases for releases, keys in _FIRST.items() for key in keys.split()}
_LAST_OF = {key: (line, instead) for line, keys in _LAST.items() for key, instead in keys.items()}
_KNOWN = {*_FIRST_OF, *_LAST_OF, *_ALWAYS.split()}
_ANY_NAME = "oidc.provider."  # followed by a provider's own name
_SIMILAR = 0.8


def ignored_keys(number: Version, keys: Iterable[str], newest_line: int) -> Iterator[str]:
    """Yield a warning for each key of dhis.conf that a release ignores; `newest_line` is the newest published line."""
    for key in keys:
        if key in _FIRST_OF:
            first = _first_good(number, _FIRST_OF[key], newest_line)
            if first:
                yield f"DHIS2 {number.text} ignores {key} of dhisConf; the first release that reads it is {first}: pulumi config set version {first}"
        elif key in _LAST_OF:
            line, instead = _LAST_OF[key]
            if number.at_least(line + 1):
                hint = f"; {instead} took its place" if instead else ""
                yield f"DHIS2 {number.text} ignores {key} of dhisConf; the last line that reads it is 2.{line}{hint}"
        elif key not in _KNOWN and not key.startswith(_ANY_NAME):
            near = difflib.get_close_matches(key, sorted(_KNOWN), n=1, cutoff=_SIMILAR)
            if near:
                yield f"no release of DHIS2 reads {key} of dhisConf; did you mean {near[0]}?"


def _first_good(number: Version, releases: tuple[tuple[int, int], ...], newest_line: int) -> str:
    """Return the first release, from this one on, that reads a key; empty when it is this one."""
    if number.minor is None or number.at_least(*releases[-1]):
        return ""
    line, patch = next(release for release in releases if release >= (number.minor, 0))
    if number.minor == line and number.patch >= patch:
        return ""
    return f"2.{line}.{patch}" if line <= newest_line else "dev"
