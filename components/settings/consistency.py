"""The consistency rules: what settings that are valid one by one may not be together."""

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address

from pydantic import SecretStr

from components.settings.dhis_conf import remove_command
from components.settings.errors import SettingError, secret_command, set_command
from components.settings.file_store import Bucket
from components.settings.model import Settings, Tls
from components.settings.quantities import MOST_MB
from components.settings.validators import HOST

_HEAP = re.compile(r"(?:^|\s)-Xmx([0-9]{1,12})([kmgt]?)(?=\s|$)", re.ASCII | re.IGNORECASE)
HTTP_PORT = 80
_BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def consistency_errors(settings: Settings, invalid: set[str], hidden: set[str]) -> list[SettingError]:
    """Return the errors of all rules whose settings are not `invalid` by themselves; those have their default here.

    Not a model_validator, which pydantic calls only when every field is valid. Values of `hidden` keys are in no error.
    """
    return [error for keys, rule in _RULES.items() if not invalid & keys for error in rule(settings, hidden)]


def consistency_warnings(settings: Settings) -> Iterator[str]:
    """Yield what is valid and probably not intended: a proxy that is not named, a bucket without access key."""
    yield from _without_effect(settings)
    for key, value in (("backupSshKey", settings.backup_ssh_key), ("backupKnownHosts", settings.backup_known_hosts)):
        if value is not None and not settings.backup_on_sftp:
            yield f"{key} has no effect, since backupRepository is not on SFTP: pulumi config rm {key}"
    for key, secret in _keys_of_bucket(settings).items():
        if secret is not None and not isinstance(settings.files_place, Bucket):
            yield f"{key} has no effect, since fileStore is not on S3: pulumi config rm {key}"
    if (settings.backup_repository or "").startswith("s3:") and not (
        settings.backup_access_key and settings.backup_secret_key
    ):
        # Not an error: the machine may have a role of its own.
        yield "backupRepository is on S3, and there is no access key for it: pulumi config set backupAccessKey … and pulumi config set --secret backupSecretKey"
    if settings.public_url.startswith("https:") and not settings.https and not settings.trusted_proxies:
        yield "baseUrl is https, and trustedProxies names no proxy: DHIS2 and the login limit see all users under one address, the proxy's. Name it: pulumi config set trustedProxies 10.0.0.5 (its address), or host for a proxy on the Docker host"
    if settings.tls is Tls.ACME and not settings.acme_dns_provider and settings.port != HTTP_PORT:
        yield f"port is {settings.port}: the CA connects to port 80 of {settings.hostname}, so something has to pass that on to port {settings.port}. Or: pulumi config set port 80"


def _without_effect(settings: Settings) -> Iterator[str]:
    """Yield the settings of a swarm that a stack on one machine has."""
    nodes = {
        "primaryNode": settings.primary_node,
        "replicaNodes": settings.replica_nodes,
        "cacheNode": settings.cache_node,
        "lbNodes": settings.lb_nodes,
    }
    if not settings.on_swarm:
        yield from (
            f"{key} has no effect without orchestrator: swarm: pulumi config rm {key}" for key in nodes if nodes[key]
        )


def _heap_fits(settings: Settings, hidden: set[str]) -> Iterator[SettingError]:
    heaps = _HEAP.findall(settings.java_options)
    if not heaps:
        return
    number, unit = heaps[-1]  # the JVM uses the last one
    heap_mb = int(number) * _BYTES[unit.lower()] // 2**20
    if heap_mb < settings.core_memory_mb:
        return
    heap, command = f"-Xmx{number}{unit}", f"pulumi config set coreMemory {heap_mb * 3 // 2}"
    if "javaOptions" in hidden or heap_mb * 3 // 2 > MOST_MB:
        heap, command = "its -Xmx", "pulumi config rm javaOptions"
    yield SettingError("javaOptions", f"{heap} leaves no room for threads, classes and buffers in coreMemory", command)


def _secure_cookies_have_https(settings: Settings, _: set[str]) -> Iterator[SettingError]:
    https = settings.dhis_conf.get("server.https", "").lower() in ("on", "true")
    if https and not settings.public_url.startswith("https://"):
        text = "server.https needs tls or a baseUrl with https://, or browsers do not send its cookies and every login is lost"
        yield SettingError("dhisConf", text, remove_command("server.https"))


def _tls_has_what_it_needs(settings: Settings, _: set[str]) -> Iterator[SettingError]:
    if not settings.https:
        return
    needed: dict[str, object] = {}
    if settings.tls is not Tls.SELF_SIGNED:
        needed["hostname"] = settings.hostname
    if settings.tls is Tls.CERTIFICATE:
        needed |= {"tlsCertificate": settings.tls_certificate, "tlsKey": settings.tls_key}
    if settings.tls is Tls.ACME:
        needed["acmeEmail"] = settings.acme_email
    for key, value in needed.items():
        if value is None:
            yield SettingError(key, f"is not set, and tls: {settings.tls} needs it", set_command(key))
    if settings.acme_dns_credentials and not settings.acme_dns_provider:
        text = "has no effect without acmeDnsProvider"
        yield SettingError("acmeDnsCredentials", text, set_command("acmeDnsProvider"))


