"""Starts single containers as the program would: files uploaded, hardened, on a network of their own."""

import http.client
import io
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import docker
import pytest
from docker.models.containers import Container
from docker.models.networks import Network

NGINX, VALKEY = "dhis2-cluster/nginx:1.31", "dhis2-cluster/valkey:8"
SIMULATOR = "dhis2-cluster/dhis2-simulator:2.43.1"
FILES = "/opt/dhis2-cluster"
READY_SECONDS = 60


@dataclass
class Parts:
    """Containers on one network, all removed at the end."""

    engine: docker.DockerClient
    network: Network
    started: list[Container] = field(default_factory=list)

    def start(
        self, image: str, *command: str, files: Mapping[str, str] | None = None, alias: str = "", **options: object
    ) -> Container:
        """A running container with files (path to text) uploaded before its start, reachable under an alias."""
        if not self.engine.images.list(image):
            pytest.skip(f"{image} is not on this engine; make it: python -m offline.images")
        hardened: dict[str, Any] = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "init": True}
        container = self.engine.containers.create(image, list(command), **{**hardened, **options})
        self.started.append(container)
        if files:
            container.put_archive("/", archive(files))
        self.engine.networks.get("bridge").disconnect(container)
        self.network.connect(container, aliases=[alias] if alias else None)
        container.start()
        container.reload()
        return container

    def address(self, container: Container) -> str:
        """The container's address on the network."""
        container.reload()
        return str(container.attrs["NetworkSettings"]["Networks"][self.network.name]["IPAddress"])


@contextmanager
def parts() -> Iterator[Parts]:
    """A network and the containers started on it."""
    engine = docker.from_env()
    network = engine.networks.create(f"dhis2-cluster-test-{uuid4().hex[:8]}")
    found = Parts(engine, network)
    try:
        yield found
    finally:
        for container in found.started:
            container.remove(force=True, v=True)
        network.remove()


def archive(files: Mapping[str, str]) -> bytes:
    """A tar of root's files, readable by all."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(text.encode()), 0o444
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def run(container: Container, *command: str) -> tuple[int, str]:
    """Exit code and output of a command inside a container."""
    code, output = container.exec_run(list(command))
    return int(code), bytes(output).decode().strip()


def said(container: Container, command: str) -> str:
    """The output of a shell command that must succeed inside a container."""
    code, output = run(container, "sh", "-c", command)
    assert code == 0, f"'{command}' failed in the container: {output}"
    return output


def log(container: Container) -> str:
    """What a container has written."""
    return bytes(container.logs()).decode()


def until(true: Callable[[], object], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + READY_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"it never came to be: {what}"
        time.sleep(0.1)


def ask(
    address: str,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    port: int = 8080,
    seconds: float = 30,
) -> tuple[int, dict[str, str], str]:
    """Status, headers (lower case) and body of one request; status 0 when there was no answer."""
    connection = http.client.HTTPConnection(address, port, timeout=seconds)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException):
        return 0, {}, ""
    finally:
        connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text
