"""Memory of the ACME client, and on a swarm of its web server."""

MEMORY_MB = 128
WEB_MEMORY_MB = 64


def memory_mb(*, on_swarm: bool) -> int:
    """Return the memory limit of all that obtains certificates, MB."""
    return MEMORY_MB + (WEB_MEMORY_MB if on_swarm else 0)
