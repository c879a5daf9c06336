"""Where things lie in a checkout. Everything here but the sources is git-ignored."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "dhis2-cluster"  # the name in Pulumi.yaml

VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
BIN = TOOLS / "bin"  # last on PATH: whatever a person has of their own comes first
OFFICIAL = TOOLS / "pulumi"  # an unpacked official release: pulumi and the language hosts beside it
PULUMI_HOME = TOOLS / "home"
STATE = ROOT / ".pulumi-state"
PASSPHRASE = ROOT / ".passphrase"
OFFLINE = ROOT / ".offline"
SAMPLE_DUMP = OFFLINE / "sample-dump.sql.gz"


def stack_name(stack: str) -> str:
    """Return a stack's name; a cloud stack's owner (owner/project/stack) is no part of it."""
    return stack.rsplit("/", 1)[-1]


def stack_file(stack: str, folder: Path = ROOT) -> Path:
    """Return the settings file of a stack."""
    return folder / f"Pulumi.{stack_name(stack)}.yaml"
