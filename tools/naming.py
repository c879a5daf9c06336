"""Names of the Docker objects of a stack, for what works on a deployed one."""

from components.naming import Naming
from tools.paths import PROJECT, stack_name


def naming(stack: str) -> Naming:
    """Return the names of a stack's Docker objects; a cloud stack is owner/project/stack."""
    return Naming(PROJECT, stack_name(stack))
