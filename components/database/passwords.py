"""Two passwords of DHIS2: encryption.password, which a database is bound to, and the one of its user admin."""

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import pulumi

from components.dhis2.release import Release
from components.orchestrator.commands import marker_of
from components.orchestrator.container_paths import FILES
from components.orchestrator.interface import Endpoint
from components.orchestrator.watcher import NotReady, Watcher
from components.templates.escaping import property_value

_SCRIPT = ("/bin/bash", f"{FILES}/passwords.sh")
_FINGERPRINT = re.compile(r"pbkdf2-sha256\$([0-9]{1,7})\$([0-9a-f]{32})\$([0-9a-f]{64})", re.ASCII)
_SET_MAY_HELP = 3  # exit code of passwords.sh
UNVERIFIED = "could not be verified"  # in what passwords.sh prints where core or database do not answer as usual
UNVERIFIED_SECONDS = 60  # time for a core to replace pooled connections that a restart of the database has closed
RETRY_SECONDS = 1.0
DEFAULT_PASSWORD = "district"  # noqa: S105 - DHIS2's own: of the published dumps and of a blank database


@dataclass(frozen=True, kw_only=True)
class EncryptionPassword:
    """DHIS2's encryption.password of a stack; `from_setting` or generated."""

    value: pulumi.Output[str]
    from_setting: bool


class AdminPassword(StrEnum):
    """A password that the user admin may have: adminPassword, a generated one, or DHIS2's default."""

    SETTING = "setting"
    GENERATED = "generated"
    DEFAULT = "default"


@dataclass(frozen=True, kw_only=True)
class AdminPasswords:
    """What the user admin of a stack may have as its password, and the one that is `assigned` to it.

    DEFAULT stands for the dump's own: none is assigned.
    """

    setting: str | None
    generated: pulumi.Output[str]
    assigned: AdminPassword

    def value(self, password: AdminPassword) -> pulumi.Output[str]:
        """Return a password as a secret."""
        if password is AdminPassword.SETTING and self.setting is not None:
            return pulumi.Output.secret(self.setting)
        return self.generated if password is AdminPassword.GENERATED else pulumi.Output.secret(DEFAULT_PASSWORD)


async def check_encryption_password(
    watcher: Watcher,
    password: str,
    *,
    core: str,
    primary: str,
    marker_path: str,
    is_kept: Callable[[Mapping[str, str]], bool],
) -> None:
    """Return when a stack may have this encryption.password. Raises NotReady when its database has another.

    `core` and `primary` are the Docker names of what is deployed now, `is_kept` tells by the marker whether this update
    keeps the database: a restore does its own check. Only reads, so a preview may call it too.
    """
    conf = await watcher.read_file(core, f"{Release.home}/dhis.conf")
    if conf is None or f"encryption.password = {property_value(password)}" in conf.splitlines():
        return
    marker = marker_of(await watcher.read_file(primary, marker_path))
    # A swarm does not hand out what the cores have; by its marker they have another one already, which is warned about.
    if not is_kept(marker) or (not conf and marker.get("encryption_password")):
        return
    recorded = await _recorded_fingerprint(watcher, primary)
    if recorded is None and not conf:
        return  # neither can be read; the primary compares at its start
    if recorded == "" or (recorded and has_fingerprint(password, recorded)):
        return
    raise NotReady(
        f"the stack's database was used with another encryption password{_named(recorded)}; DHIS2 could not read what is encrypted in it. Nothing was changed. Set the one that pulumi stack output encryptionPassword --show-secrets prints; if it was generated: pulumi config rm encryptionPassword. Where nothing is encrypted: docker exec {primary} bash {FILES}/passwords.sh remove-fingerprint"
    )


def has_fingerprint(password: str, fingerprint: str) -> bool:
    """Return whether a fingerprint, as fingerprint.sql writes it, is that of a password."""
    match = _FINGERPRINT.fullmatch(fingerprint)
    if match is None:
        return False
    return hashlib.pbkdf2_hmac("sha256", password.encode(), match[2].encode(), int(match[1])).hex() == match[3]


async def verify_admin_password(
    watcher: Watcher,
    primary: str,
    core: Endpoint,
    restart_cores: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
    *,
    is_open: bool,
) -> AdminPassword | None:
    """Return which password the user admin has, after a login with it; None where that is not known.

    Raises NotReady when it has not the password that is assigned to it. After a restart of a database, a core answers
    logins with 500 until it has replaced the connections of its pool, so it is asked again. DHIS2 creates this user of
    a blank database while it starts, and keeps accounts in a cache of each core. So where the password has to be set,
    `restart_cores` has all of them stopped meanwhile. Where others can reach the stack (`is_open`), the other accounts
    with well-known passwords are disabled.
    """
    openness = ("open",) if is_open else ()
    disabled: set[str] = set()

    async def run(*command: str) -> tuple[int, dict[str, str]]:
        code, output = await watcher.execute(primary, (*_SCRIPT, *command, *openness))
        lines = str(output).splitlines()
        disabled.update(line.removeprefix("disabled=") for line in lines if line.startswith("disabled="))
        return int(code), marker_of(output) or {"problem": str(output).strip()}

    async def verify() -> tuple[int, dict[str, str]]:
        deadline = time.monotonic() + UNVERIFIED_SECONDS
        while True:
            code, result = await run("verify-admin", core.host, str(core.port))
            if UNVERIFIED not in result.get("problem", "") or time.monotonic() > deadline:
                return code, result
            await asyncio.sleep(RETRY_SECONDS)

    async def set_password() -> None:
        await run("set-admin")  # a failure shows in the login that follows

    code, result = await verify()
    if code == _SET_MAY_HELP:
        pulumi.log.info("accounts of DHIS2 change in its database: all cores restart once")
        await restart_cores(set_password)
        code, result = await verify()
    if code:
        raise NotReady(result.get("problem") or f"passwords.sh in {primary} exited with {code}")
    if disabled:
        pulumi.log.warn(
            f"these accounts have well-known passwords, and others can reach this stack, so they are disabled: {', '.join(sorted(disabled))}. To use one, set another password for it in DHIS2 (Users) and enable it there"
        )
    password = result.get("password", "")
    return AdminPassword(password) if password in set(AdminPassword) else None


async def _recorded_fingerprint(watcher: Watcher, primary: str) -> str | None:
    """Return what the primary has recorded; None where it does not run, or its script is an older one."""
    try:
        code, output = await watcher.execute(primary, (*_SCRIPT, "fingerprint"))
    except NotReady:
        return None
    return str(output).strip() if code == 0 else None


def _named(fingerprint: str | None) -> str:
    return f" (fingerprint {fingerprint.rpartition('$')[2]})" if fingerprint else ""
