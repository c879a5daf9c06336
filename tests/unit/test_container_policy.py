"""The policy of all containers: one rule per row, checked on every container of several stacks."""

import json
import re
from collections.abc import Callable

import pytest

from tests.support.certificates import Authority
from tests.support.program import GENERATED, PREFIX, Registered, Run, visible
from tests.support.ssh_keys import ssh_key
from tests.unit.test_settings import PUBLIC_KEY

PASSWORD = "Correct-Horse-7"  # noqa: S105 - a test's own
SSH_KEY = ssh_key()
CERTIFICATE, KEY = Authority().issue("dhis2.example.org")
STACKS: dict[str, dict[str, object]] = {
    "default": {},
    "large": {"cores": 3, "replicas": 2, "version": "2.42", "adminPassword": PASSWORD, "keepData": "true"},
    "plain": {"replicas": 0, "dumpUrl": "none"},
    "its own certificate": {
        "tls": "certificate",
        "hostname": "dhis2.example.org",
        "tlsCertificate": CERTIFICATE,
        "tlsKey": KEY,
        "httpsPort": 443,
    },
    "a certificate of a CA": {
        "tls": "acme",
        "hostname": "dhis2.example.org",
        "acmeEmail": "me@example.org",
        "acmeDnsProvider": "cloudflare",
        "acmeDnsCredentials": json.dumps({"CLOUDFLARE_DNS_API_TOKEN": "hidden-token"}),
    },
    "backups on SFTP": {
        "backupSchedule": "manual",
        "backupRepository": "sftp:keeper@backup.example.org:/dhis2",
        "backupSshKey": SSH_KEY,
        "backupKnownHosts": f"backup.example.org {PUBLIC_KEY}",
    },
    "with a login in the address": {
        "dumpUrl": "https://user:hidden-token@example.org/dump.sql.gz?signature=hidden-token"
    },
}
GO_DURATION = re.compile(r"(\d+h[0-5]?\dm)?([0-5]?\dm)?[0-5]?\ds")
ONE_SHOT = {"dump", "backup-tools"}
SECRETS = (GENERATED, PASSWORD, "hidden-token", *KEY.splitlines()[1:2], SSH_KEY.splitlines()[3])


def _only_lb_is_published(container: Registered) -> bool:
    ports = container.inputs.get("ports", [])
    return not ports if container.name != "lb" else {port["ip"] for port in ports} == {"127.0.0.1"}


def _has_healthcheck(container: Registered) -> bool:
    if container.name in ONE_SHOT:
        return "healthcheck" not in container.inputs
    health = container.inputs["healthcheck"]
    durations = [health[key] for key in ("interval", "timeout", "startPeriod")]
    return health["tests"][0] == "CMD" and health["retries"] >= 1 and all(map(GO_DURATION.fullmatch, durations))


def _has_compose_labels(container: Registered) -> bool:
    part, _, number = container.name.partition("-") if container.name != "backup-tools" else ("backup-tools", "", "")
    mine = {key.removeprefix("com.docker.compose."): value for key, value in container.labels.items()}
    wanted = {"project": PREFIX, "container-number": number or "1", "oneoff": "False"}
    services = {part, f"postgres-{part}"}  # the databases' aliases say what they are
    return wanted.items() <= mine.items() and mine.get("service") in services and bool(mine.get("config-hash"))


def _logs_rotate(container: Registered) -> bool:
    inputs = container.inputs
    return bool(inputs["logDriver"] == "json-file" and {"max-size", "max-file"} <= inputs["logOpts"].keys())


def _state_only_properties_replace(container: Registered) -> bool:
    request = container.request
    return {"healthcheck", "init", "tmpfs"} <= set(request.replaceOnChanges) and bool(request.deleteBeforeReplace)


def _secrets_are_hidden(container: Registered) -> bool:
    shown = visible(dict(container.raw))
    everywhere = " ".join(
        [*container.inputs.get("envs", []), *container.inputs.get("entrypoints", []), str(container.labels)]
    )
    return not any(secret in shown or secret in everywhere for secret in SECRETS)


RULES: dict[str, tuple[Callable[[Registered], object], str]] = {
    "only the load balancer is published": (_only_lb_is_published, "and on loopback unless asked for otherwise"),
    "capabilities are dropped": (
        lambda container: container.inputs["capabilities"] == {"drops": ["ALL"]},
        "none is needed; ALL is what Docker Engine reports",
    ),
    "no new privileges": (
        lambda container: container.inputs["securityOpts"] == ["no-new-privileges:true"],
        "a setuid program must not undo the dropped capabilities",
    ),
    "an unprivileged user": (
        lambda container: re.fullmatch(r"[1-9]\d*:[1-9]\d*", container.inputs["user"]),
        "by number, since images name their users differently",
    ),
    "memory is limited, without swap": (
        lambda container: container.inputs["memory"] == container.inputs["memorySwap"] > 0,
        "one alone shows as changed at container refresh",
    ),
    "logs rotate": (_logs_rotate, "a disk full of logs stops the database"),
    "it restarts after a reboot": (
        lambda container: container.inputs["restart"] == ("no" if container.name in ONE_SHOT else "unless-stopped"),
        "an unattended server has to come back",
    ),
    "it has a healthcheck": (_has_healthcheck, "durations as Go prints them, or container refresh updates"),
    "it has time to stop": (
        lambda container: container.inputs["destroyGraceSeconds"] >= 10,
        "the plugin's default is SIGKILL at once",
    ),
    "an init process that reaps": (
        lambda container: container.inputs["init"] is True,
        "healthchecks leave zombies behind",
    ),
    "named for its stack": (
        lambda container: container.inputs["name"] == f"{PREFIX}-{container.name}",
        "two stacks live side by side",
    ),
    "it has compose's labels": (
        _has_compose_labels,
        "compose's commands leave out what lacks one of these, and tell cores apart by their number",
    ),
    "network mode is explicit": (
        lambda container: container.inputs["networkMode"] == "bridge" and container.inputs["networksAdvanced"],
        "or container refresh shows a diff",
    ),
    "a state-only property replaces it": (
        _state_only_properties_replace,
        "the change would never reach the container, or collide with the old name",
    ),
    "the plugin does not wait": (
        lambda container: not container.inputs.get("wait"),
        "the plugin's wait reports no cause and is forgotten by a refresh",
    ),
    "files are small and readable": (
        lambda container: all(
            upload["content"] and len(upload["content"]) < 100_000 and upload["permissions"] in ("0444", "0555")
            for upload in container.inputs["uploads"]
        ),
        "they belong to root, the process does not run as root, and they are in the state",
    ),
    "the root file system takes files": (
        lambda container: not container.inputs.get("readOnly"),
        "files cannot be uploaded into a read-only one",
    ),
    "images by id": (
        lambda container: str(container.inputs["image"]).startswith("sha256:"),
        "a moved tag would go unnoticed",
    ),
    "secrets are hidden": (_secrets_are_hidden, "not in env, argv, labels, nor in clear in the state"),
}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("rule", RULES)
def test_every_container_keeps(rule: str, stack: str, built: Run) -> None:
    found = built(**STACKS[stack]).containers
    assert len(found) >= 4, "load balancer, core, cache and primary at least"
    check, reason = RULES[rule]
    assert not [container.name for container in found if not check(container)], reason
