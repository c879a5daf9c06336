"""The rows of `status` about the whole stack, such as its address: to add one, write a function and add it to ROWS."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cli.backups import HEALTH, RECORDS, records
from cli.deployed import DeployedStack
from cli.parts import Inspected, Part
from components.orchestrator.commands import NOT_RUNNING
from components.orchestrator.container_paths import FILES, SECRETS
from components.orchestrator.container_state import FATAL
from components.settings.model import Tls

ANALYTICS = f"{FILES}/analytics.sh"  # of the primary
NOT_RESTORED = "nothing was restored"  # its words
# Of the load balancer: what it serves, and what it serves until there is another one. With their keys.
CERTIFICATE, SELF_SIGNED = "/certificates/current.pem", f"{SECRETS}/self-signed.pem"
OWN = f"{SECRETS}/own.pem"  # on a swarm
RENEWAL = f"{FILES}/health.sh"  # of the client of a CA: prints why the last attempt has failed
SOON = timedelta(days=14)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row above the parts: `text` for people, `value` for scripts (anything JSON has), under the row's name.

    Where `healthy` is false somebody has to act: the row is red and the exit code 1.
    """

    name: str
    text: str
    value: object
    healthy: bool = True


Source = Callable[[DeployedStack, Sequence[Inspected]], Row | None]
"""Returns a row, or None where the stack has none, such as one without backups. Called once a minute with --watch."""


def url(containers: DeployedStack, _: Sequence[Inspected]) -> Row:
    """Return the address people use."""
    address = containers.url
    return Row(name="url", text=address, value=address)


def analytics(containers: DeployedStack, parts: Sequence[Inspected]) -> Row | None:
    """Return how far the analytics tables are that DHIS2 builds after a restore; a failure ends no service."""
    code, output = _execute(containers, parts, "primary", ["bash", ANALYTICS])
    text = output.strip()
    return None if code or text == NOT_RESTORED else Row(name="analytics", text=text, value=re.split(r"\W", text)[0])


def certificate(containers: DeployedStack, parts: Sequence[Inspected]) -> Row | None:
    """Return the days the certificate is valid for; None without https, or where the load balancer does not run.

    Not healthy where it is not the one of the settings, has expired, or does so soon: within two weeks, or within a
    sixth of a short lifetime. A CA's has been renewed long before then.
    """
    settings = containers.target.settings
    if not settings.https:
        return None
    # It is imported here because that takes a tenth of a second.
    from components.tls.pem import CertificateError, parse_chain  # noqa: PLC0415

    self_signed = _certificates(containers, parts, SELF_SIGNED)
    of_settings = settings.tls is Tls.SELF_SIGNED
    path = OWN if settings.on_swarm and settings.tls is Tls.CERTIFICATE else CERTIFICATE
    served = self_signed if of_settings else _certificates(containers, parts, path)
    try:
        server = parse_chain(served).server
    except CertificateError:
        return None
    ends = server.not_valid_after_utc
    left, lifetime = ends - datetime.now(UTC), ends - server.not_valid_before_utc
    text = f"{left.days} days left, until {ends:%Y-%m-%d}" if left > timedelta(0) else f"expired on {ends:%Y-%m-%d}"
    of_settings = of_settings or served != self_signed
    if served == self_signed:
        text = f"self-signed, {text}" if of_settings else "self-signed: there is no other one yet"
    reason = _renewal_failure(containers, parts)
    return Row(
        name="certificate",
        text=f"{text}; {reason}" if reason else text,
        value={"days_left": left.days, "expires_at": ends.isoformat(), "self_signed": served == self_signed},
        healthy=of_settings and left > min(SOON, lifetime / 6),
    )


def _certificates(containers: DeployedStack, parts: Sequence[Inspected], path: str) -> str:
    """Return the certificates of a PEM file of the load balancer, without the key."""
    command = ["sed", "-n", "/-BEGIN CERTIFICATE-/,/-END CERTIFICATE-/p", path]
    code, output = _execute(containers, parts, "lb", command)
    return output if code == 0 else ""


def _renewal_failure(containers: DeployedStack, parts: Sequence[Inspected]) -> str:
    code, output = _execute(containers, parts, "certificates", ["/bin/sh", RENEWAL])
    return output.strip().removeprefix(FATAL) if "certificate" in output and code >= 0 else ""


def _execute(
    containers: DeployedStack, parts: Sequence[Inspected], name: str, command: Sequence[str]
) -> tuple[int, str]:
    part = _running(parts, name)
    return containers.execute(part, command) if part else (NOT_RUNNING, "")


def last_backup(containers: DeployedStack, parts: Sequence[Inspected]) -> Row | None:
    """Return when the last backup was, or what is wrong with the backups."""
    part = _running(parts, "backup")
    if part is None:
        return None  # without backups; one that is missing or stopped is shown as a part
    code, text = containers.execute(part, HEALTH)
    value = records(containers.execute(part, RECORDS)[1])
    last, _, _ = text.strip().removeprefix("last backup ").partition("; last check ")
    return Row(name="last backup", text=last, value=value, healthy=code == 0)


def last_check(containers: DeployedStack, parts: Sequence[Inspected]) -> Row | None:
    """Return when the repository of the backups was checked last; one that failed is in the row of the last backup."""
    part = _running(parts, "backup")
    at = records(containers.execute(part, RECORDS)[1])["checked_at"] if part else None
    if part is None or not isinstance(at, int):
        return None
    return Row(name="last check", text=f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC", value=at)


def _running(parts: Sequence[Inspected], name: str) -> Part | None:
    return next((item.part for item in parts if item.part.part == name and item.is_running), None)


ROWS: tuple[Source, ...] = (url, certificate, analytics, last_backup, last_check)
