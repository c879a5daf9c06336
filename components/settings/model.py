"""Everything a stack file may contain: one frozen model. Imports no Pulumi."""

from enum import StrEnum
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic.fields import FieldInfo

from components.settings import app_validators, backup, images, sftp, swarm_validators, tls_validators, validators
from components.settings import file_store as places
from components.settings.dhis_conf import dhis_conf_map
from components.settings.quantities import MOST_MB, DiskSize, Duration, Integer, Memory
from components.settings.validators import Unset, is_local

Boolean = Annotated[bool, BeforeValidator(validators.boolean, json_schema_input_type=bool | Literal["true", "false"])]
Image = Annotated[str, BeforeValidator(validators.image)]
PINNED = "[pinned](security.md#images)"  # as their defaults in pages, which have no digests
HTTPS_PORT = 443
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


class Tls(StrEnum):
    """Where the certificate of the load balancer comes from."""

    OFF = "off"
    SELF_SIGNED = "selfSigned"
    CERTIFICATE = "certificate"
    ACME = "acme"


class OrchestratorName(StrEnum):
    """What runs the containers of a stack."""

    DOCKER = "docker"
    SWARM = "swarm"


class Settings(BaseModel):
    """One stack's settings, all valid. A stack file uses the aliases.

    A field also has what None stands for (`Unset`), its bounds and their reasons (`Integer`, `Memory`, `Duration`), a
    value to set where its default is none (`examples`), and whether messages may show its value (`repr`). A `SecretStr`
    must be stored encrypted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)

    # 2.40 without quotes is the number 2.4 in YAML, so a version is text, or the integer of a line.
    version: Annotated[str, BeforeValidator(validators.version, json_schema_input_type=str | int)] = Field(
        default="dev", description="DHIS2 release: dev, a line (42 or 2.42) or a release (42.3.1, 2.42.3.1, 2.38.5)"
    )
    image: Annotated[str | None, BeforeValidator(validators.dhis2_image), Unset("from `version`")] = Field(
        default=None, description="DHIS2 image instead of the version's own", examples=["dhis2/core:2.42"]
    )
    dump_url: Annotated[str | None, BeforeValidator(validators.dump_url), Unset("from `version`")] = Field(
        default=None,
        alias="dumpUrl",
        description="Database dump instead of the version's own: http(s) address, file: or path; none = blank database",
        examples=["https://databases.dhis2.org/sierra-leone/2.42/dhis2-db-sierra-leone.sql.gz"],
    )
    cores: Annotated[int, Integer(1, 16, why_low="one has to serve; to remove the stack: pulumi destroy")] = Field(
        default=1, description="DHIS2 cores. A core is one DHIS2 instance (a Tomcat), not a processor core"
    )
    replicas: Annotated[int, Integer(0, 5, why_high="DHIS2 reads from at most 5")] = Field(
        default=1, description="PostgreSQL read replicas; 0 = one database"
    )
    port: Annotated[int, Integer(1, 65535)] = Field(
        default=8080, description="Port of the load balancer on the Docker host"
    )
    bind: Annotated[str, BeforeValidator(validators.ip_address)] = Field(
        default="127.0.0.1", description="IP address of the Docker host the port is published on; 0.0.0.0 = all"
    )
    base_url: Annotated[str | None, BeforeValidator(validators.base_url), Unset("from `bind` and `port`")] = Field(
        default=None,
        alias="baseUrl",
        description="Address users reach DHIS2 at, without trailing slash; unset = http://<bind>:<port>, with `tls` https://<hostname>:<httpsPort>",
        examples=["https://dhis2.example.org"],
    )
    tls: Annotated[Tls, BeforeValidator(validators.one_of(*Tls), json_schema_input_type=Literal[tuple(Tls)])] = Field(
        default=Tls.OFF,
        description="https: off, selfSigned (browsers warn), certificate (your own) or acme (Let's Encrypt, or another CA)",
        examples=["selfSigned"],
    )
    hostname: Annotated[str | None, BeforeValidator(tls_validators.hostname), Unset("the address in `bind`")] = Field(
        default=None,
        description="Host name that users reach DHIS2 at, without scheme and port; the certificate is for it",
        examples=["dhis2.example.org"],
    )
    https_port: Annotated[int, Integer(1, 65535)] = Field(
        default=8443,
        alias="httpsPort",
        description="Port of https on the Docker host, with `tls`; `port` then redirects to it",
    )
    tls_certificate: Annotated[str | None, BeforeValidator(tls_validators.pem), Unset("none")] = Field(
        default=None,
        alias="tlsCertificate",
        description="With `tls: certificate`: PEM file with the certificate and its intermediate certificates, or their text",
        examples=["../dhis2.example.org.crt"],
    )
    tls_key: Annotated[str | None, BeforeValidator(tls_validators.pem), Unset("none")] = Field(
        default=None,
        alias="tlsKey",
        description="With `tls: certificate`: PEM file with the private key, or its text as a secret",
        examples=["../dhis2.example.org.key"],
        repr=False,
    )
    acme_email: Annotated[str | None, BeforeValidator(tls_validators.email), Unset("none")] = Field(
        default=None,
        alias="acmeEmail",
        description="With `tls: acme`: mail address of the account at the CA",
        examples=["admin@example.org"],
    )
    acme_server: Annotated[str, BeforeValidator(tls_validators.https_url)] = Field(
        default=LETS_ENCRYPT, alias="acmeServer", description="With `tls: acme`: directory URL of the CA"
    )
    acme_server_certificate: Annotated[str | None, BeforeValidator(tls_validators.pem), Unset("public CAs")] = Field(
        default=None,
        alias="acmeServerCertificate",
        description="With `tls: acme`: PEM file with the root certificate of an `acmeServer` of your own, or its text",
        examples=["../ca.crt"],
    )
    acme_dns_provider: Annotated[str | None, BeforeValidator(tls_validators.dns_provider), Unset("HTTP-01")] = Field(
        default=None,
        alias="acmeDnsProvider",
        description="With `tls: acme`: lego's name of the DNS provider for DNS-01; unset = HTTP-01 through port 80",
        examples=["cloudflare"],
    )
    acme_dns_credentials: Annotated[dict[str, SecretStr], BeforeValidator(tls_validators.dns_credentials)] = Field(
        default={},
        alias="acmeDnsCredentials",
        description="Secret: lego's variables of the DNS provider, without _FILE; each is delivered as a file",
        repr=False,
    )
    acme_image: Annotated[Image, Unset(PINNED, images.ACME)] = Field(
        default="", alias="acmeImage", description="Image with lego 4, for `tls: acme`"
    )
    trusted_proxies: Annotated[
        tuple[str, ...], BeforeValidator(validators.trusted_proxies, json_schema_input_type=str | list[str])
    ] = Field(
        default=(),
        alias="trustedProxies",
        description="Proxies in front whose X-Forwarded headers are used: IP addresses and networks, host = the Docker host",
        examples=["10.0.0.5,192.168.1.0/24"],
    )
    database_image: Annotated[Image, Unset(PINNED, images.DATABASE)] = Field(
        default="",
        alias="databaseImage",
        description="Image with PostgreSQL 12 or newer and PostGIS, built on the Debian variant of postgres",
    )
    cache_image: Annotated[Image, Unset(PINNED, images.CACHE)] = Field(
        default="", alias="cacheImage", description="Image with Valkey (not Redis)"
    )
    load_balancer_image: Annotated[Image, Unset(PINNED, images.LOAD_BALANCER)] = Field(
        default="", alias="loadBalancerImage", description="Image with NGINX 1.27.3 or newer and curl"
    )
    core_memory_mb: Annotated[int, Memory(512, MOST_MB, why_low="Tomcat and DHIS2 do not start with less")] = Field(
        default=3072, alias="coreMemory", description="Memory limit of each core, in MB or with a unit: 3072 or 3g"
    )
    database_memory_mb: Annotated[
        int, Memory(256, MOST_MB, why_low="the restore of a dump is OOM-killed with less")
    ] = Field(
        default=1536,
        alias="databaseMemory",
        description="Memory limit of the primary and of each replica, in MB or with a unit: 2048 or 2g",
    )
    cache_memory_mb: Annotated[int, Memory(64, MOST_MB, why_low="a full cache refuses sessions")] = Field(
        default=256, alias="cacheMemory", description="Memory limit of the cache, in MB or with a unit: 256 or 256m"
    )
    dump_cache_mb: Annotated[int, DiskSize(0, MOST_MB)] = Field(
        default=20480,
        alias="dumpCacheSize",
        description="Disk space of the dump cache, copies of restored databases included, in MB or with a unit: 20480 or 20g; 0 = no copies",
    )
    java_options: Annotated[str, BeforeValidator(validators.java_options)] = Field(
        default="",
        alias="javaOptions",
        description="JVM options of the cores, added to the program's own",
        examples=["-XX:MaxRAMPercentage=75"],
    )
    dhis_conf: Annotated[dict[str, str], BeforeValidator(dhis_conf_map)] = Field(
        default={}, alias="dhisConf", description="Further keys of dhis.conf", repr=False
    )
    keep_data: Boolean = Field(
        default=False,
        alias="keepData",
        description="Keep the database when the dump changes, and the volumes on destroy",
        examples=["true"],
    )
    analytics: Boolean = Field(
        default=True,
        description="Build the analytics tables once after a restore, in the background; dashboards read them",
        examples=["false"],
    )
    apps: Annotated[tuple[str, ...], BeforeValidator(app_validators.apps, json_schema_input_type=str | list[str])] = (
        Field(
            default=(),
            description="Apps that DHIS2 has: App Hub ids, with @version for a certain one, and http(s) addresses or paths of zip files",
            examples=['["92b75fd0-34cc-451c-942f-3dd0f283bcbd@101.7.0"]'],
        )
    )
    file_store: Annotated[str, BeforeValidator(places.address)] = Field(
        default=places.VOLUME,
        alias="fileStore",
        description="Where DHIS2 keeps uploaded files and apps: volume, nfs://server/export/path, or s3://bucket?endpoint=https://s3.example.org&region=us-east-1, without endpoint on AWS",
        examples=["nfs://nfs.example.org/srv/dhis2"],
    )
    file_store_access_key: Annotated[SecretStr | None, BeforeValidator(backup.access_key), Unset("none")] = Field(
        default=None,
        alias="fileStoreAccessKey",
        description="Secret: access key id of a `fileStore` on S3",
        repr=False,
    )
    file_store_secret_key: Annotated[SecretStr | None, BeforeValidator(backup.secret), Unset("none")] = Field(
        default=None,
        alias="fileStoreSecretKey",
        description="Secret: secret access key of a `fileStore` on S3",
        repr=False,
    )
    copy_image: Annotated[Image, Unset(PINNED, images.COPY)] = Field(
        default="", alias="copyImage", description="Image with rclone, for `dhis2-cluster move-files`"
    )
    admin_password: Annotated[
        SecretStr | None, BeforeValidator(validators.password), Unset("the dump's own, or generated")
    ] = Field(
        default=None,
        alias="adminPassword",
        description="Secret: password of the user admin, set after the restore and when you change it here; unset = the dump's own, or generated where others can reach DHIS2",
        repr=False,
    )
    encryption_password: Annotated[
        SecretStr | None, BeforeValidator(validators.encryption_password), Unset("generated")
    ] = Field(
        default=None,
        alias="encryptionPassword",
        description="Secret: DHIS2's encryption.password, for a database that has values encrypted with it; unset = generated",
        repr=False,
    )
    backup_schedule: Annotated[
        str | None, BeforeValidator(backup.schedule), Unset("0 2 * * * where `keepData` is true, else off")
    ] = Field(
        default=None,
        alias="backupSchedule",
        description="When backups are made, as cron text in UTC; manual = only by dhis2-cluster backup, off = no backups",
        examples=["0 2 * * *"],
    )
    backup_keep: Annotated[str, BeforeValidator(backup.keep, json_schema_input_type=str | dict[str, int])] = Field(
        default="daily=7 weekly=4 monthly=12",
        alias="backupKeep",
        description="How many daily, weekly and monthly backups are kept, besides all of the last two days",
        examples=["daily=14,weekly=8"],
    )
    backup_repository: Annotated[
        str | None, BeforeValidator(backup.repository), Unset("a volume on the Docker host")
    ] = Field(
        default=None,
        alias="backupRepository",
        description="Where restic keeps the backups: s3:https://host/bucket/path, sftp:user@host:/path or rest:https://host/path; with a password in it: --secret",
        examples=["s3:https://s3.example.org/dhis2-backups"],
        repr=False,
    )
    backup_access_key: Annotated[str | None, BeforeValidator(backup.access_key), Unset("none")] = Field(
        default=None,
        alias="backupAccessKey",
        description="Access key id of an S3 repository",
        examples=["AKEXAMPLE"],
        repr=False,
    )
    backup_secret_key: Annotated[SecretStr | None, BeforeValidator(backup.secret), Unset("none")] = Field(
        default=None, alias="backupSecretKey", description="Secret: secret access key of an S3 repository", repr=False
    )
    backup_ssh_key: Annotated[str | None, BeforeValidator(sftp.private_key), Unset("none")] = Field(
        default=None,
        alias="backupSshKey",
        description="File with the private key for an SFTP repository, without passphrase, or its text as a secret",
        examples=["../backup-key"],
        repr=False,
    )
    backup_known_hosts: Annotated[str | None, BeforeValidator(sftp.known_hosts), Unset("none")] = Field(
        default=None,
        alias="backupKnownHosts",
        description="File with the host keys of the server of an SFTP repository, as ssh-keyscan prints them, or their text",
        examples=["../known_hosts"],
    )
    backup_password: Annotated[SecretStr | None, BeforeValidator(backup.secret), Unset("generated")] = Field(
        default=None,
        alias="backupPassword",
        description="Secret: password that the backups are encrypted with; unset = generated",
        repr=False,
    )
    backup_encryption_password: Boolean = Field(
        default=True,
        alias="backupEncryptionPassword",
        description="Put DHIS2's encryption.password into the backups, so that repository and password alone restore everything",
        examples=["false"],
    )
    backup_image: Annotated[Image, Unset(PINNED, images.BACKUP)] = Field(
        default="",
        alias="backupImage",
        description="Image that restic 0.17 or newer is taken from, and ssh for a repository on SFTP",
    )
    orchestrator: Annotated[
        OrchestratorName,
        BeforeValidator(validators.one_of(*OrchestratorName), json_schema_input_type=Literal[tuple(OrchestratorName)]),
    ] = Field(
        default=OrchestratorName.DOCKER,
        description="What runs the containers: docker (one machine) or swarm (a Docker Swarm, with `dockerHost` one of its managers)",
    )
    primary_node: Annotated[str | None, BeforeValidator(swarm_validators.node), Unset("none")] = Field(
        default=None,
        alias="primaryNode",
        description="With `orchestrator: swarm`: node of the primary and its volume, by its host name in docker node ls; another one has to have a replica, which takes over",
        examples=["db-1"],
    )
    replica_nodes: Annotated[
        tuple[str, ...], BeforeValidator(swarm_validators.nodes, json_schema_input_type=str | list[str])
    ] = Field(
        default=(),
        alias="replicaNodes",
        description="With `orchestrator: swarm`: one node for each read replica",
        examples=['["db-2"]'],
    )
    cache_node: Annotated[str | None, BeforeValidator(swarm_validators.node), Unset("any node")] = Field(
        default=None,
        alias="cacheNode",
        description="With `orchestrator: swarm`: node of the cache; on any other one it starts without sessions",
        examples=["manager-1"],
    )
    lb_nodes: Annotated[
        tuple[str, ...], BeforeValidator(swarm_validators.nodes, json_schema_input_type=str | list[str])
    ] = Field(
        default=(),
        alias="lbNodes",
        description="With `orchestrator: swarm`: nodes with a load balancer; none = all managers",
        examples=['["manager-1", "manager-2"]'],
    )
    encrypted_networks: Boolean = Field(
        default=True,
        alias="encryptedNetworks",
        description="With `orchestrator: swarm`: encrypt what the containers of different nodes send each other",
        examples=["false"],
    )
    ready_timeout_seconds: Annotated[int, Duration(30, 86400, why_low="no DHIS2 starts in less")] = Field(
        default=900,
        alias="readyTimeout",
        description="Time each part may take to become ready, in seconds or with units: 900, 15m or 1h30m",
    )
    docker_host: Annotated[str | None, BeforeValidator(validators.docker_host), Unset("local Docker Engine")] = Field(
        default=None,
        alias="dockerHost",
        description="Docker Engine: unix://, tcp:// or ssh:// address; unset = DOCKER_HOST or the local one",
        examples=["ssh://user@docker.example.org"],
    )

    @property
    def is_open_to_others(self) -> bool:
        """Whether others than the users of the Docker host can reach DHIS2: by the published port, or by a proxy."""
        return not all(is_local(host) for host in (self.bind, self.host, urlsplit(self.public_url).hostname or ""))

    @property
    def on_swarm(self) -> bool:
        """Whether a Docker Swarm runs the containers."""
        return self.orchestrator is OrchestratorName.SWARM

    @property
    def https(self) -> bool:
        """Whether the load balancer speaks https."""
        return self.tls is not Tls.OFF

    @property
    def host(self) -> str:
        """Where users reach the load balancer: the host name, or its address (loopback where published on all)."""
        return self.hostname or {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.bind, self.bind)  # noqa: S104 - compared, not bound

    @property
    def files_place(self) -> places.Place:
        """Where DHIS2 keeps uploaded files and apps; None: in the volume of the stack."""
        return places.place_of(self.file_store)

    @property
    def backup_cron(self) -> str | None:
        """The schedule of backups; empty where they are made by hand only, None without backups."""
        by_default = backup.KEPT_DATA_SCHEDULE if self.keep_data else backup.OFF
        chosen = self.backup_schedule or by_default
        return {backup.OFF: None, backup.MANUAL: ""}.get(chosen, chosen)

    @property
    def backup_on_sftp(self) -> bool:
        """Whether the repository of the backups is on SFTP, for which restic runs ssh."""
        return (self.backup_repository or "").startswith("sftp:")

    @property
    def public_url(self) -> str:
        """Where users reach DHIS2: baseUrl, or the published port."""
        if self.base_url:
            return self.base_url
        scheme, port, default = ("https", self.https_port, HTTPS_PORT) if self.https else ("http", self.port, 80)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}" if port == default else f"{scheme}://{host}:{port}"

    @property
    def published_ports(self) -> dict[str, int]:
        """The ports on the Docker host by their settings."""
        return {"port": self.port} | ({"httpsPort": self.https_port} if self.https else {})

    @property
    def on_default_https_port(self) -> bool:
        """Whether the public URL has no port of its own; HSTS makes browsers use https on every port of a host."""
        return urlsplit(self.public_url).port in (None, HTTPS_PORT)


def setting_fields() -> dict[str, FieldInfo]:
    """Return the settings by the key they have in a stack file, in the order of the model."""
    return {field.alias or name: field for name, field in Settings.model_fields.items()}


def is_secret(field: FieldInfo) -> bool:
    """Return whether a setting has to be stored encrypted."""
    return SecretStr in get_args(field.annotation)
