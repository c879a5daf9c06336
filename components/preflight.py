"""Preflight: check Docker Engine before anything is registered, in a preview too.

Does it answer, can it run the stack, does the stack fit into its memory and onto its disk, is the port free, can the
images be pulled.
"""

import errno
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import requests
from requests.exceptions import RequestException

from components.database.sizing import data_bytes
from components.dhis2.dump_source import DumpSource
from components.dhis2.release import NO_DUMP, Release
from components.memory import demand, needed_mb
from components.naming import DUMP_CACHE_VOLUME, NETWORKS, Naming
from components.orchestrator.client import UNREACHABLE, engine_address, unreachable
from components.orchestrator.engine_info import (
    MAKE_ROOM,
    EngineInfo,
    engine_info,
    tag_on_host,
    unavailable_images,
    volume_bytes,
    volume_exists,
)
from components.orchestrator.error_text import TIMED_OUT
from components.orchestrator.swarm.architectures import foreign_images
from components.orchestrator.swarm.nodes import swarm_info
from components.settings import images
from components.settings.file_store import Bucket
from components.settings.model import Settings, Tls
from components.swarm_preflight import architecture_problems, reached_at_node, swarm_refusals

ALL_ADDRESSES = {"0.0.0.0", "::", ""}  # noqa: S104 - compared, not bound
HEAD_SECONDS = 5
EXPIRES_SOON = timedelta(days=14)
IMAGES = {
    "database_image": images.DATABASE,
    "cache_image": images.CACHE,
    "load_balancer_image": images.LOAD_BALANCER,
    "acme_image": images.ACME,
    "backup_image": images.BACKUP,
    "copy_image": images.COPY,
}
LEAST_CORE_MB, USEFUL_CORE_MB, STEP_MB = 512, 1536, 64


class PreflightError(Exception):
    """Why the stack cannot be deployed, and the command that fixes it; one line."""


def check(settings: Settings, naming: Naming, core_image: str) -> tuple[EngineInfo, Settings]:
    """Return the Docker Engine, and the settings with the images it has; `core_image` is the release's.

    Raises PreflightError when it cannot run the stack.
    """
    # An overlay has its subnet from the swarm.
    names = set() if settings.on_swarm else {naming.of(part) for part in NETWORKS}
    try:
        engine = engine_info(settings.docker_host, names)
        if settings.on_swarm and not engine.refusal:
            swarm = swarm_info(engine.client, engine_address(settings.docker_host))
            engine = replace(engine, swarm=swarm)
            refusals = swarm_refusals(settings, naming, swarm)
            engine = replace(engine, refusal=next(refusals, ""))
    except UNREACHABLE as error:
        raise PreflightError(unreachable(settings.docker_host, error)) from None
    if engine.refusal:
        raise PreflightError(engine.refusal)
    if engine.swarm is not None:
        settings = reached_at_node(settings, engine.swarm)
    else:
        _check_memory(settings, engine.memory_mb)
        for key, port in settings.published_ports.items():
            _check_port(settings, key, port, naming.of("lb"), engine)
    engine, settings = _check_images(settings, core_image, engine)
    if engine.swarm is not None and engine.architecture:
        keys = _image_keys(settings, core_image)
        foreign = foreign_images(engine.client, keys, engine.swarm.nodes)
        refusal, warnings = architecture_problems(settings, engine.swarm, foreign, keys)
        if refusal:
            raise PreflightError(refusal)
        engine = replace(engine, warnings=(*engine.warnings, *warnings))
    return engine, settings


def check_release(settings: Settings, release: Release) -> None:
    """Raise PreflightError where the release cannot do what the settings need."""
    place, first = settings.files_place, release.first_with_s3_endpoint
    if isinstance(place, Bucket) and place.endpoint and first:
        raise PreflightError(
            f"DHIS2 {release.version} keeps files in S3 of AWS only, and fileStore has an endpoint; the first release that uses one is {first}: pulumi config set version {first}. Or keep the files here: pulumi config set fileStore volume"
        )


