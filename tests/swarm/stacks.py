"""A stack of the program on a swarm, and what of it runs on which node."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from docker.errors import NotFound
from docker.models.containers import Container

from components.naming import DUMP_CACHE_VOLUME
from tests.support.commands import execute
from tests.support.dumps import write_small
from tests.support.s3 import s3_server
from tests.support.stack import ADMIN, Stack
from tests.support.waiting import until
from tests.support.web_server import served
from tests.swarm.lab import Swarm
from tests.swarm.node import Node

PSQL = ("psql", "-X", "-A", "-t", "-q", "-h", "/var/run/postgresql", "-U", "postgres", "-d", "dhis")


class SwarmStack:
    """A stack whose engine is the manager of a swarm."""

    def __init__(self, swarm: Swarm, name: str, folder: Path, **settings: object) -> None:
        """Initialise it; nothing is deployed."""
        self.swarm = swarm
        common = {
            "orchestrator": "swarm",
            "dockerHost": swarm.manager.docker_host,
            "bind": "0.0.0.0",  # noqa: S104 - of the nodes
            # This kernel may lack the ciphers, and packets of encrypted networks are then dropped.
            "encryptedNetworks": "false",
        }
        texts = {key: value if isinstance(value, dict) else str(value) for key, value in (common | settings).items()}
        self.stack = Stack(name, folder, swarm.manager.client(), texts)
        self._others = self.volumes()

    def services(self) -> dict[str, int]:
        """Return how many tasks run of each service, by its part."""
        with closing(self.swarm.manager.client()) as client:
            listed = client.api.services(filters={"name": f"{self.stack.prefix}-"}, status=True)
        return {
            each["Spec"]["Name"].removeprefix(f"{self.stack.prefix}-"): each["ServiceStatus"]["RunningTasks"]
            for each in listed
        }

    def containers(self, part: str) -> dict[str, list[Container]]:
        """Return the running containers of a part by the host names of their nodes."""
        label = f"com.docker.swarm.service.name={self.stack.prefix}-{part}"
        found: dict[str, list[Container]] = {}
        for node in self.swarm.nodes:
            if node.is_on:
                listed = node.client().containers.list(filters={"label": label}, ignore_removed=True)
                found |= {node.hostname: listed} if listed else {}
        return found

    def container(self, part: str) -> Container:
        """Return the only running container of a part."""
        (container,) = [each for listed in self.containers(part).values() for each in listed]
        return container

    def cores_on(self, node: Node) -> int:
        """Return how many cores run on a node."""
        return sum(len(self.containers(part).get(node.hostname, [])) for part in ("core-1", "core"))

    def all_cores_run(self, count: int) -> bool:
        """Return whether so many cores run on nodes that are on, and the swarm takes them all for healthy."""
        services = self.services()
        running = sum(self.cores_on(node) for node in self.swarm.nodes)
        return services["core-1"] + services["core"] == running == count

    def sql(self, statement: str, part: str = "primary") -> str:
        """Return the result of a statement that must succeed in the database of a part."""
        code, output = execute(self.container(part), *PSQL, "-c", statement)
        assert code == 0, output
        return output.strip()

    def url(self, node: Node) -> str:
        """Return the address of the load balancer on a node."""
        return f"http://{node.address}:{self.stack.port}"

    def log_in(self, node: Node) -> httpx.Cookies:
        """Return the cookies, good for any node, of the user admin, who has logged in through that of one."""
        password = self.stack.outputs()["adminPassword"]
        with httpx.Client(base_url=self.url(node), timeout=30) as client:
            response = client.post("/api/auth/login", json={"username": ADMIN[0], "password": password})
            assert response.status_code == httpx.codes.OK, response.text
            return httpx.Cookies(dict(client.cookies))

    def volumes(self) -> set[tuple[str, str]]:
        """Return node and name of all volumes, those without a name of their own, too, but not the dump cache."""
        found = set()
        for node in self.swarm.nodes:
            with closing(node.client()) as client:
                found |= {(node.hostname, str(volume.name)) for volume in client.volumes.list()}
        return {(node, name) for node, name in found if name != DUMP_CACHE_VOLUME}

    def leftovers(self) -> list[str]:
        """Return what there is of the stack on all nodes, and every volume that has been created since its begin."""
        found: list[Any] = [f"{name.removeprefix(f'{self.stack.prefix}-')} on {node}" for node, name in self._new()]
        filters = {"name": f"{self.stack.prefix}-"}
        for node in self.swarm.nodes:
            with closing(node.client()) as client:
                found += [each.name for each in client.containers.list(True, filters=filters, ignore_removed=True)]
                found += [each.name for each in client.networks.list(filters=filters)]
        with closing(self.swarm.manager.client()) as client:
            for listed in (client.services, client.configs, client.secrets):
                found += [each.name for each in listed.list(filters=filters)]
        return found

    def remove(self) -> None:
        """Remove everything of the stack from the swarm and its nodes, also after a test that failed."""
        with closing(self.swarm.manager.client()) as client:
            filters = {"name": f"{self.stack.prefix}-"}
            for service in client.services.list(filters=filters):  # type: ignore[no-untyped-call]
                service.remove()
        until(lambda: not self._containers(running=True), f"the containers of {self.stack.prefix} to end")
        # Those that a power cut has ended stay on their node.
        for container in self._containers(running=False):
            with suppress(NotFound):
                container.remove(force=True)
        with closing(self.swarm.manager.client()) as client:
            for listed in (client.configs, client.secrets):
                for each in listed.list(filters=filters):
                    each.remove()
            for network in client.networks.list(filters=filters):
                network.remove()
        for node in self.swarm.nodes:
            with closing(node.client()) as client:
                for volume in client.volumes.list(filters={"name": f"^{self.stack.prefix}-"}):
                    volume.remove(force=True)

    def _new(self) -> list[tuple[str, str]]:
        return sorted(self.volumes() - self._others)

    def _containers(self, *, running: bool) -> list[Container]:
        """Return the containers of the stack on all nodes, those that do not run, too, unless `running`."""
        found: list[Container] = []
        for node in self.swarm.nodes:
            filters = {"name": f"{self.stack.prefix}-"}
            found += node.client().containers.list(not running, filters=filters, ignore_removed=True)
        return found


def errors_of(output: str) -> list[str]:
    """Return the errors that a failed `pulumi up` lists at its end, without the one that says that there are some."""
    listed = [line.strip() for line in output.partition("Diagnostics:")[2].splitlines()]
    errors = [line.removeprefix("error: ") for line in listed if line.startswith("error: ")]
    return [error for error in errors if not error.startswith("an unhandled error occurred")]


@contextmanager
def deployed(swarm: Swarm, folder: Path, **settings: object) -> Iterator[SwarmStack]:
    """Yield a stack with a small dump and its files on S3, which is removed at the end, as all it has on the nodes."""
    write_small(folder / "small.sql.gz")
    name = f"swarm-{uuid.uuid4().hex[:6]}"
    with served(folder, swarm.address) as url, s3_server(swarm.address) as files:
        places = {"dumpUrl": f"{url}/small.sql.gz", "fileStore": f"s3://dhis2-files?endpoint={files.url}"}
        stack = SwarmStack(swarm, name, folder / name, **places | settings)
        try:
            stack.stack.set_secret(**files.settings)
            stack.stack.up()
            yield stack
        finally:
            swarm.restore()
            stack.remove()
