"""`make lint`, `unit`, `container`, `e2e`, `swarm`, `faults` and `test`: build everything they need, then run them."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from offline.images.catalogue import CATALOGUE
from tools import audit, choices, deploy, engine, environment, pulumi_tools
from tools.paths import OFFLINE, ROOT, STATE, TOOLS, VENV
from tools.terminal import ToolError, attached, attempt, report, together

SKIPPED_FOLDERS = {VENV, TOOLS, OFFLINE, STATE, ROOT / ".git"}
TYPED = ("components", "cli", "offline", "tools", "tests", "bench", "__main__.py")
COVERAGE = ("--cov=components", "--cov-report=term:skip-covered", "--cov-fail-under=90")
# Most tests of containers wait. The tests of one file share containers and stay in one process, in their order.
PARALLEL = ("--numprocesses=4", "--dist=loadfile", "--no-loadscope-reorder", "--durations=20")
SHORT = "not long and not swarm"
TIERS = {
    "unit": ("tests/unit", "offline/tests/unit", "--numprocesses=auto", *COVERAGE),
    "container": ("tests/container", "offline/tests/container", *PARALLEL),
    "e2e": ("tests/e2e", "offline/tests/e2e", *PARALLEL, "-m", SHORT),
}
# One run, so that its last line counts the tests of all tiers. The slowest files come first, or one process still runs
# the last of them when the other has nothing left.
TIERS["test"] = (
    *(folder for tier in reversed(TIERS.values()) for folder in tier[:2]),
    *PARALLEL,
    *COVERAGE,
    *("-m", SHORT),
)
# In one process: all files share one swarm. It takes about 40 minutes, for which `make test` has no time.
TIERS["swarm"] = ("tests/swarm", "offline/tests/e2e/test_swarm.py", "--durations=20", "-m", "not long")
TIERS["faults"] = ("tests/e2e", *PARALLEL, "-m", "faults")
# A test without a backend of its own must not use the stacks of the person who runs it.
PERSONAL = ("PULUMI_BACKEND_URL", "PULUMI_STACK", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE")


def lint() -> None:
    """Run every linter and type checker; ToolError after the first that reports something, with its report."""
    python = list(_existing(TYPED))
    scripts = [path for path in _sources() if is_shell(path)]
    dockerfiles = [path for path in _sources() if path.name == "Dockerfile" or path.suffix == ".Dockerfile"]
    _check("ruff", ["ruff", "check", "--quiet", "."])
    _check("format", ["ruff", "format", "--check", "--quiet", "."])
    _check("mypy", ["mypy", "--strict", "--no-error-summary", *python])
    _check("shell", ["shellcheck", *scripts])
    _check("shell format", ["shfmt", "--diff", "--indent", "4", *scripts])
    _check("docker", ["hadolint", *dockerfiles])
    _check("workflows", [*_actionlint(), *sorted((ROOT / ".github" / "workflows").glob("*.yml"))])
    _check("licences", ["pip-licenses", "--summary"])
    if not audit.check():
        report("lint", "1 check skipped: audit")


def run(tier: str, inherited: Mapping[str, str]) -> int:
    """Build what a tier needs and run its tests; return pytest's exit code."""
    mode = choices.offline_mode(inherited.get("OFFLINE", ""))
    host = engine.DEFAULT

    def prepare_engine() -> None:
        nonlocal host
        host = engine.ensure(inherited)
        deploy.build({**inherited, "DOCKER_HOST": host}, [recipe.name for recipe in CATALOGUE], sample_dump=True)

    def prepare_tools() -> None:
        pulumi_tools.ensure(environment.complete(inherited, mode), mode)

    jobs = {
        "lint": lint if tier == "test" else None,
        "engine": prepare_engine if tier != "unit" else None,
        "tools": prepare_tools if tier in ("e2e", "faults", "swarm", "test") else None,
    }
    together({name: job for name, job in jobs.items() if job})
    env = isolated(environment.complete(inherited, mode))
    if host != engine.DEFAULT:
        env["DOCKER_HOST"] = host
    # Tests of the tools are in the unit tier: they need neither Docker Engine nor pulumi.
    return attached([sys.executable, "-m", "pytest", *TIERS[tier]], env)


def isolated(environment_: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the variables that lead to a person's own stacks."""
    names = (*PERSONAL, "PULUMI_CONFIG_PASSPHRASE_FILE", "STACK", "ARGS", "OFFLINE")
    return {name: value for name, value in environment_.items() if name not in names}


def is_shell(path: Path) -> bool:
    """Return whether a file is a shell script: by its name or its first line, or because shells source it."""
    if path.suffix == ".sh" or path == ROOT / "activate":
        return True
    if path.suffix or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        first = file.readline(80)
    return first.startswith(b"#!") and first.split()[-1].rsplit(b"/")[-1] in (b"sh", b"bash", b"dash")


def _actionlint() -> list[str | Path]:
    """Return the command of actionlint: the one that a Go module pins (built once), without Go that on PATH.

    Its package on PyPI downloads a binary from elsewhere while it is installed, which fails where only PyPI is reached.
    """
    options: list[str | Path] = ["-pyflakes=", "-shellcheck", VENV / "bin" / "shellcheck"]
    if shutil.which("go"):
        os.environ.update(GOTOOLCHAIN="local", GOWORK="off")
        return ["go", "-C", ROOT / "tools" / "actionlint", "tool", "actionlint", *options]
    if shutil.which("actionlint"):
        return ["actionlint", *options]
    raise ToolError(
        "lint: neither Go, which builds actionlint, nor actionlint is on PATH. Install Go: go.dev/doc/install"
    )


def _check(name: str, command: Sequence[str | Path]) -> None:
    started = time.monotonic()
    if len(command) == 1:
        return  # nothing of this kind in the checkout
    # A tool of the virtual environment, pinned; not one of the same name elsewhere.
    done = attempt([shutil.which(str(command[0]), path=str(VENV / "bin")) or command[0], *command[1:]])
    if done.returncode:
        print((done.stdout + done.stderr).strip(), flush=True)
        raise ToolError(f"lint: {Path(str(command[0])).name} reported the above. Fix of formatting: ruff format .")
    report("lint", f"{name} clean", started)


def _existing(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        path = ROOT / name
        if path.is_file() or any(path.rglob("*.py")):
            yield name


def _sources() -> list[Path]:
    sources: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        here = Path(folder)
        folders[:] = [name for name in folders if here / name not in SKIPPED_FOLDERS and name != "target"]
        sources += [here / name for name in names]
    return sorted(sources)