def check_certificate(settings: Settings) -> list[str]:
    """Return warnings about your own certificate. Raises PreflightError where it cannot be served, with the reason."""
    if settings.tls is not Tls.CERTIFICATE:
        return []
    from components.tls.pem import CertificateError, check_pair  # noqa: PLC0415 - see components/tls/pem.py

    now = datetime.now(UTC)
    try:
        chain = check_pair(settings.tls_certificate or "", settings.tls_key or "", settings.hostname or "", now)
    except CertificateError as error:
        raise PreflightError(
            f"{error.key} {error}. Nothing was changed. Set the right file: pulumi config set {error.key} …"
        ) from None
    warnings = []
    if chain.until - now < EXPIRES_SOON:
        warnings.append(
            f"the certificate of {settings.hostname} expires on {chain.until:%Y-%m-%d}. Replace the file, then: pulumi up"
        )
    if chain.is_incomplete:
        warnings.append(
            "tlsCertificate has no intermediate certificate, and browsers may not trust it: append the one that your CA gives with it, then: pulumi up"
        )
    return warnings


def check_disk(settings: Settings, naming: Naming, dump: DumpSource, engine: EngineInfo) -> None:
    """Raise PreflightError when the disk of a local Docker Engine certainly has no room for the databases.

    Only while the stack has no database: later the primary itself knows whether it restores anything, and checks.
    """
    if engine.swarm and dump.path and engine.swarm.own != settings.primary_node:
        raise PreflightError(
            f"the dump {dump.name} is a local file, and goes to the primary's node only through the Docker Engine there ({settings.primary_node}), while dockerHost is on {engine.swarm.own}. Make that node a manager (docker node promote {settings.primary_node}) and set dockerHost to it, or put the dump on a web server: pulumi config set dumpUrl https://…"
        )
    # Of a swarm, only the disk of the node that is asked is known.
    free_bytes = None if engine.swarm else engine.free_bytes
    if free_bytes is None or dump.key == NO_DUMP or volume_exists(engine.client, naming.of("primary-data")):
        return
    least_bytes = data_bytes(_dump_bytes(dump), gzip=_is_gzip(dump)) * (1 + settings.replicas)
    # A database that needs the room gets that of the copies in the dump cache.
    if least_bytes > free_bytes and least_bytes > free_bytes + volume_bytes(engine.client, DUMP_CACHE_VOLUME):
        raise PreflightError(
            f"the dump {dump.name} needs at least {least_bytes // 10**6} MB for {1 + settings.replicas} databases, and the disk of Docker Engine has {free_bytes // 10**6} MB free. {MAKE_ROOM}"
        )


def _is_gzip(dump: DumpSource) -> bool:
    if not dump.path:
        return dump.name.endswith(".gz")
    with dump.path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _dump_bytes(dump: DumpSource) -> int:
    """Return the size of a dump; 0 where its server does not report it within seconds."""
    if dump.path:
        return dump.path.stat().st_size
    sizes: list[int] = []

    def ask() -> None:
        with suppress(RequestException, ValueError):
            headers = {"Accept-Encoding": "identity"}
            response = requests.head(dump.url or "", headers=headers, timeout=HEAD_SECONDS, allow_redirects=True)
            sizes.append(int(response.headers.get("Content-Length", 0)) if response.ok else 0)

    # A name server that does not answer has no timeout here.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(HEAD_SECONDS)
    return sum(sizes)


def _check_memory(settings: Settings, engine_mb: int) -> None:
    if engine_mb and needed_mb(settings) > engine_mb:
        raise PreflightError(f"{demand(settings)}, Docker Engine has {engine_mb} MB. {_smaller(settings, engine_mb)}")


def _smaller(settings: Settings, engine_mb: int) -> str:
    """Return the first command that fits: fewer cores, fewer replicas, smaller cores, all of these, another machine."""
    least = {"cores": 1, "replicas": 0}
    for changes in (
        *({"cores": cores} for cores in range(settings.cores - 1, 0, -1)),
        *({"replicas": replicas} for replicas in range(settings.replicas - 1, -1, -1)),
        {"core_memory_mb": _core_mb(settings, engine_mb, USEFUL_CORE_MB)},
        least | {"core_memory_mb": _core_mb(settings.model_copy(update=least), engine_mb, LEAST_CORE_MB)},
    ):
        if needed_mb(settings.model_copy(update=changes)) <= engine_mb:
            keys = {name: Settings.model_fields[name].alias or name for name in changes}
            commands = (f"pulumi config set {keys[name]} {value}" for name, value in changes.items())
            return f"Use less: {' && '.join(commands)}"
    return "Use a larger machine: pulumi config set dockerHost ssh://user@host"


