"""The docker plugin: containers, networks, volumes and images of a Docker Engine."""
