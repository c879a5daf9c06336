"""Stacks and containers of a measurement, removed at its end, also after a failure."""

import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import docker
from docker.models.containers import Container

from offline.dump.__main__ import main as generate
from tests.support.containers import Containers, MissingImage, require_image
from tests.support.http import ask
from tests.support.project import IMAGES, ROOT
from tests.support.stack import Stack
from tests.support.waiting import WaitError, until

FILES = Path(__file__).parent / "files"
DOCKER_SECONDS = 600
LIMIT_SECONDS = 1800  # bounds a hang and promises nothing


class BenchError(Exception):
    """Why there is nothing to measure with, and the command that fixes it."""


def connect() -> docker.DockerClient:
    """Return a client of Docker Engine."""
    return docker.from_env(timeout=DOCKER_SECONDS)


def need(program: str, fix: str) -> None:
    """Raise BenchError when a program is not on PATH."""
    if not shutil.which(program):
        raise BenchError(f"{program} is not on PATH. {fix}")


def machine(client: docker.DockerClient) -> str:
    """Return the size of the Docker host, for titles."""
    info = client.info()  # type: ignore[no-untyped-call]
    return f"{info['NCPU']} CPUs, {info['MemTotal'] // 2**20} MB"


def image(client: docker.DockerClient, setting: str) -> str:
    """Return the image that the stacks measured here have for a setting. Raises BenchError when it is missing."""
    name = IMAGES[setting]
    try:
        require_image(client, name)
    except MissingImage as error:
        raise BenchError(str(error)) from error
    return name


@contextmanager
def stack(client: docker.DockerClient, **settings: object) -> Iterator[Stack]:
    """A stack that is not deployed yet, with the settings of the offline stack file and these."""
    with folder() as place:
        texts = {key: str(value) for key, value in {"dumpUrl": sample(), **settings}.items()}
        measured = Stack(unique(), place / "stack", client, texts)
        try:
            yield measured
        finally:
            measured.remove()


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for the projects and states of stacks."""
    need("pulumi", "Run: . ./activate")
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as path:
        yield Path(path)


def containers(client: docker.DockerClient) -> Containers:
    """Return a context of containers beside those of the stack."""
    return Containers(client, purpose="bench")


def sample(scale: float = 1) -> Path:
    """Return the sample dump of a size; it is generated once."""
    path = ROOT / ".offline" / f"bench-dump-{scale:g}.sql.gz"
    if not path.exists():
        generate(["--scale", str(scale), str(path)])
    return path


def unique() -> str:
    """Return a unique name for a stack."""
    return f"bench-{uuid.uuid4().hex[:6]}"


def wait_until(condition: Callable[[], object], what: str, container: Container | None = None) -> None:
    """Return as soon as `condition` is true. Raises BenchError after LIMIT_SECONDS and when `container` exits."""
    try:
        until(condition, what, container=container, seconds=LIMIT_SECONDS)
    except WaitError as error:
        raise BenchError(str(error)) from error


def is_ok(address: str, path: str) -> bool:
    """Return whether a core or load balancer responds with success."""
    return ask(address, path, seconds=2).status == HTTPStatus.OK


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action takes."""
    began = time.monotonic()
    action()
    return time.monotonic() - began