def _tls_has_a_port_and_a_url_of_its_own(settings: Settings, _: set[str]) -> Iterator[SettingError]:
    if settings.https and settings.https_port == settings.port:
        yield SettingError("httpsPort", "is the same as port, which redirects to it", "pulumi config rm httpsPort")
    if settings.https and not settings.public_url.startswith("https://"):
        yield SettingError("baseUrl", "does not begin with https://, and tls is on", "pulumi config rm baseUrl")


def _analytics_are_read_from_replicas(settings: Settings, _: set[str]) -> Iterator[SettingError]:
    for key in settings.dhis_conf:
        if key.startswith("analytics.connection.") and settings.replicas:
            text = f"{key} has no effect beside replicas: DHIS2 reads analytics from these"
            yield SettingError("dhisConf", text, remove_command(key))


def _only_the_host_connects_as_the_host(settings: Settings, _: set[str]) -> Iterator[SettingError]:
    if HOST in settings.trusted_proxies and not ip_address(settings.bind).is_loopback:
        text = "host needs a bind that only the Docker host can reach: on others, clients over IPv6 or of rootless Docker arrive under its address, too"
        yield SettingError("trustedProxies", text, "pulumi config set bind 127.0.0.1")


def _sftp_has_a_private_key(settings: Settings, _: set[str]) -> Iterator[SettingError]:
    if settings.backup_on_sftp and settings.backup_ssh_key is None:
        text = "is not set, and a backupRepository on SFTP needs a private key: ssh-keygen -t ed25519 -N '' -f ../backup-key, and its .pub into authorized_keys on the server"
        yield SettingError("backupSshKey", text, set_command("backupSshKey"))


def _sftp_has_host_keys(settings: Settings, _: set[str]) -> Iterator[SettingError]:
    if settings.backup_on_sftp and settings.backup_known_hosts is None:
        text = "is not set, and a backupRepository on SFTP needs the host keys of its server: ssh-keyscan -p PORT HOST > ../known_hosts, compared with the keys on the server"
        yield SettingError("backupKnownHosts", text, set_command("backupKnownHosts"))


def _keys_of_bucket(settings: Settings) -> dict[str, SecretStr | None]:
    return {
        "fileStoreAccessKey": settings.file_store_access_key,
        "fileStoreSecretKey": settings.file_store_secret_key,
    }


def _s3_has_both_keys(settings: Settings, _: set[str]) -> Iterator[SettingError]:
    if not isinstance(settings.files_place, Bucket):
        return
    for key, secret in _keys_of_bucket(settings).items():
        if secret is None:
            yield SettingError(key, "is not set, and a fileStore on S3 needs it", secret_command(key))


def _swarm_has_nodes(settings: Settings, _: set[str]) -> Iterator[SettingError]:
    if not settings.on_swarm:
        return
    if settings.primary_node is None:
        text = "is not set, and orchestrator: swarm needs the node of the database; see: docker node ls"
        yield SettingError("primaryNode", text, set_command("primaryNode"))
    if len(settings.replica_nodes) != settings.replicas:
        text = f"has {len(settings.replica_nodes)} nodes for {settings.replicas} replicas"
        yield SettingError("replicaNodes", text, f"pulumi config set replicas {len(settings.replica_nodes)}")


def _swarm_publishes_on_all_addresses(settings: Settings, _: set[str]) -> Iterator[SettingError]:
    if settings.on_swarm and not ip_address(settings.bind).is_unspecified:
        text = "is one address, and a swarm publishes a port on all addresses of a node"
        yield SettingError("bind", text, "pulumi config set bind 0.0.0.0")


_RULES: dict[frozenset[str], Callable[[Settings, set[str]], Iterator[SettingError]]] = {
    frozenset({"javaOptions", "coreMemory"}): _heap_fits,
    frozenset({"dhisConf", "baseUrl", "tls"}): _secure_cookies_have_https,
    frozenset({"tls", "hostname", "tlsCertificate", "tlsKey", "acmeEmail", "acmeDnsProvider"}): _tls_has_what_it_needs,
    frozenset({"tls", "port", "httpsPort", "baseUrl"}): _tls_has_a_port_and_a_url_of_its_own,
    frozenset({"dhisConf", "replicas"}): _analytics_are_read_from_replicas,
    frozenset({"trustedProxies", "bind"}): _only_the_host_connects_as_the_host,
    frozenset({"backupRepository", "backupSshKey"}): _sftp_has_a_private_key,
    frozenset({"backupRepository", "backupKnownHosts"}): _sftp_has_host_keys,
    frozenset({"fileStore", "fileStoreAccessKey", "fileStoreSecretKey"}): _s3_has_both_keys,
    frozenset({"orchestrator", "primaryNode", "replicaNodes", "replicas"}): _swarm_has_nodes,
    frozenset({"orchestrator", "bind"}): _swarm_publishes_on_all_addresses,
}
