"""beside.sh: a command for the primary in a container beside it, with a fake psql."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from components.orchestrator.swarm.services import BESIDE, beside
from components.templates.rendering import render
from tests.support.program import Run
from tests.support.swarm import ON_SWARM, files_of
from tests.unit.test_swarm_configs import text_of

PASSWORD = "p'a$s \\word"  # noqa: S105 - a test's own
FAKE_PSQL = """#!/bin/bash
printf 'argument=%s\\n' "$@"
echo "password=${PGPASSWORD-none}"
echo "passfile=${PGPASSFILE-none}"
[[ " $* " != *' -f - '* ]] || cat
exit "${PSQL_ENDS_WITH:-0}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with beside.sh, its password, and a psql that prints what it is called with."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "app-password").write_text(PASSWORD)
    script = render("database/beside.sh")
    assert script.count("/opt/dhis2-cluster/secrets/") == 1
    for name, text in (("beside.sh", script.replace("/opt/dhis2-cluster", str(tmp_path))), ("psql", FAKE_PSQL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def ran(folder: Path, command: Sequence[str], text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": f"{folder}:{os.environ['PATH']}", **environment}
    return subprocess.run(
        [folder / "beside.sh", *command], env=variables, input=text, capture_output=True, text=True, check=False
    )


def script(folder: Path, text: str) -> list[str]:
    """Return a command that runs a script as passwords.sh runs."""
    (folder / "script.sh").write_text(f"set -Eeuo pipefail\n{text}\n")
    return ["/bin/bash", f"{folder}/script.sh"]


def test_a_connection_to_127_0_0_1_goes_to_the_primary_with_the_password_of_dhis(folder: Path) -> None:
    done = ran(folder, script(folder, "PGPASSFILE=/run/app psql -X -d dhis -U dhis -h 127.0.0.1 -c 'SELECT 1'"))
    lines = done.stdout.splitlines()
    arguments = [line.removeprefix("argument=") for line in lines if line.startswith("argument=")]
    assert arguments == ["-X", "-d", "dhis", "-U", "dhis", "-h", "postgres-primary", "-c", "SELECT 1"]
    assert lines[-2:] == [f"password={PASSWORD}", "passfile=/run/app"], "the passfile is of 127.0.0.1"


def test_a_connection_over_the_socket_stays_as_it_is_and_has_no_password(folder: Path) -> None:
    done = ran(folder, script(folder, "psql -h /var/run/postgresql -U postgres -c 'SELECT 127.0.0.1'"))
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "argument=-h",
        "argument=/var/run/postgresql",
        "argument=-U",
        "argument=postgres",
    ]
    assert "argument=SELECT 127.0.0.1" in lines and "password=none" in lines


def test_the_password_is_in_no_other_process(folder: Path) -> None:
    text = 'psql -h 127.0.0.1 >/dev/null; echo "${PGPASSWORD-none}"; env | grep -c "^PGPASSWORD=" || true'
    assert ran(folder, script(folder, text)).stdout.split() == ["none", "0"]


def test_what_a_command_reads_prints_and_ends_with_is_passed_on(folder: Path) -> None:
    done = ran(folder, script(folder, "psql -h 127.0.0.1 -f -"), "SELECT 1;\n", PSQL_ENDS_WITH="3")
    assert done.returncode == 3 and done.stdout.endswith("SELECT 1;\n")
    assert ran(folder, ["/bin/sh", "-c", "exit 7"]).returncode == 7
    done = ran(folder, ["printf", "%s|", "a b", "$c"])
    assert (done.returncode, done.stdout) == (0, "a b|$c|")


def test_a_primary_without_the_password_fails(folder: Path) -> None:
    (folder / "secrets" / "app-password").unlink()
    done = ran(folder, script(folder, "psql -h 127.0.0.1"))
    assert done.returncode and "argument=" not in done.stdout and "app-password" in done.stderr


def test_only_the_primary_has_the_script_and_only_on_a_swarm(built: Run) -> None:
    recorded = built(**ON_SWARM)
    config = files_of(recorded, "primary")[BESIDE]
    assert text_of(config) == render("database/beside.sh")
    assert not [part for part in ("replica-1", "core-1", "cache", "lb") if BESIDE in files_of(recorded, part)]
    assert BESIDE not in built().container("primary").files, "a command runs in the container itself"


def test_a_job_runs_its_command_through_the_script_where_there_is_one(folder: Path) -> None:
    command = [word.replace("/opt/dhis2-cluster", str(folder)) for word in beside(["bash", "-c", "psql -h 127.0.0.1"])]
    (folder / "environment").write_text("export PGPASSFILE='of the environment'\n")
    variables = {"PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "argument=-h",
        "argument=postgres-primary",
        f"password={PASSWORD}",
        "passfile=of the environment",
    ]


@pytest.mark.skipif(not shutil.which("setpriv"), reason="this machine has no setpriv")
def test_a_command_gains_no_privileges_where_the_image_has_setpriv() -> None:
    command = beside(["grep", "NoNewPrivs", "/proc/self/status"])
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["NoNewPrivs:", "1"]
