"""Known vulnerabilities of the installed Python packages. `python -m tools.audit` fails, too, where nothing answers."""

from __future__ import annotations

import json
import sys
import sysconfig
import time
from dataclasses import dataclass

from components.orchestrator.error_text import short
from tools.paths import VENV
from tools.terminal import ToolError, attempt, report

# The package index itself, and a second one where an index has packages and no vulnerabilities, as mirrors have.
SERVICES = ("pypi", "osv")
TIMEOUT_SECONDS = 10
# Ids of vulnerabilities that this project does not have, each with the reason: {"PYSEC-2026-1": "only on Windows"}.
IGNORED: dict[str, str] = {}


@dataclass(frozen=True)
class Audit:
    """What a service knows: how many packages, the names of those it does not know, vulnerabilities as text.

    `failure` is why it knows nothing.
    """

    audited: int = 0
    unknown: tuple[str, ...] = ()
    vulnerabilities: tuple[str, ...] = ()
    failure: str = ""


def audit(service: str) -> Audit:
    """Ask a vulnerability service about every package of the virtual environment."""
    ignored = [argument for name in IGNORED for argument in ("--ignore-vuln", name)]
    options = ["--path", sysconfig.get_path("purelib"), "--format", "json", "--progress-spinner", "off"]
    service_options = ["--vulnerability-service", service, "--timeout", str(TIMEOUT_SECONDS)]
    done = attempt([VENV / "bin" / "pip-audit", *options, *service_options, *ignored])
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        lines = done.stderr.strip().splitlines() or [f"pip-audit exited with code {done.returncode}"]
        return Audit(failure=short(lines[-1]).partition(" ([Errno")[0])
    known = [package for package in packages if "vulns" in package]
    unknown = tuple(package["name"] for package in packages if "vulns" not in package)
    vulnerabilities = tuple(
        _described(package, vulnerability) for package in known for vulnerability in package["vulns"]
    )
    return Audit(len(known), unknown, vulnerabilities, "" if known else f"knows none of {len(packages)} packages")


def check(*, required: bool = False) -> bool:
    """Report the first audit that knows a package; False, with the reasons, where no service knows one.

    Raises ToolError for a vulnerability and, if the audit is `required`, for a package that was not audited.
    """
    started = time.monotonic()
    failures = []
    for service in SERVICES:
        result = audit(service)
        if result.vulnerabilities:
            listed = "\n  ".join(result.vulnerabilities)
            raise ToolError(
                f"audit: packages with known vulnerabilities. Fix: another version in the requirements, or the reason why it does no harm in tools/audit.py\n  {listed}"
            )
        if result.audited:
            rest = f"; {service} does not know {', '.join(result.unknown)}" if result.unknown else ""
            if required and rest:
                raise ToolError(f"audit: not all packages were audited{rest}")
            report("lint", f"audit clean: {result.audited} packages{rest}", started)
            return True
        failures.append(f"{service}: {result.failure}")
    text = f"audit SKIPPED: no vulnerability service answers ({'; '.join(failures)})"
    if required:
        raise ToolError(text)
    report("lint", f"{text}. Where one does: python -m tools.audit", started)
    return False


def _described(package: dict[str, str], vulnerability: dict[str, list[str]]) -> str:
    fixed = ", ".join(vulnerability.get("fix_versions", [])) or "no version"
    return f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in {fixed}"


def main() -> int:
    """Audit the packages; 1 for a vulnerability or where no service answers."""
    try:
        check(required=True)
    except ToolError as error:
        report("error", str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
