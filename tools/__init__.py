"""What stands behind `make`: tools, Docker engine, stack, tests. The program (components/) knows nothing of it."""
