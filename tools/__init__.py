"""What `make` runs: tools, Docker Engine, stack, tests. The program (components/) does not depend on it."""
