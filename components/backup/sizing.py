"""Memory of the backup containers."""

MEMORY_MB = 512
"""restic holds the index of its repository in memory: about 100 MB for a repository of 100 GB. pg_dump needs little."""

TOOLS_MEMORY_MB = 64  # of the container that copies the tools
