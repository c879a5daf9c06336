"""Ask Docker Engine whether a stack's images are there or can be pulled, without pulling them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path

import yaml

from components.orchestrator.client import connect
from components.orchestrator.engine_info import unavailable_images
from components.settings.model import Settings
from components.settings.parsing import parse_settings
from tools.paths import PROJECT, ROOT, stack_file

PROBE_SECONDS = 15


def settings_of(stack: str, folder: Path = ROOT) -> Settings:
    """Return a stack file's settings, secrets left out. Raises components.settings.parsing.SettingsError."""
    raw = raw_settings(stack, folder)
    known = {name: value for name, value in raw.items() if not isinstance(value, dict)}
    with chdir(folder):  # where relative paths in it begin
        return parse_settings(known, PROJECT, stack=stack, secret_keys=set(), unknown_keys=raw.keys() - known.keys())


def raw_settings(stack: str, folder: Path = ROOT) -> dict[str, object]:
    """Return the `config` mapping of a stack file as written, {} when there is none."""
    path = stack_file(stack, folder)
    content = yaml.safe_load(path.read_text()) if path.exists() else None
    config = content.get("config") if isinstance(content, dict) else None
    return config if isinstance(config, dict) else {}


def missing(host: str, images: Iterable[str]) -> dict[str, str]:
    """Return the images that are not on the Docker host and cannot be pulled, each with a short reason."""
    client = connect(host, PROBE_SECONDS)
    return unavailable_images(client, images)
