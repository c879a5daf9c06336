"""The certificate in `dhis2-cluster status`: its days left, and when somebody has to act."""

import json
import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.rows import CERTIFICATE, RENEWAL, SELF_SIGNED
from components.tls.pem import pair, self_signed
from tests.support.certificates import Authority
from tests.support.program import CURRENT, FakeEngine, FakeWatcher, Run
from tests.unit.cli.engine import CommandLine, container

HOST = "dhis2.example.org"
CA = Authority()
PLACEHOLDER = self_signed("seed", HOST)
FAILURE = "the certificate could not be renewed: acme: error: 429 :: rateLimited"
ACME: dict[str, object] = {"cores": 2, "tls": "acme", "hostname": HOST, "acmeEmail": "me@example.org"}
OWN: dict[str, object] = {"cores": 2, "tls": "selfSigned", "hostname": HOST}


def without_key(pem: str) -> str:
    """What the load balancer's container prints of a PEM file."""
    return "".join(re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", pem, re.DOTALL))


def issued(days: int, started: int) -> str:
    """A certificate that began some days ago."""
    return CA.issue(HOST, days=days, started=timedelta(days=started))[0]


@pytest.fixture
def line(command_line: CommandLine) -> CommandLine:
    """A stack with a certificate of a CA."""
    command_line.settings = ACME
    command_line.engine.parts["certificates"] = container("certificates")
    serve(command_line, issued(90, 10))
    return command_line


def serve(line: CommandLine, certificate: str, renewal: str = "") -> None:
    """Have the load balancer serve a certificate, and the client of the CA print why it failed."""
    line.engine.answers |= {
        "lb certificate": certificate,
        "lb self-signed": without_key(PLACEHOLDER),
        "certificates renewal": renewal,
    }


def report(line: CommandLine) -> dict[str, Any]:
    line.run("status", "--json")
    return dict(json.loads(line.out))


def test_the_days_left_are_in_the_table_and_for_scripts(line: CommandLine) -> None:
    shown = report(line)
    assert shown["healthy"] is True and shown["url"] == f"https://{HOST}:8443"
    assert (shown["certificate"]["days_left"], shown["certificate"]["self_signed"]) == (79, False)
    assert line.run("status") == 0
    assert "certificate  79 days left, until 20" in line.out


def test_without_https_there_is_no_row(command_line: CommandLine) -> None:
    assert "certificate" not in report(command_line)
    asked = [command for _, command in command_line.engine.executed if CERTIFICATE in command or SELF_SIGNED in command]
    assert not asked


def test_a_load_balancer_that_does_not_run_has_its_own_reason(line: CommandLine) -> None:
    line.engine.parts["lb"]["State"]["Status"] = "exited"
    assert "certificate" not in report(line)


@pytest.mark.parametrize(
    ("days", "started", "healthy"),
    [(90, 75, True), (90, 77, False), (90, 91, False), (365, 352, False), (7, 5, True), (7, 6, False)],
    ids=["15 days left", "13 days left", "expired", "13 of 365 days left", "2 of 7 days left", "1 of 7 days left"],
)
def test_a_certificate_that_expires_soon_and_was_not_renewed_is_exit_code_1(
    line: CommandLine, days: int, started: int, healthy: bool
) -> None:
    serve(line, issued(days, started))
    assert report(line)["healthy"] is healthy
    assert line.run("status") == (0 if healthy else 1)


def test_an_expired_certificate_is_named(line: CommandLine) -> None:
    serve(line, issued(90, 91), FAILURE)
    line.run("status")
    assert "expired on 20" in line.out and "rateLimited" in line.out


def test_a_failed_renewal_is_reported_while_there_is_time(line: CommandLine) -> None:
    serve(line, issued(90, 70), FAILURE)
    assert line.run("status") == 0
    assert FAILURE in line.out


def test_until_the_ca_has_issued_one_the_self_signed_one_is_not_healthy(line: CommandLine) -> None:
    serve(line, without_key(PLACEHOLDER), "fatal: the CA issued no certificate: acme: error: 403")
    assert report(line)["certificate"]["self_signed"] is True
    assert line.run("status") == 1
    assert "self-signed: there is no other one yet; the CA issued no certificate: acme: error: 403" in line.out


def test_a_self_signed_certificate_that_was_asked_for_is_healthy(line: CommandLine) -> None:
    line.settings = OWN
    serve(line, "")
    shown = report(line)
    assert (shown["certificate"]["self_signed"], shown["healthy"]) == (True, True)
    line.run("status")
    assert "self-signed, " in line.out and "until 2049-06-01" in line.out


def test_the_client_of_a_ca_without_a_container_is_missing(line: CommandLine) -> None:
    del line.engine.parts["certificates"]
    assert line.run("status") == 1
    assert "has no container; create it: pulumi up --refresh -s dev" in line.out


def test_the_key_stays_in_the_container(line: CommandLine, tmp_path: Path) -> None:
    report(line)
    (tmp_path / "current.pem").write_text(pair(*CA.issue(HOST)))
    (command,) = (command for _, command in line.engine.executed if CERTIFICATE in command)
    local = [str(tmp_path / "current.pem") if word == CERTIFICATE else word for word in command]
    printed = subprocess.run(local, capture_output=True, text=True, check=True).stdout
    assert printed.count("BEGIN CERTIFICATE") == 2 and "KEY" not in printed


def test_the_files_that_status_reads_are_in_the_containers(run: Run) -> None:
    files = {CURRENT: pair(*CA.issue(HOST))}
    stack = run(watcher=FakeWatcher(engine=FakeEngine(files=files)), **{**ACME, "cores": 1})
    assert SELF_SIGNED in stack.container("lb").files and CURRENT == ("lb", CERTIFICATE)
    assert RENEWAL in stack.container("certificates").files


def test_stop_ends_the_client_of_a_ca_with_the_load_balancer(line: CommandLine) -> None:
    line.run("stop")
    assert [word.split()[1] for word in line.engine.done[:2]] == ["lb", "certificates"]
