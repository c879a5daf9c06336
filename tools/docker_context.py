"""Find the Docker Engine of the current `docker context`: the docker command uses it, the plugin and the SDK do not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path


def current_host(environment: Mapping[str, str]) -> str:
    """Return the address of the chosen context, "" for the default one or when DOCKER_HOST overrides it."""
    if environment.get("DOCKER_HOST"):
        return ""
    folder = config_folder(environment)
    name = environment.get("DOCKER_CONTEXT") or _read(folder / "config.json").get("currentContext")
    if not name or name == "default":
        return ""
    # The docker command files contexts under the digest of their name.
    digest = hashlib.sha256(str(name).encode()).hexdigest()
    endpoints = _read(folder / "contexts" / "meta" / digest / "meta.json").get("Endpoints")
    endpoint = endpoints.get("docker") if isinstance(endpoints, dict) else None
    return str(endpoint.get("Host") or "") if isinstance(endpoint, dict) else ""


def candidate_sockets(environment: Mapping[str, str]) -> list[str]:
    """Return the default addresses of Docker Engine: the system's, rootless Docker's, Docker Desktop's."""
    home = Path(environment.get("HOME") or "/")
    paths = [Path("/var/run/docker.sock")]
    if environment.get("XDG_RUNTIME_DIR"):
        paths.append(Path(environment["XDG_RUNTIME_DIR"], "docker.sock"))
    paths += [home / ".docker" / "run" / "docker.sock", home / ".docker" / "desktop" / "docker.sock"]
    return [f"unix://{path}" for path in paths]


def config_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of the docker command's own configuration."""
    return Path(environment.get("DOCKER_CONFIG") or Path(environment.get("HOME") or "/") / ".docker")


def _read(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
