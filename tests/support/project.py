"""The checkout, and what its offline stack file says: the settings of a stack without registries."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PROJECT = "dhis2-cluster"
SIMULATOR_FILE = "Pulumi.offline.yaml"


def settings_of(stack_file: str) -> dict[str, str]:
    """Return the settings of a stack file by their keys without the project's name."""
    config = yaml.safe_load((ROOT / stack_file).read_text())["config"]
    return {key.removeprefix(f"{PROJECT}:"): str(value) for key, value in config.items()}


IMAGES = settings_of(SIMULATOR_FILE)
POSTGRES, VALKEY, NGINX = IMAGES["databaseImage"], IMAGES["cacheImage"], IMAGES["loadBalancerImage"]
RESTIC = IMAGES["backupImage"]
SIMULATOR = IMAGES["image"]
# Not in the stack file: only a stack with a certificate of a CA has it.
LEGO = "dhis2-cluster/lego:4"
