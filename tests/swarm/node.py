"""One node of a swarm: a Docker Engine on the LAN that can be switched off and on."""

import signal
import subprocess
from pathlib import Path
from typing import Any

import docker

from tests.swarm.engine import ANSWER_SECONDS, Engine
from tests.swarm.network import Lan


class Node:
    """A machine of the swarm. What it has in memory and in /run is lost when it is switched off; its data stays.

    `number` counts from 1. `id` is Swarm's, from when the node has joined.
    """

    def __init__(self, lan: Lan, number: int, hostname: str, folder: Path, control_group: str) -> None:
        """Nothing is started yet."""
        self.number, self.hostname, self.id = number, hostname, ""
        self.address = lan.address(number)
        self._lan = lan
        self._engine = Engine(
            folder,
            lan.namespace(number),
            hostname,
            dns=[lan.resolver_address],
            **{"cgroup-parent": control_group},
        )

    @property
    def docker_host(self) -> str:
        """The address of its Docker Engine, as in DOCKER_HOST and in the setting `dockerHost`."""
        return self._engine.host

    @property
    def socket(self) -> Path:
        """The socket of its Docker Engine."""
        return self._engine.socket

    @property
    def data_root(self) -> Path:
        """Where its Docker Engine keeps its data."""
        return self._engine.data

    @property
    def is_on(self) -> bool:
        """Whether it is switched on."""
        return self._engine.is_on

    def client(self, timeout_seconds: float = ANSWER_SECONDS) -> docker.DockerClient:
        """Return a new client of its Docker Engine; the timeout is that of each request.

        A client is of no use after the node was switched off. Managers without a quorum do not answer in time.
        """
        return self._engine.client(timeout_seconds)

    def launch(self) -> None:
        """Switch it on without waiting for it."""
        self._lan.plug(self.number)
        self._engine.launch()

    def boot(self) -> None:
        """Switch it on, and wait until its Docker Engine answers."""
        self.launch()
        self.wait()

    def wait(self) -> None:
        """Wait until its Docker Engine answers."""
        self._engine.wait()

    def cut_power(self) -> None:
        """Kill everything on it at once. What was written to its disk stays."""
        self._engine.kill()

    def shut_down(self) -> None:
        """Have its Docker Engine stop all containers and end, and switch it off."""
        self._engine.end(signal.SIGTERM)

    def disconnect(self) -> None:
        """Pull its network cable."""
        self._lan.set_link(self.number, "down")

    def connect(self) -> None:
        """Plug its network cable in again."""
        self._lan.set_link(self.number, "up")

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of this machine on the node; CalledProcessError with its output when it fails."""
        return self._engine.run(*command, check=check)

    def log(self) -> str:
        """Return the end of what its Docker Engine has logged."""
        return self._engine.log()

    def info(self) -> dict[str, Any]:
        """Return what its Docker Engine reports of its part in the swarm."""
        client = self.client()
        try:
            return dict(client.info()["Swarm"])  # type: ignore[no-untyped-call]
        finally:
            client.close()  # type: ignore[no-untyped-call]
