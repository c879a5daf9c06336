"""`make lint` asks about known vulnerabilities, is never silent when nothing answers, and knows every licence."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.project import ROOT
from tools import audit
from tools.terminal import ToolError

VULNERABLE = {
    "name": "jinja2",
    "version": "2.0",
    "vulns": [{"id": "PYSEC-2021-66", "fix_versions": ["2.11.3"]}, {"id": "PYSEC-2019-1", "fix_versions": []}],
}
CLEAN = {"name": "pydantic", "version": "2.14.3", "vulns": []}
UNKNOWN = {"name": "mine", "version": "1", "skip_reason": "Dependency not found"}
UNREACHABLE = "requests.exceptions.ConnectionError: Failed to resolve 'example.org' ([Errno -2] Name not known)"


def answering(monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, object]) -> None:
    """Let pip-audit print the packages of each service; for a text, fail with it."""

    def attempt(command: list[object]) -> subprocess.CompletedProcess[str]:
        answer = answers[str(command[command.index("--vulnerability-service") + 1])]
        if isinstance(answer, str):
            return subprocess.CompletedProcess([], 1, "", f"Traceback\n{answer}\n")
        return subprocess.CompletedProcess([], 0, json.dumps({"dependencies": answer, "fixes": []}), "")

    monkeypatch.setattr(audit, "attempt", attempt)


@pytest.mark.parametrize("services", [{"pypi": [CLEAN]}, {"pypi": [UNKNOWN], "osv": [CLEAN]}])
def test_the_first_service_that_knows_packages_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], services: Mapping[str, object]
) -> None:
    answering(monkeypatch, services)
    assert audit.check()
    assert "audit clean: 1 packages" in capsys.readouterr().out


def test_a_vulnerability_is_named_with_the_version_that_fixes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, {"pypi": [CLEAN, VULNERABLE]})
    with pytest.raises(ToolError) as error:
        audit.check()
    assert "jinja2 2.0: PYSEC-2021-66, fixed in 2.11.3" in str(error.value)
    assert "jinja2 2.0: PYSEC-2019-1, fixed in no version" in str(error.value)


def test_a_package_that_was_not_audited_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, {"pypi": [CLEAN, UNKNOWN]})
    assert audit.check()
    assert "pypi does not know mine" in capsys.readouterr().out
    with pytest.raises(ToolError, match="not all packages were audited; pypi does not know mine"):
        audit.check(required=True)


def test_an_audit_without_an_answer_is_a_skip_with_its_reasons(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, {"pypi": [UNKNOWN, UNKNOWN], "osv": UNREACHABLE})
    assert not audit.check()
    reasons = "(pypi: knows none of 2 packages; osv: Failed to resolve 'example.org')"
    assert f"audit SKIPPED: no vulnerability service answers {reasons}" in capsys.readouterr().out
    assert audit.main() == 1, "in continuous integration it is an error"


@pytest.fixture
def licences(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """A function that compares the licences of all packages, and that of one more, with the list."""

    def compare(licence: str) -> subprocess.CompletedProcess[str]:
        metadata = tmp_path / "other-1.0.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: other\nVersion: 1.0\nLicense: {licence}\n")
        return subprocess.run(
            [Path(sys.executable).parent / "pip-licenses", "--summary"],
            cwd=ROOT,
            env={"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    return compare


def test_the_packages_have_known_licences(licences: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    done = licences("MIT")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("licence", ["Proprietary", "AGPL-3.0", "UNKNOWN"])
def test_another_licence_is_refused(licences: Callable[[str], subprocess.CompletedProcess[str]], licence: str) -> None:
    done = licences(licence)
    assert done.returncode == 1
    assert f"license {licence} not in allow-only licenses was found for package other:1.0" in done.stderr
