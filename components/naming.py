"""Names and labels of a stack's Docker objects."""

from dataclasses import dataclass

DUMP_CACHE_VOLUME = "dhis2-cluster-dumps"  # shared by all stacks of a Docker Engine
SHARED_LABEL = "dhis2-cluster.shared"  # of that volume
STACK_LABEL = "dhis2-cluster.stack"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"
NETWORKS = ("edge", "app", "data")


@dataclass(frozen=True)
class Naming:
    """Names that let two stacks live side by side: everything begins with `<project>-<stack>`."""

    project: str
    stack: str

    @property
    def prefix(self) -> str:
        """The prefix of all names; also the project name that `docker compose -p` knows the stack by."""
        return f"{self.project}-{self.stack}".lower()

    def of(self, part: str) -> str:
        """Return the Docker name of a part, such as `dhis2-cluster-dev-core-1`."""
        return f"{self.prefix}-{part}"

    def labels(self, service: str, number: int = 1) -> dict[str, str]:
        """Return Compose's labels: `docker compose -p <prefix> ps` and `logs` work on the stack's containers."""
        return {
            "com.docker.compose.project": self.prefix,
            SERVICE_LABEL: service,
            NUMBER_LABEL: str(number),
            "com.docker.compose.oneoff": "False",
            # Compose lists only containers that have one; it reads the value only when it is to change them.
            "com.docker.compose.config-hash": service,
            **self.object_labels(),
        }

    def object_labels(self) -> dict[str, str]:
        """Return the labels of networks and volumes. Their values never change: Docker cannot relabel a volume."""
        return {STACK_LABEL: self.prefix}
