"""Everything a stack file may say: one frozen model, one function that reads it. Imports no Pulumi."""

from collections.abc import Callable
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic.fields import FieldInfo

from components.dhis2.image_reference import CACHE_IMAGE, DATABASE_IMAGE, LOAD_BALANCER_IMAGE
from components.settings import validators

_SIMILAR_NAMESPACE = 0.85


def _optional(check: Callable[[object], object]) -> Callable[[object], object]:
    """Takes nothing, or empty text (the form an unset default has in Pulumi.yaml), as None."""
    return lambda value: None if value is None or value == validators.UNSET else check(value)


Whole = Annotated[int, BeforeValidator(validators.integer)]
Megabytes = Annotated[int, BeforeValidator(validators.megabytes)]
Flag = Annotated[bool, BeforeValidator(validators.boolean)]
Image = Annotated[str, BeforeValidator(validators.image)]


class Settings(BaseModel):
    """One stack's settings, checked. A stack file uses the aliases; memory is in MB, time in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)

    version: Annotated[str, BeforeValidator(validators.text)] = Field(
        default="dev",
        description="DHIS2 release: dev, a line (42 or 2.42) or a release (42.3.1, 2.42.3.1, 2.38.5)",
        examples=["2.42"],
    )
    image: Annotated[str | None, BeforeValidator(_optional(validators.image))] = Field(
        default=None, description="DHIS2 image instead of the version's own", examples=["dhis2/core-dev:2.40"]
    )
    dump_url: Annotated[str | None, BeforeValidator(_optional(validators.dump_url))] = Field(
        default=None,
        alias="dumpUrl",
        description="Database dump instead of the version's own: http(s) address, file: or path; none = blank database",
        examples=["https://databases.dhis2.org/sierra-leone/2.42/dhis2-db-sierra-leone.sql.gz"],
    )
    cores: Whole = Field(default=1, ge=1, le=16, description="DHIS2 cores behind the load balancer", examples=[2])
    replicas: Whole = Field(
        default=1, ge=0, le=5, description="PostgreSQL read replicas; 0 = one database", examples=[1]
    )
    port: Whole = Field(
        default=8080, ge=1, le=65535, description="Port of the load balancer on the Docker host", examples=[8080]
    )
    bind: Annotated[str, BeforeValidator(validators.ip_address)] = Field(
        default="127.0.0.1",
        description="IP address of the Docker host the port is opened on; 0.0.0.0 = all",
        examples=["127.0.0.1"],
    )
    base_url: Annotated[str | None, BeforeValidator(_optional(validators.base_url))] = Field(
        default=None,
        alias="baseUrl",
        description="Address users reach DHIS2 at, without trailing slash; unset = http://<bind>:<port>",
        examples=["https://dhis2.example.org"],
    )
    database_image: Image = Field(
        default=DATABASE_IMAGE,
        alias="databaseImage",
        description="Image with PostgreSQL 12 or newer and PostGIS, made from the Debian variant of postgres",
        examples=[DATABASE_IMAGE],
    )
    cache_image: Image = Field(
        default=CACHE_IMAGE, alias="cacheImage", description="Image with Valkey (not Redis)", examples=[CACHE_IMAGE]
    )
    load_balancer_image: Image = Field(
        default=LOAD_BALANCER_IMAGE,
        alias="loadBalancerImage",
        description="Image with NGINX 1.27.3 or newer and curl",
        examples=[LOAD_BALANCER_IMAGE],
    )
    core_memory_mb: Megabytes = Field(
        default=3072,
        ge=512,
        le=1048576,
        alias="coreMemory",
        description="Memory limit of each core, MB",
        examples=[3072],
    )
    database_memory_mb: Megabytes = Field(
        default=1536,
        ge=256,
        le=1048576,
        alias="databaseMemory",
        description="Memory limit of the primary and of each replica, MB",
        examples=[1536],
    )
    cache_memory_mb: Megabytes = Field(
        default=256, ge=64, le=1048576, alias="cacheMemory", description="Memory limit of the cache, MB", examples=[256]
    )
    java_options: Annotated[str, BeforeValidator(validators.java_options)] = Field(
        default="",
        alias="javaOptions",
        description="JVM options of the cores, added to the program's own",
        examples=["-XX:MaxRAMPercentage=75"],
    )
    dhis_conf: Annotated[dict[str, str], BeforeValidator(validators.dhis_conf)] = Field(
        default={}, alias="dhisConf", description="Further keys of dhis.conf", examples=["{}"], repr=False
    )
    keep_data: Flag = Field(
        default=False,
        alias="keepData",
        description="Keep the database when the dump changes, and the volumes on destroy",
        examples=["true"],
    )
    admin_password: Annotated[SecretStr | None, BeforeValidator(_optional(validators.admin_password))] = Field(
        default=None,
        alias="adminPassword",
        description="Secret: password of the user admin, set once, after the load; unset = the dump's own",
    )
    ready_timeout_seconds: Whole = Field(
        default=900,
        ge=30,
        le=86400,
        alias="readyTimeout",
        description="Seconds each part may take to become ready",
        examples=[900],
    )
    docker_host: Annotated[str | None, BeforeValidator(_optional(validators.docker_host))] = Field(
        default=None,
        alias="dockerHost",
        description="Docker engine: unix://, tcp:// or ssh:// address; unset = DOCKER_HOST or the local one",
        examples=["ssh://user@docker.example.org"],
    )

    @property
    def public_url(self) -> str:
        """Where people reach DHIS2: baseUrl, or the published port (loopback where that is open on all addresses)."""
        if self.base_url:
            return self.base_url
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.bind, self.bind)  # noqa: S104 - compared, not bound
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}" if self.port == 80 else f"http://{host}:{self.port}"  # noqa: PLR2004 - http's own


def setting_fields() -> dict[str, FieldInfo]:
    """The settings by the key they have in a stack file, in the order of the model."""
    return {field.alias or name: field for name, field in Settings.model_fields.items()}
