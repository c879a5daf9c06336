"""Stacks and containers that exist for a measurement, and are removed with it whatever happens."""

import io
import os
import shutil
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docker
import httpx
import yaml
from docker.models.containers import Container

from offline.dump.__main__ import main as generate
from tests.e2e.stack import PROJECT, ROOT, Stack

FILES = Path(__file__).parent / "files"
ENGINE_SECONDS = 600
LIMIT_SECONDS = 1800  # bounds a hang and promises nothing
PERSONAL = ("PULUMI_STACK", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE_FILE")


class BenchError(Exception):
    """Why there is nothing to measure with, and the command that mends it."""


def connect() -> docker.DockerClient:
    """The Docker engine."""
    return docker.from_env(timeout=ENGINE_SECONDS)


def need(program: str, mend: str) -> None:
    """Raise BenchError when a program is not on PATH."""
    if not shutil.which(program):
        raise BenchError(f"there is no {program} on PATH. {mend}")


def machine(engine: docker.DockerClient) -> str:
    """The size of the engine's machine, for titles."""
    info = engine.info()  # type: ignore[no-untyped-call]
    return f"{info['NCPU']} CPUs, {info['MemTotal'] // 2**20} MB"


def image(engine: docker.DockerClient, setting: str) -> str:
    """The image the stacks measured here have for a setting. Raises BenchError when the engine has not got it."""
    config = yaml.safe_load((ROOT / "Pulumi.offline.yaml").read_text())["config"]
    name = str(config[f"{PROJECT}:{setting}"])
    if not engine.images.list(name):
        raise BenchError(f"the engine has no image {name}. Make it: python -m offline.images")
    return name


@contextmanager
def stack(engine: docker.DockerClient, **settings: object) -> Iterator[Stack]:
    """A stack that is not deployed yet, with the settings of the offline stack file and these."""
    with folder() as place:
        texts = {key: str(value) for key, value in {"dumpUrl": sample(), **settings}.items()}
        made = Stack(name=unique(), folder=place / "stack", engine=engine, settings=texts)
        try:
            yield made
        finally:
            made.remove()


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for stacks, whose commands find nothing of the person who measures."""
    need("pulumi", "Say: . ./activate")
    for name in PERSONAL:
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as made:
        yield Path(made)


def sample(scale: float = 1) -> Path:
    """The sample dump of a size; made once."""
    path = ROOT / ".offline" / f"bench-dump-{scale:g}.sql.gz"
    if not path.exists():
        generate(["--scale", str(scale), str(path)])
    return path


def unique() -> str:
    """A name nobody else has."""
    return f"bench-{uuid.uuid4().hex[:6]}"


@dataclass
class Containers:
    """Containers, volumes and networks beside the program's; `clear` removes them."""

    engine: docker.DockerClient
    prefix: str = field(default_factory=lambda: f"{PROJECT}-{unique()}")
    _containers: list[Container] = field(default_factory=list)
    _volumes: list[str] = field(default_factory=list)
    _networks: list[str] = field(default_factory=list)

    def volume(self) -> str:
        """The name of a new volume."""
        name = f"{self.prefix}-volume-{len(self._volumes)}"
        self.engine.volumes.create(name)
        self._volumes.append(name)
        return name

    def network(self) -> str:
        """The name of a new network."""
        name = f"{self.prefix}-network-{len(self._networks)}"
        self.engine.networks.create(name)
        self._networks.append(name)
        return name

    def make(
        self,
        image_name: str,
        command: list[str],
        files: Mapping[str, bytes],
        network: str,
        alias: str,
        **options: object,
    ) -> Container:
        """A container that is not started, with files in it, known as `alias` on one network."""
        made: Container = self.engine.containers.create(
            image_name,
            entrypoint=command,
            name=f"{self.prefix}-{alias}-{len(self._containers)}",
            network=network,
            init=True,
            **options,  # type: ignore[arg-type]
        )
        self._containers.append(made)
        joined = self.engine.networks.get(network)
        joined.disconnect(made)
        joined.connect(made, aliases=[alias])
        made.put_archive("/", packed(files))
        return made

    def clear(self) -> None:
        """Remove everything that was made."""
        for container in self._containers:
            container.remove(force=True, v=True)
        for name in self._volumes:
            self.engine.volumes.get(name).remove(force=True)
        for name in self._networks:
            self.engine.networks.get(name).remove()
        self._containers, self._volumes, self._networks = [], [], []


@contextmanager
def containers(engine: docker.DockerClient) -> Iterator[Containers]:
    """Containers that are removed at the end."""
    made = Containers(engine)
    try:
        yield made
    finally:
        made.clear()


def packed(files: Mapping[str, bytes]) -> bytes:
    """A tar of files by their absolute paths, readable by all."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o444
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def address(container: Container, network: str) -> str:
    """The IP address of a running container on a network; the engine's own machine reaches it there."""
    container.reload()
    return str(container.attrs["NetworkSettings"]["Networks"][network]["IPAddress"])


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Return as soon as `condition` is true."""
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise BenchError(f"waited {LIMIT_SECONDS} s for {what}")
        time.sleep(0.05)


def is_ok(url: str) -> bool:
    """Whether a web address answers 200."""
    try:
        return httpx.get(url, timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    began = time.monotonic()
    action()
    return time.monotonic() - began
