"""Build the container images of the cluster from Debian packages, PyPI and Maven Central, where no registry answers."""
