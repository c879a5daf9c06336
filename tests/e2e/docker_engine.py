"""A Docker Engine of the test's own, which can be restarted and killed like the machine it runs on.

It has namespaces of its own for processes, networks and mounts: when its dockerd ends, so does everything it has
started, as in a shutdown, and its bridges and firewall rules touch no other Docker Engine. This machine does not reach
its published ports.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from tests.support.waiting import until

# The first process of the namespaces is dockerd itself.
NAMESPACES = ("unshare", "--fork", "--pid", "--kill-child", "--mount-proc", "--mount", "--net")
LOG_CHARACTERS = 3000


class DockerEngine(AbstractContextManager["DockerEngine"]):
    """A Docker Engine with the images of the one at DOCKER_HOST that it is asked to `copy`."""

    def __init__(self) -> None:
        """Take a folder with a short name: a socket's path has at most 107 characters."""
        assert os.geteuid() == 0, "only root may start a Docker Engine; run this as root"
        self._folder = Path(tempfile.mkdtemp(prefix="dockerd-"))
        self.host = f"unix://{self._folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it and remove its folder."""
        self.stop(signal.SIGTERM)
        shutil.rmtree(self._folder)

    @property
    def client(self) -> docker.DockerClient:
        """A new client: one does not outlive its Docker Engine."""
        return docker.DockerClient(base_url=self.host, timeout=120)

    def start(self) -> None:
        """Start dockerd and wait until it answers."""
        places = [
            f"--data-root={self._folder}/data",
            f"--exec-root={self._folder}/exec",
            f"--pidfile={self._folder}/docker.pid",
            f"--host={self.host}",
        ]
        dockerd = f"ip link set lo up && exec dockerd {' '.join(places)}"
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*NAMESPACES, "sh", "-c", dockerd], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(self._answers, "the Docker Engine to answer", too_late=self._exited)

    def stop(self, number: int) -> None:
        """End dockerd with a signal, and with it all processes it has started."""
        assert self._process
        # unshare forwards no signal to its child.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), number)
        until(self._exited, "the Docker Engine to end")
        # A start of the machine empties /run, too.
        (self._folder / "docker.pid").unlink(missing_ok=True)
        shutil.rmtree(self._folder / "exec", ignore_errors=True)

    def copy(self, images: Sequence[str]) -> None:
        """Copy images from the Docker Engine at DOCKER_HOST."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
            subprocess.run(["docker", "--host", self.host, "load", "--quiet"], stdin=saved.stdout, check=True)
        assert saved.returncode == 0, f"docker save exited with {saved.returncode}"

    def log(self) -> str:
        """Return the end of its log."""
        return (self._folder / "log").read_text(errors="replace")[-LOG_CHARACTERS:]

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())  # type: ignore[no-untyped-call]
        except (DockerException, RequestException):
            return False

    def _exited(self) -> bool:
        return self._process is None or self._process.poll() is not None
