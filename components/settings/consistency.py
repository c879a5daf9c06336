"""Settings that are right one by one and wrong together. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from components.dhis2.release import resolve_release
from components.dhis2.version import ReleaseError
from components.settings.model import Settings
from components.settings.validators import dhis_conf_path

_HEAP = re.compile(r"(?:^|\s)-Xmx([0-9]{1,12})([kmgt]?)(?=\s|$)", re.ASCII | re.IGNORECASE)
_BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


@dataclass(frozen=True)
class Contradiction:
    """What contradicts what: the settings concerned (the one to mend first), the reason, the mending command."""

    keys: tuple[str, ...]
    text: str
    command: str


def find(settings: Settings) -> list[Contradiction]:
    """Every contradiction between the settings, and version texts that name no release."""
    found = []
    try:
        resolve_release(settings.version, settings.image, settings.dump_url)
    except ReleaseError as error:
        found = [Contradiction((error.key,), str(error), error.command)]
    return [*found, *_memory(settings), *_dhis_conf(settings)]


def _memory(settings: Settings) -> Iterator[Contradiction]:
    heaps = _HEAP.findall(settings.java_options)
    if not heaps:
        return
    number, unit = heaps[-1]  # the JVM goes by the last one
    heap_mb = int(number) * _BYTES[unit.lower()] // 2**20
    if heap_mb >= settings.core_memory_mb:
        yield Contradiction(
            ("javaOptions", "coreMemory"),
            f"-Xmx{number}{unit} is a heap of {heap_mb} MB in a container of {settings.core_memory_mb} MB, which also "
            "holds threads, classes and buffers",
            f"pulumi config set coreMemory {heap_mb * 3 // 2}",
        )


def _dhis_conf(settings: Settings) -> Iterator[Contradiction]:
    https = settings.dhis_conf.get("server.https", "").lower() in ("on", "true")
    if https and not settings.public_url.startswith("https://"):
        yield Contradiction(
            ("dhisConf", "baseUrl"),
            f"server.https makes cookies browsers send over https only, but users come to {settings.public_url}: "
            "every login would be forgotten at once",
            f"pulumi config rm --path '{dhis_conf_path('server.https')}'",
        )
    for key in settings.dhis_conf:
        if key.startswith("analytics.connection.") and settings.replicas:
            yield Contradiction(
                ("dhisConf", "replicas"),
                f"{key} is of no use beside replicas: DHIS2 reads analytics from these",
                f"pulumi config rm --path '{dhis_conf_path(key)}'",
            )
