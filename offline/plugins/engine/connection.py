"""The Docker Engine a provider is configured for."""

import os
import threading
from collections.abc import Mapping
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from offline.plugins.resources import PluginError

DEFAULT_HOST = "unix:///var/run/docker.sock"
TIMEOUT_SECONDS = 300  # a loaded engine may take its time to answer; waiting for a container has no limit
CONNECTION_ERRORS = (DockerException, requests.RequestException, OSError)


class Connection:
    """Gives every thread a client of its own: their HTTP sessions are not made to be shared."""

    def __init__(self) -> None:
        self.host = default_host(os.environ)
        self._local = threading.local()

    def use(self, host: str) -> None:
        """Take another engine; PluginError when nothing answers there."""
        self.host = host
        self._local = threading.local()
        if not host.startswith("ssh://"):  # the real plugin does not look there either
            self.api.ping()

    @property
    def api(self) -> Any:  # noqa: ANN401 - the SDK's low-level client is only partly typed
        """Return this thread's low-level client; PluginError when the engine does not answer."""
        client = getattr(self._local, "client", None)
        if client is None:
            try:
                client = docker.DockerClient(
                    base_url=self.host,
                    timeout=TIMEOUT_SECONDS,
                    use_ssh_client=self.host.startswith("ssh://"),
                    tls=_tls(self.host, os.environ),
                    version="auto",
                )
            except CONNECTION_ERRORS as error:
                raise PluginError(f"failed to connect to any docker daemon: {self.host}: {error}") from error
            self._local.client = client
        return client.api

    def version(self) -> tuple[int, ...]:
        """Return the engine's API version, such as (1, 41)."""
        return tuple(int(part) for part in str(self.api.api_version).split("."))


def default_host(environment: Mapping[str, str]) -> str:
    """Return the engine the environment names, else the usual socket."""
    return environment.get("DOCKER_HOST") or DEFAULT_HOST


def words(error: Exception) -> str:
    """Return an engine's refusal as the docker command prints it."""
    if isinstance(error, APIError):
        return f"Error response from daemon: {error.explanation or error}"
    return str(error)


def is_missing(error: Exception) -> bool:
    """Tell whether the engine knows no such object (any more)."""
    return isinstance(error, NotFound)


def _tls(host: str, environment: Mapping[str, str]) -> docker.tls.TLSConfig | bool:
    folder = environment.get("DOCKER_CERT_PATH")
    if not host.startswith("tcp://") or not environment.get("DOCKER_TLS_VERIFY") or not folder:
        return False
    certificate = (os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
    return docker.tls.TLSConfig(client_cert=certificate, ca_cert=os.path.join(folder, "ca.pem"), verify=True)
