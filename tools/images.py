"""Asks the engine whether a stack's images are here or can be pulled, without pulling them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import docker
import yaml
from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from components.settings import Settings, parse_settings
from tools.paths import PROJECT, stack_file
from tools.terminal import short

PROBE_SECONDS = 15


def settings_of(stack: str) -> Settings:
    """Return a stack file's settings, secrets left out. Raises components.settings.SettingsError."""
    return parse_settings(
        {name: value for name, value in raw_settings(stack).items() if not isinstance(value, dict)},
        PROJECT,
        stack=stack,
        secret_keys=set(),
    )


def raw_settings(stack: str) -> dict[str, object]:
    """Return the `config` mapping of a stack file as written, {} when there is none."""
    path = stack_file(stack)
    content = yaml.safe_load(path.read_text()) if path.exists() else None
    found = content.get("config") if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}


def missing(host: str, images: Iterable[str]) -> dict[str, str]:
    """Return the images the engine neither has nor can pull, each with the engine's reason in a few words.

    The engine is asked for each manifest (`/distribution/<name>/json`): it goes where a pull would go, with the
    engine's own proxies, and takes no layer.
    """
    client = docker.DockerClient(base_url=host, timeout=PROBE_SECONDS, use_ssh_client=host.startswith("ssh:"))

    def reason(image: str) -> str:
        try:
            client.images.get(image)
        except ImageNotFound:
            try:
                client.api.inspect_distribution(image)
            except (DockerException, RequestException) as error:
                return short(str(getattr(error, "explanation", None) or error))
        except (DockerException, RequestException) as error:
            return short(str(error))
        return ""

    names = list(dict.fromkeys(images))
    with ThreadPoolExecutor(len(names) or 1) as pool:
        return {image: why for image, why in zip(names, pool.map(reason, names), strict=True) if why}
