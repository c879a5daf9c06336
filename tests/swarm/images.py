"""The images of the nodes, loaded once: a folder with the data of a Docker Engine, linked into that of each node.

The files of a layer are never written to again, so that hard links of them serve all nodes: no node stores or loads an
image. Loading is what takes long, and only what the machine's Docker Engine has since built is loaded again.
"""

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from offline.images.builder import saved
from offline.images.machine import cache_folder, locked
from tests.support.containers import DOCKER_SECONDS, require_image
from tests.swarm import namespaces
from tests.swarm.commands import run
from tests.swarm.engine import Engine
from tests.swarm.runs import PREFIX

NAME = f"{PREFIX}-images"
# Of a data root: what Docker Engine records of images, and their layers.
RECORDS, LAYERS = "image", "overlay2"


def put(images: Sequence[str], data_roots: Sequence[Path]) -> None:
    """Put images of the Docker Engine at DOCKER_HOST into empty data roots. Raises MissingImage."""
    if not images:
        return  # dockerd creates its data root itself
    with closing(docker.from_env(timeout=DOCKER_SECONDS)) as host, locked(NAME):
        store = _folder()
        _fill(store, host, sorted(set(images)))
        for data_root in data_roots:
            data_root.mkdir(parents=True)
            # Records are replaced in the course of time, and there are few of them.
            run(["cp", "--archive", str(store / "data" / RECORDS), str(data_root)])
            run(["cp", "--archive", "--link", str(store / "data" / LAYERS), str(data_root)])


def _folder() -> Path:
    # Beside the runs: hard links do not lead to another file system.
    return cache_folder("swarm") / "images"


def _fill(store: Path, host: docker.DockerClient, images: list[str]) -> None:
    """Load what the store lacks or has an older build of."""
    for image in images:
        require_image(host, image)
    wanted = {image: str(host.images.get(image).id) for image in images}
    record = store / "images.json"
    if record.exists() and wanted.items() <= json.loads(record.read_text()).items():
        return
    # Until it is written again, the store counts as not complete; its Docker Engine finds out what it has.
    record.unlink(missing_ok=True)
    with _started(store) as engine, closing(engine.client(DOCKER_SECONDS)) as client:
        missing = [image for image, identifier in wanted.items() if _identifier(client, image) != identifier]
        if missing:
            client.images.load(saved(host, missing))  # type: ignore[arg-type]
        _tidy(client, host)
        present = {tag: str(image.id) for image in client.images.list() for tag in image.tags}
    record.write_text(json.dumps(present, indent=1))
    lacking = sorted(wanted.items() - present.items())
    assert not lacking, f"Docker Engine of {store} did not keep {lacking}. Is the disk full?"


def _identifier(client: docker.DockerClient, image: str) -> str:
    try:
        return str(client.images.get(image).id)
    except ImageNotFound:
        return ""


def _tidy(client: docker.DockerClient, host: docker.DockerClient) -> None:
    """Remove what the host has no longer, so that the store is never larger than the host's images."""
    for tag in [tag for image in client.images.list() for tag in image.tags]:
        if not _identifier(host, tag):
            client.images.remove(tag)
    client.images.prune(filters={"dangling": True})


@contextmanager
def _started(store: Path) -> Iterator[Engine]:
    """Run a Docker Engine without networks on the store; it has ended when the context has."""
    _remove_namespace()
    namespaces.add(NAME)
    engine = Engine(store, NAME, NAME, bridge="none", iptables=False)
    try:
        engine.launch()
        engine.wait()
        yield engine
        engine.end(signal.SIGTERM)  # everything is written
    finally:
        _remove_namespace()


def _remove_namespace() -> None:
    """Remove it, and with it what a killed run left in it."""
    if NAME in namespaces.named(NAME):
        namespaces.remove(NAME)
