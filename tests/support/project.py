"""The checkout, and what its offline stack file says: the settings of a stack without registries."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PROJECT = "dhis2-cluster"


def offline_settings() -> dict[str, str]:
    """Return the settings of Pulumi.offline.yaml by their keys without the project's name."""
    config = yaml.safe_load((ROOT / "Pulumi.offline.yaml").read_text())["config"]
    return {key.removeprefix(f"{PROJECT}:"): str(value) for key, value in config.items()}


IMAGES = offline_settings()
POSTGRES, VALKEY, NGINX = IMAGES["databaseImage"], IMAGES["cacheImage"], IMAGES["loadBalancerImage"]
SIMULATOR = IMAGES["image"]