def _core_mb(settings: Settings, engine_mb: int, least: int) -> int:
    """Return what is left for each core, MB, in steps of STEP_MB, but never less than `least`."""
    rest = needed_mb(settings.model_copy(update={"core_memory_mb": 0}))
    return max(least, (engine_mb - rest) // settings.cores // STEP_MB * STEP_MB)


def _check_port(settings: Settings, key: str, port: int, own: str, engine: EngineInfo) -> None:
    on_port = [published for published in engine.published_ports if published.port == port]
    if any(published.container == own for published in on_port):
        return  # the stack's own load balancer
    for published in on_port:
        if published.address == settings.bind or not ALL_ADDRESSES.isdisjoint((published.address, settings.bind)):
            raise PreflightError(
                f"port {port} on {settings.bind} is in use by the container {published.container}. Choose another: pulumi config set {key} {port + 1}"
            )
    if engine_address(settings.docker_host).startswith("unix://"):
        _check_bind(settings, key, port)


def _check_bind(settings: Settings, key: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PreflightError(
                    f"port {port} on {settings.bind} is in use by another program (see: ss -ltnp). Choose another: pulumi config set {key} {port + 1}"
                ) from None
            if error.errno == errno.EADDRNOTAVAIL:
                raise PreflightError(
                    f"{settings.bind} is no address of this machine. Choose one that is, or all of them: pulumi config set bind 0.0.0.0"
                ) from None
            # Ports below 1024 are Docker Engine's to open, not ours.


def _check_images(settings: Settings, core_image: str, engine: EngineInfo) -> tuple[EngineInfo, Settings]:
    keys = _image_keys(settings, core_image)
    # A registry that is slow to answer may still deliver.
    unavailable = unavailable_images(engine.client, keys, engine.architecture)
    loaded = _loaded_defaults(settings, unavailable, engine)
    reasons = {image: why for image, why in unavailable.items() if why != TIMED_OUT and image not in loaded}
    if reasons:
        missing = ", ".join(f"{image} ({reason})" for image, reason in reasons.items())
        others = ", ".join(f"pulumi config set {keys[image]} …" for image in reasons)
        raise PreflightError(
            f"not on the Docker host, and cannot be pulled: {missing}. Choose another: {others}; or put it there yourself: docker pull {next(iter(reasons))}"
        )
    fields = {field: loaded[image] for field in IMAGES if (image := getattr(settings, field)) in loaded}
    warnings = (
        f"{image} cannot be pulled, {tagged} on the Docker host is used. To use it without this warning: pulumi config set {keys[image]} {tagged}"
        for image, tagged in loaded.items()
    )
    return replace(engine, warnings=(*engine.warnings, *warnings)), settings.model_copy(update=fields)


def _image_keys(settings: Settings, core_image: str) -> dict[str, str]:
    """Return the settings that images come from, by the image."""
    return {
        core_image: "image" if settings.image else "version",
        settings.database_image: "databaseImage",
        settings.cache_image: "cacheImage",
        settings.load_balancer_image: "loadBalancerImage",
        **({settings.acme_image: "acmeImage"} if settings.tls is Tls.ACME else {}),
        **({} if settings.backup_cron is None else {settings.backup_image: "backupImage"}),
    }


def _loaded_defaults(settings: Settings, unavailable: Iterable[str], engine: EngineInfo) -> dict[str, str]:
    """Return the default images that cannot be pulled and whose tag is on the Docker host, with that tag.

    A host that has them by `docker load` has no digests, and often no registry. A digest that a person has set counts.
    """
    defaults = {getattr(settings, field) for field, default in IMAGES.items() if getattr(settings, field) == default}
    return {image: tag for image in unavailable if image in defaults and (tag := tag_on_host(engine.client, image))}
