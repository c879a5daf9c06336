"""Fixtures of the end-to-end tier: a real engine, a real `pulumi`, dumps over HTTP."""

import gzip
import http.server
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import docker
import pytest

from offline.dump.__main__ import write
from offline.dump.sample import Size, sample
from offline.dump.writer import Style
from tests.e2e.stack import ROOT, Stack

SAMPLE = ROOT / ".offline" / "sample-dump.sql.gz"
MakeStack = Callable[..., Stack]


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    """The Docker engine; without one, or without `pulumi`, nothing here can run, and that is a failure."""
    assert shutil.which("pulumi"), "there is no pulumi on PATH: run this tier with `make e2e`"
    return docker.from_env(timeout=120)


@pytest.fixture(scope="module")
def make_stack(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStack]:
    """A function that makes a stack of a name of its own, removed at the end whatever has become of it."""
    made: list[Stack] = []

    def make(**settings: object) -> Stack:
        name = f"e2e-{uuid.uuid4().hex[:6]}"
        texts = {key: value if isinstance(value, dict) else str(value) for key, value in settings.items()}
        stack = Stack(name=name, folder=tmp_path_factory.mktemp("stack") / name, engine=engine, settings=texts)
        made.append(stack)
        return stack

    yield make
    for stack in made:
        stack.remove()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the containers' logs tell."""


@pytest.fixture(scope="session")
def dumps(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web server with dumps, good and bad, as containers of the engine reach it."""
    folder = tmp_path_factory.mktemp("dumps")
    assert SAMPLE.exists(), "the sample dump is not there: make e2e makes it"
    shutil.copy(SAMPLE, folder / "sample.sql.gz")
    write(folder / "small.sql.gz", sample(Size(rows=2000, tracked=20), Style(owner=None, clean=False)))
    whole = (folder / "small.sql.gz").read_bytes()
    (folder / "truncated.sql.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "page.sql.gz").write_text("<!DOCTYPE html><html><body>Sign in to continue</body></html>")
    broken = gzip.decompress(whole).decode().replace("\n-- ", "\nSELECT no_such_function();\n-- ", 1)
    (folder / "broken.sql.gz").write_bytes(gzip.compress(broken.encode()))
    gateway = str(engine.networks.get("bridge").attrs["IPAM"]["Config"][0].get("Gateway") or "172.17.0.1")
    server = http.server.ThreadingHTTPServer((gateway, 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://{gateway}:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="session")
def real_dumps() -> Path:
    """The folder with dumps made by a real DHIS2."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no folder ../shared/data with dumps of a real DHIS2 beside the checkout")
    return folder
