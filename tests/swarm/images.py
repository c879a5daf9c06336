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
from offline.images.machine import cache_folder
from tests.support.containers import DOCKER_SECONDS, require_image
from tests.swarm import namespaces
from tests.swarm.commands import run
from tests.swarm.engine import Engine
from tests.swarm.locks import lock
from tests.swarm.runs import PREFIX

LOCK, ENGINE = f"{PREFIX}-images", "images"
# Of a data root: what Docker Engine records of images, and their layers.
RECORDS, LAYERS = "image", "overlay2"


def put(images: Sequence[str], data_roots: Sequence[Path], run_name: str) -> None:
    """Put images of the Docker Engine at DOCKER_HOST into empty data roots. Raises MissingImage.

    The Docker Engine that loads them, if one has to, belongs to the run of this name.
    """
    if not images:
        return  # dockerd creates its data root itself
    # Beside the runs: hard links do not lead to another file system.
    store = cache_folder("swarm") / "images"
    with closing(docker.from_env(timeout=DOCKER_SECONDS)) as host, lock(LOCK):
        _fill(store, host, sorted(set(images)), f"{run_name}-{ENGINE}")
        for data_root in data_roots:
            data_root.mkdir(parents=True)
            # Records are replaced in the course of time, and there are few of them.
            run(["cp", "--archive", str(store / "data" / RECORDS), str(data_root)])
            run(["cp", "--archive", "--link", str(store / "data" / LAYERS), str(data_root)])


def _fill(store: Path, host: docker.DockerClient, images: Sequence[str], namespace: str) -> None:
    """Load what the store lacks or has an older build of."""
    for image in images:
        require_image(host, image)
    wanted = {image: str(host.images.get(image).id) for image in images}
    record = store / "images.json"
    if record.exists() and wanted.items() <= json.loads(record.read_text()).items():
        return
    # Until it is written again, the store counts as not complete; its Docker Engine finds out what it has.
    record.unlink(missing_ok=True)
    with _started(store, namespace) as engine, closing(engine.client(DOCKER_SECONDS)) as client:
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
def _started(store: Path, namespace: str) -> Iterator[Engine]:
    """Run a Docker Engine without networks on the store; it has ended when the context has."""
    for left in namespaces.named(f"{PREFIX}-*-{ENGINE}"):  # by a process that was killed: this one holds the lock
        namespaces.remove(left)
    namespaces.add(namespace)
    engine = Engine(store, namespace, ENGINE, bridge="none", iptables=False)
    try:
        engine.launch()
        engine.wait()
        yield engine
        engine.end(signal.SIGTERM)  # everything is written
    except Exception as error:
        error.add_note(f"If it fails again, remove the images of earlier runs: rm -r {store}")
        raise
    finally:
        namespaces.remove(namespace)
