"""The orchestrator for several machines: Docker Swarm."""
