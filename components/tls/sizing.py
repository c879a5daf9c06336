"""Memory of the ACME client."""

MEMORY_MB = 128
