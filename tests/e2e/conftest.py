"""Fixtures of the end-to-end tier: Docker Engine, the Pulumi CLI, dumps over HTTP."""

import gzip
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest

from tests.support.dumps import unique, write_small
from tests.support.project import ROOT
from tests.support.stack import Stack
from tests.support.web_server import served

# For official images: the dump of a real DHIS2.
SAMPLE = ROOT / os.environ.get("E2E_DUMP", ".offline/sample-dump.sql.gz")
MakeStack = Callable[..., Stack]


@pytest.fixture(scope="session")
def docker_client() -> docker.DockerClient:
    """Return a client of Docker Engine; without it, or without `pulumi`, this tier fails."""
    assert shutil.which("pulumi"), "there is no pulumi on PATH; run this tier with: make e2e"
    return docker.from_env(timeout=120)


@pytest.fixture(scope="session")
def gateway(docker_client: docker.DockerClient) -> str:
    """Return the address of this machine that containers reach."""
    return str(docker_client.networks.get("bridge").attrs["IPAM"]["Config"][0].get("Gateway") or "172.17.0.1")


@pytest.fixture(scope="module")
def make_stack(docker_client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStack]:
    """Return a function that initialises a stack with a unique name; it is removed at the end, also after a failure.

    It has a project of its own, or that of the stack it is `beside`.
    """
    with ExitStack() as removals:

        def make(beside: Stack | None = None, **settings: object) -> Stack:
            name = f"e2e-{uuid.uuid4().hex[:6]}"
            texts = {key: value if isinstance(value, dict) else str(value) for key, value in settings.items()}
            folder = beside.folder if beside else tmp_path_factory.mktemp("stack") / name
            stack = Stack(name, folder, docker_client, texts)
            removals.callback(stack.remove)
            return stack

        yield make


@pytest.fixture(scope="session")
def dumps(gateway: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address, as containers reach it, of a web server with good and bad dumps."""
    folder = tmp_path_factory.mktemp("dumps")
    assert SAMPLE.exists(), f"{SAMPLE.name} not found; make it with: make e2e"
    shutil.copy(SAMPLE, folder / "sample.sql.gz")
    write_small(folder / "small.sql.gz")
    whole = (folder / "small.sql.gz").read_bytes()
    (folder / "truncated.sql.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "page.sql.gz").write_text("<!DOCTYPE html><html><body>Sign in to continue</body></html>")
    (folder / "zip.sql.gz").write_bytes(b"PK\x03\x04" + whole)
    broken = gzip.decompress(whole).decode().replace("\n-- ", "\nSELECT no_such_function();\n-- ", 1)
    (folder / "broken.sql.gz").write_bytes(gzip.compress(broken.encode()))
    with served(folder, gateway) as url:
        yield url


@pytest.fixture(scope="module")
def new_dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dump of which the dump cache has no copy yet."""
    path = tmp_path_factory.mktemp("dump") / "sample.sql.gz"
    path.write_bytes(unique(SAMPLE.read_bytes()))
    return path


@pytest.fixture(scope="session")
def real_dumps() -> Path:
    """Return the folder with dumps of a real DHIS2."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no folder ../shared/data with dumps of a real DHIS2 beside the checkout")
    return folder
