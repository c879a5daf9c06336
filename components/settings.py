"""Everything a stack file may say: one frozen model, one function that reads it. Imports no Pulumi."""

import difflib
import json
import shlex
from collections.abc import Callable, Collection, Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from components import checks, contradictions
from components.images import CACHE_IMAGE, DATABASE_IMAGE, LOAD_BALANCER_IMAGE
from components.mistakes import NEVER_SHOWN, SECRET_KEYS, Mistake, mistakes_of, report, unknown

_SIMILAR_NAMESPACE = 0.85


def _optional(check: Callable[[object], object]) -> Callable[[object], object]:
    """Takes nothing, or empty text (the form an unset default has in Pulumi.yaml), as None."""
    return lambda value: None if value is None or value == checks.UNSET else check(value)


Whole = Annotated[int, BeforeValidator(checks.whole_number)]
Megabytes = Annotated[int, BeforeValidator(checks.megabytes)]
Flag = Annotated[bool, BeforeValidator(checks.true_or_false)]
Image = Annotated[str, BeforeValidator(checks.image)]


class Settings(BaseModel):
    """One stack's settings, checked. A stack file uses the aliases; memory is in MB, time in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)

    version: Annotated[str, BeforeValidator(checks.text)] = Field(
        default="dev",
        description="DHIS2 release: dev, a line (42 or 2.42) or a release (42.3.1, 2.42.3.1, 2.38.5)",
        examples=["2.42"],
    )
    image: Annotated[str | None, BeforeValidator(_optional(checks.image))] = Field(
        default=None, description="DHIS2 image instead of the version's own", examples=["dhis2/core-dev:2.40"]
    )
    dump_url: Annotated[str | None, BeforeValidator(_optional(checks.dump_url))] = Field(
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
    bind: Annotated[str, BeforeValidator(checks.ip_address)] = Field(
        default="127.0.0.1",
        description="IP address of the Docker host the port is opened on; 0.0.0.0 = all",
        examples=["127.0.0.1"],
    )
    base_url: Annotated[str | None, BeforeValidator(_optional(checks.base_url))] = Field(
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
    java_options: Annotated[str, BeforeValidator(checks.java_options)] = Field(
        default="",
        alias="javaOptions",
        description="JVM options of the cores, added to the program's own",
        examples=["-XX:MaxRAMPercentage=75"],
    )
    dhis_conf: Annotated[dict[str, str], BeforeValidator(checks.dhis_conf)] = Field(
        default={}, alias="dhisConf", description="Further keys of dhis.conf", examples=["{}"], repr=False
    )
    keep_data: Flag = Field(
        default=False,
        alias="keepData",
        description="Keep the database when the dump changes, and the volumes on destroy",
        examples=["true"],
    )
    admin_password: Annotated[SecretStr | None, BeforeValidator(_optional(checks.admin_password))] = Field(
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
    docker_host: Annotated[str | None, BeforeValidator(_optional(checks.docker_host))] = Field(
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


class SettingsError(ValueError):
    """Every mistake of a stack's settings, one line each, with the command that mends it."""


def setting_fields() -> dict[str, FieldInfo]:
    """The settings by the key they have in a stack file, in the order of the model."""
    return {field.alias or name: field for name, field in Settings.model_fields.items()}


def parse_settings(
    raw: Mapping[str, object],
    project: str = "dhis2-cluster",
    *,
    stack: str = "",
    secret_keys: Collection[str] | None = None,
) -> Settings:
    """Settings of a stack from what Pulumi delivers: text, numbers, booleans, maps (also as JSON text).

    Keys may carry the namespace of the project; those of other namespaces (`docker:host`) are not ours. `secret_keys`
    are the keys stored encrypted: their values appear in no message, and a secret outside of it is a mistake; None =
    not known. Raises SettingsError with all mistakes at once.
    """
    values, mistakes = _own_keys(raw, project)
    encrypted = {key.rpartition(":")[2] for key in secret_keys or ()}
    hidden = NEVER_SHOWN | encrypted
    if secret_keys is not None:
        mistakes += [
            Mistake(key, "its value is stored in clear", f"pulumi config set --secret {key}")
            for key in sorted((SECRET_KEYS & values.keys()) - encrypted)
            if values[key] not in (None, checks.UNSET)
        ]
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        found, wrong_keys = mistakes_of(error, values, hidden, setting_fields())
        mistakes += found
        settings = Settings.model_validate({key: values[key] for key in values if key not in wrong_keys})
    else:
        wrong_keys = set()
    mistakes += [
        Mistake(found.keys[0], found.text, found.command)
        for found in contradictions.find(settings)
        if not wrong_keys.intersection(found.keys)
    ]
    if mistakes:
        raise SettingsError(report(mistakes, stack))
    return settings


def _own_keys(raw: Mapping[str, object], project: str) -> tuple[dict[str, object], list[Mistake]]:
    """The values by plain key, JSON text of maps read; keys nobody knows as mistakes."""
    fields = setting_fields()
    values: dict[str, object] = {}
    mistakes: list[Mistake] = []
    for full_key, value in raw.items():
        namespace, _, key = full_key.rpartition(":")
        if namespace and namespace != project:
            if difflib.SequenceMatcher(None, namespace.lower(), project.lower()).ratio() >= _SIMILAR_NAMESPACE:
                text = f"belongs to a project {namespace!r}, this one is {project!r}"
                mistakes.append(Mistake(full_key, text, f"pulumi config rm {shlex.quote(full_key)}"))
        elif key not in fields:
            mistakes.append(unknown(key, fields))
        elif key == "dhisConf" and isinstance(value, str):
            values[key] = _json_or_text(value)
        else:
            values[key] = value
    return values, mistakes


def _json_or_text(value: str) -> object:
    try:
        return json.loads(value) if value.strip() else {}
    except json.JSONDecodeError:
        return value
