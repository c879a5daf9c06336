"""Names and labels of a stack's Docker objects. Pure."""

from dataclasses import dataclass

SHARED_DUMPS = "dhis2-cluster-dumps"  # the dump cache of all stacks of an engine
STACK_LABEL = "dhis2-cluster.stack"


@dataclass(frozen=True)
class Naming:
    """Names that let two stacks live side by side: everything begins with `<project>-<stack>`."""

    project: str
    stack: str

    @property
    def prefix(self) -> str:
        """What all names of the stack begin with; also the project name `docker compose -p` knows the stack by."""
        return f"{self.project}-{self.stack}".lower()

    def of(self, part: str) -> str:
        """The Docker name of a part, such as `dhis2-cluster-dev-core-1`."""
        return f"{self.prefix}-{part}"

    def labels(self, service: str, number: int = 1) -> dict[str, str]:
        """Compose's own labels, so that `docker compose -p <prefix> ps` and `logs` work on the stack's containers."""
        return {
            "com.docker.compose.project": self.prefix,
            "com.docker.compose.service": service,
            "com.docker.compose.container-number": str(number),
            "com.docker.compose.oneoff": "False",
            # Compose lists only containers that have one; it compares it with nothing unless it is to change them.
            "com.docker.compose.config-hash": service,
            **self.object_labels(),
        }

    def object_labels(self) -> dict[str, str]:
        """Labels of networks and volumes. Never one whose value changes: Docker would have to make them anew."""
        return {STACK_LABEL: self.prefix}
