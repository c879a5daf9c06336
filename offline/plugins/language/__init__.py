"""The Python language host: runs a project's program for the engine."""
