"""The Docker Engine that a provider is configured for, and its errors."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from components.orchestrator.ssh import open_connection
from offline.plugins.resource import ProviderError

TIMEOUT_SECONDS = 300  # a loaded Docker Engine takes long to answer
CONNECTIONS = 64  # more than Pulumi creates resources at once
CONNECTION_ERRORS = (DockerException, requests.RequestException, OSError)


class Connection:
    """The low-level client `api` of one Docker Engine, for all threads."""

    api: Any  # the SDK's low-level client is only partly typed

    def use(self, host: str) -> None:
        """Connect to a Docker Engine; raises ProviderError when it does not answer."""
        try:
            ssh, environment = host.startswith("ssh://"), {**os.environ, "DOCKER_HOST": host}
            if ssh:
                open_connection(host)  # the SDK's `ssh` has the options that the program gives the plugin
            client = docker.from_env(
                timeout=TIMEOUT_SECONDS, max_pool_size=CONNECTIONS, use_ssh_client=ssh, environment=environment
            )
            self.api = client.api
        except CONNECTION_ERRORS as error:
            raise ProviderError(f"failed to connect to any docker daemon: {host}: {error}") from error

    def inspect(self, kind: str, identifier: str) -> dict[str, Any] | None:
        """Return what Docker Engine reports of a container, image or another kind; None when there is none."""
        try:
            return dict(getattr(self.api, f"inspect_{kind}")(identifier))
        except NotFound:
            return None
        except APIError as error:
            raise ProviderError(f"Unable to inspect {kind}: {message(error)}") from error


@contextmanager
def docker_errors(failure: str = "") -> Iterator[None]:
    """Raise an error of Docker Engine as ProviderError, with `failure` before it if there is one."""
    try:
        yield
    except APIError as error:
        raise ProviderError(": ".join(filter(None, (failure, message(error))))) from error


def message(error: Exception) -> str:
    """Return an error of Docker Engine as the docker command prints it."""
    return f"Error response from daemon: {error.explanation or error}" if isinstance(error, APIError) else str(error)
