"""Pebble, Let's Encrypt's ACME server for tests, with its DNS server for challenges. Go modules pinned by go.mod."""

import json
import os
import signal
import subprocess
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.support.certificates import Authority
from tests.support.go_programs import go_programs
from tests.support.ports import free_port, listens
from tests.support.waiting import until

MODULE = "github.com/letsencrypt/pebble/v2/cmd"
PROGRAMS = ("pebble", "pebble-challtestsrv")
FOLDER = Path(__file__).parent
# No pauses before a validation, no rejected nonces, no reused authorizations: tests that run in order, in no time.
QUIET = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}


def programs() -> dict[str, Path]:
    """Return Pebble's programs by name."""
    return go_programs(FOLDER, *(f"{MODULE}/{name}" for name in PROGRAMS))


@dataclass
class Pebble(AbstractContextManager["Pebble"]):
    """A CA on `address` of this machine. It resolves every name to `resolves_to`, and connects there to `http_port`.

    Its certificates are valid for `seconds`. `folder` takes its files.
    """

    folder: Path
    address: str
    resolves_to: str
    http_port: int
    seconds: int = 7776000
    blocked: tuple[str, ...] = ()
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _ports: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Start both programs."""
        self._authority = Authority("ACME")
        certificate, key = self._authority.issue(self.address)
        (self.folder / "server.pem").write_text(certificate)
        (self.folder / "server.key").write_text(key)
        self._ports = {name: free_port(self.address) for name in ("acme", "management", "dns", "answers")}
        answers = ("-http01", "-https01", "-tlsalpn01", "-doh", "-defaultIPv6")
        self._start(
            "pebble-challtestsrv",
            *(word for option in answers for word in (option, "")),
            *("-dnsserver", f"127.0.0.1:{self._ports['dns']}"),
            *("-management", f"127.0.0.1:{self._ports['answers']}"),
            *("-defaultIPv4", self.resolves_to),
        )
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop both."""
        for process in self._running:
            process.kill()
            process.wait()

    @property
    def url(self) -> str:
        """The URL of its directory."""
        return f"https://{self.address}:{self._ports['acme']}/dir"

    @property
    def root(self) -> str:
        """The root certificate of its own https."""
        return self._authority.root

    @property
    def issuer(self) -> str:
        """The root certificate of what it issues."""
        url = f"https://127.0.0.1:{self._ports['management']}/roots/0"
        return httpx.get(url, verify=False).text  # noqa: S501 - Pebble's own, on this machine

    @property
    def log(self) -> str:
        """What the CA has logged."""
        return (self.folder / "pebble.log").read_text()

    def start(self) -> None:
        """Start the CA, which forgets everything when it stops."""
        config = {
            "listenAddress": f"{self.address}:{self._ports['acme']}",
            "managementListenAddress": f"127.0.0.1:{self._ports['management']}",
            "certificate": str(self.folder / "server.pem"),
            "privateKey": str(self.folder / "server.key"),
            "httpPort": self.http_port,
            "tlsPort": self.http_port,
            "domainBlocklist": list(self.blocked),
            "retryAfter": {"authz": 1, "order": 1},
            "keyAlgorithm": "ecdsa",
            "profiles": {"default": {"description": "default", "validityPeriod": self.seconds}},
        }
        (self.folder / "config.json").write_text(json.dumps({"pebble": config}))
        dns = f"127.0.0.1:{self._ports['dns']}"
        self._start("pebble", "-config", str(self.folder / "config.json"), "-dnsserver", dns)
        until(lambda: listens(self.address, self._ports["acme"]), "Pebble to listen")

    def stop(self) -> None:
        """Stop the CA."""
        process = self._running.pop()
        process.send_signal(signal.SIGKILL)
        process.wait()

    def answer(self, action: str, **record: object) -> None:
        """Change what the DNS server answers, with an action of its management interface."""
        httpx.post(f"http://127.0.0.1:{self._ports['answers']}/{action}", json=record).raise_for_status()

    def _start(self, name: str, *options: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [str(programs()[name]), *options]
            self._running.append(subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **QUIET}))
