"""Sourcing `activate` makes plain pulumi work in every shell, changes nothing that was set, and can be undone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHELLS = [shell for shell in ("sh", "dash", "bash", "zsh") if shutil.which(shell)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what activate needs, in a folder whose name needs quotes."""
    copy = tmp_path / "my checkout's"
    copy.mkdir()
    shutil.copy(ROOT / "activate", copy)
    for package in ("tools", "offline/plugins"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def run(shell: str, checkout: Path, script: str, **environment: str) -> list[str]:
    """Lines a script writes in a shell with nothing set but `environment`; $A is activate's path."""
    known = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(checkout.parent), "A": str(checkout / "activate")}
    python = shutil.which("python3")
    assert python, "the test needs python3 on PATH"
    known["PATH"] = f"{Path(python).parent}:{known['PATH']}"
    done = subprocess.run(
        [shell, "-euc", script], cwd="/", env=known | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{shell}: {done.stdout}{done.stderr}"
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_it_is_found_from_any_folder_and_names_the_checkouts_own_state(shell: str, checkout: Path) -> None:
    lines = run(shell, checkout, '. "$A" >/dev/null; echo "$PULUMI_BACKEND_URL"; echo "$PATH"')
    assert lines[0] == f"file://{checkout}/.pulumi-state", "sourced by path from another folder"
    path = lines[1].split(":")
    assert path[0] == f"{checkout}/.venv/bin", "the program's libraries come first"
    assert path[-1] == f"{checkout}/.tools/bin", "what a person has of pulumi comes before what is made here"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_second_time_changes_nothing(shell: str, checkout: Path) -> None:
    show = "env | grep -v '^_=' | sort"
    lines = run(shell, checkout, f'. "$A" >/dev/null; {show}; echo -----; . "$A" >/dev/null; {show}')
    middle = lines.index("-----")
    assert lines[:middle] == lines[middle + 1 :], "sourcing is idempotent"


@pytest.mark.parametrize("shell", SHELLS)
def test_deactivate_leaves_the_shell_as_it_was(shell: str, checkout: Path) -> None:
    show = "env | grep -v '^_=' | sort"
    lines = run(
        shell, checkout, f'{show}; echo -----; . "$A" >/dev/null; deactivate; {show}; set | grep -a "^_dc" || true'
    )
    middle = lines.index("-----")
    assert lines[:middle] == lines[middle + 1 :], "nothing of it stays behind, helpers of the script included"


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_set_is_neither_overridden_nor_removed(shell: str, checkout: Path) -> None:
    mine = {"PULUMI_BACKEND_URL": "file:///mine", "PULUMI_CONFIG_PASSPHRASE_FILE": "/p"}
    show = 'echo "$PULUMI_BACKEND_URL $PULUMI_CONFIG_PASSPHRASE_FILE"'
    lines = run(shell, checkout, f'. "$A" >/dev/null; {show}; deactivate; {show}', **mine)
    assert lines == ["file:///mine /p"] * 2, "a person's own choice stands"


@pytest.mark.parametrize("shell", SHELLS)
def test_it_says_what_it_set_but_no_secret(shell: str, checkout: Path) -> None:
    text = "\n".join(run(shell, checkout, '. "$A"'))
    assert "PULUMI_BACKEND_URL" in text, "a person shall see what changed"
    assert (checkout / ".passphrase").read_text() not in text, "the passphrase stays in its file"
    assert (checkout / ".passphrase").stat().st_mode & 0o777 == 0o600, "which only its owner can read"


@pytest.mark.parametrize("shell", SHELLS)
def test_another_checkout_takes_over(shell: str, checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(checkout, other)
    lines = run(
        shell, checkout, f'. "$A" >/dev/null; . "{other}/activate" >/dev/null; echo "$PULUMI_BACKEND_URL $PATH"'
    )
    assert lines[0].startswith(f"file://{other}/"), "the state is that of the checkout one works in"
    assert str(checkout) not in lines[0], "tools of two checkouts must not mix"
