"""Memory of the load balancer."""

MEMORY_MB = 256
