"""A Docker Engine that has namespaces of its own, as if it were on a machine of its own."""

import json
import os
import shutil
import signal
import subprocess
from contextlib import closing
from pathlib import Path

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from tests.support.waiting import until
from tests.swarm import namespaces
from tests.swarm.commands import run

FIRST_PROCESS = Path(__file__).parent / "files" / "node.sh"
# Mounts of this machine disappear from the engine's when they are unmounted here; those it makes stay its own.
UNSHARE = ("unshare", "--mount", "--propagation=slave", "--uts", "--ipc", "--pid", "--fork", "--kill-child")
ANSWER_SECONDS = 60
BOOT_SECONDS = 120
LOG_CHARACTERS = 3000


class Engine:
    """dockerd and all its processes, in a network namespace that exists. Its folder keeps its data.

    The docker.io package of Debian has everything it needs; `dockerd` is the first one on PATH. It always stores images
    by overlay2: images.py puts them there.
    """

    def __init__(self, folder: Path, namespace: str, hostname: str, **configuration: object) -> None:
        """Take entries of daemon.json beside its own. AssertionError without dockerd."""
        dockerd = shutil.which("dockerd")
        assert dockerd, "there is no dockerd on PATH; install it: sudo apt-get install -y docker.io"
        self.folder, self.namespace, self.hostname = folder, namespace, hostname
        self.socket = folder / "docker.sock"
        self.data = folder / "data"
        self._dockerd = dockerd
        self._configuration = {
            # The second one is where containers mount it from: /run is the node's own (node.sh).
            "hosts": [self.host, "unix:///run/docker.sock"],
            "data-root": str(self.data),
            "exec-root": "/run/docker",
            "pidfile": "/run/docker.pid",
            "storage-driver": "overlay2",
            # systemd, if this machine has it, is not reached from there.
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            **configuration,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """Its address, as in DOCKER_HOST."""
        return f"unix://{self.socket}"

    def client(self, timeout_seconds: float = ANSWER_SECONDS) -> docker.DockerClient:
        """Return a new client: one does not outlive its Docker Engine. The timeout is that of each request."""
        return docker.DockerClient(base_url=self.host, timeout=int(timeout_seconds))

    @property
    def is_on(self) -> bool:
        """Whether its first process runs."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start dockerd without waiting for it."""
        assert not self.is_on, f"{self.hostname} is on already"
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "daemon.json"
        configuration.write_text(json.dumps(self._configuration, indent=1))
        first = ["sh", str(FIRST_PROCESS), self.hostname, self._dockerd, str(configuration)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*namespaces.enter(self.namespace), *UNSHARE, "--mount-proc", "--", *first],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the test alone, which then removes what it has created
            )

    def wait(self) -> None:
        """Wait until dockerd answers; WaitError with the end of its log when it exits or takes too long."""
        try:
            until(
                self._answers,
                f"Docker Engine of {self.hostname} to answer",
                seconds=BOOT_SECONDS,
                too_late=lambda: not self.is_on,
            )
        except Exception as error:
            error.add_note(self.log())
            raise

    def end(self, number: int) -> None:
        """Send a signal to the first process, and wait until it and with it all others have ended."""
        assert self._process, f"{self.hostname} was never started"
        until(lambda: self.first_process() or not self.is_on, f"{self.hostname} to start or to end")
        first = self.first_process()
        if first:
            os.kill(first, number)
        until(lambda: not self.is_on, f"the processes of {self.hostname} to end")

    def kill(self) -> None:
        """Kill all processes at once."""
        self.end(signal.SIGKILL)

    def first_process(self) -> int | None:
        """Return the number that its process 1 has on this machine; None when it is off."""
        if not self.is_on:
            return None
        assert self._process
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return int(children[0]) if children else None

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of this machine in its namespaces; CalledProcessError with its output if it fails."""
        first = self.first_process()
        assert first, f"{self.hostname} is off"
        enter = ["nsenter", f"--target={first}", "--mount", "--net", "--pid", "--uts", "--ipc", "--"]
        return run([*enter, *command], check=check)

    def log(self) -> str:
        """Return the end of what dockerd has logged."""
        return (self.folder / "log").read_text(errors="replace")[-LOG_CHARACTERS:]

    def _answers(self) -> bool:
        try:
            with closing(self.client(5)) as client:
                return bool(client.ping())  # type: ignore[no-untyped-call]
        except (DockerException, RequestException):
            return False
