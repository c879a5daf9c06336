"""Which of its implementations a stack needs: that of one Docker Engine, or that of a swarm."""

from cli.containers import StackContainers
from cli.deployed import DeployedStack
from cli.services import StackServices
from cli.target import Target


def open_stack(target: Target) -> DeployedStack:
    """Return what runs a stack by its setting `orchestrator`. Nothing is asked of Docker Engine yet."""
    return StackServices(target) if target.settings.on_swarm else StackContainers(target)
