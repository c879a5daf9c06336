"""Promises every container of a stack keeps, whatever it is: one rule a row, all containers of several stacks."""

import re
from collections.abc import Callable

import pytest

from tests.unit.program import GENERATED, PREFIX, Registered, Run, visible

PASSWORD = "Correct-Horse-7"  # noqa: S105 - a test's own
STACKS: dict[str, dict[str, object]] = {
    "default": {},
    "large": {"cores": 3, "replicas": 2, "version": "2.42", "adminPassword": PASSWORD, "keepData": "true"},
    "plain": {"replicas": 0, "dumpUrl": "none"},
    "with a login in the address": {
        "dumpUrl": "https://user:hidden-token@example.org/dump.sql.gz?signature=hidden-token"
    },
}
GO_DURATION = re.compile(r"(\d+h[0-5]?\dm)?([0-5]?\dm)?[0-5]?\ds")
ONE_SHOT = {"dump"}
SECRETS = (GENERATED, PASSWORD, "hidden-token")


def _only_lb_is_published(each: Registered) -> bool:
    ports = each.inputs.get("ports", [])
    return not ports if each.name != "lb" else [port["ip"] for port in ports] == ["127.0.0.1"]


def _health_is_checked(each: Registered) -> bool:
    if each.name in ONE_SHOT:
        return "healthcheck" not in each.inputs
    health = each.inputs["healthcheck"]
    durations = [health[key] for key in ("interval", "timeout", "startPeriod")]
    return health["tests"][0] == "CMD" and health["retries"] >= 1 and all(map(GO_DURATION.fullmatch, durations))


def _compose_knows_it(each: Registered) -> bool:
    part, _, number = each.name.partition("-")
    mine = {key.removeprefix("com.docker.compose."): value for key, value in each.labels.items()}
    wanted = {"project": PREFIX, "container-number": number or "1", "oneoff": "False"}
    services = {part, f"postgres-{part}"}  # the databases' aliases say what they are
    return wanted.items() <= mine.items() and mine.get("service") in services and bool(mine.get("config-hash"))


def _secrets_are_hidden(each: Registered) -> bool:
    shown = visible(dict(each.raw))
    everywhere = " ".join([*each.inputs.get("envs", []), *each.inputs.get("entrypoints", []), str(each.labels)])
    return not any(secret in shown or secret in everywhere for secret in SECRETS)


RULES: dict[str, tuple[Callable[[Registered], object], str]] = {
    "only the load balancer is published": (_only_lb_is_published, "and on loopback unless asked for otherwise"),
    "capabilities are dropped": (
        lambda each: each.inputs["capabilities"] == {"drops": ["ALL"]},
        "nothing here needs one; ALL is what the engine reports back",
    ),
    "no new privileges": (
        lambda each: each.inputs["securityOpts"] == ["no-new-privileges:true"],
        "a setuid program must not undo the dropped capabilities",
    ),
    "an unprivileged user": (
        lambda each: re.fullmatch(r"[1-9]\d*:[1-9]\d*", each.inputs["user"]),
        "by number, since images name their users differently",
    ),
    "memory is limited, without swap": (
        lambda each: each.inputs["memory"] == each.inputs["memorySwap"] > 0,
        "one alone shows as changed at each refresh",
    ),
    "logs rotate": (
        lambda each: (
            each.inputs["logDriver"] == "json-file" and {"max-size", "max-file"} <= each.inputs["logOpts"].keys()
        ),
        "a disk full of logs stops the database",
    ),
    "it comes back after a reboot": (
        lambda each: each.inputs["restart"] == ("no" if each.name in ONE_SHOT else "unless-stopped"),
        "nobody is there to start it",
    ),
    "health is checked": (_health_is_checked, "durations as Go prints them, or each refresh updates"),
    "it may end in peace": (
        lambda each: each.inputs["destroyGraceSeconds"] >= 10,
        "the plugin's default is an end by force",
    ),
    "a process 1 that reaps": (lambda each: each.inputs["init"] is True, "health checks leave processes behind"),
    "named for its stack": (
        lambda each: each.inputs["name"] == f"{PREFIX}-{each.name}",
        "two stacks live side by side",
    ),
    "labelled as compose does it": (
        _compose_knows_it,
        "compose's commands leave out what lacks one of these, and tell cores apart by their number",
    ),
    "network mode is said": (
        lambda each: each.inputs["networkMode"] == "bridge" and each.inputs["networksAdvanced"],
        "or each refresh finds a difference",
    ),
    "what the plugin ignores replaces it": (
        lambda each: (
            {"healthcheck", "init", "tmpfs"} <= set(each.request.replaceOnChanges) and each.request.deleteBeforeReplace
        ),
        "the change would be noted and never applied, or collide with the old name",
    ),
    "it does not wait itself": (
        lambda each: not each.inputs.get("wait"),
        "the plugin's wait has no reasons and is forgotten by a refresh",
    ),
    "files are small and readable": (
        lambda each: all(
            upload["content"] and len(upload["content"]) < 100_000 and upload["permissions"] in ("0444", "0555")
            for upload in each.inputs["uploads"]
        ),
        "they are root's, the process is not, and they lie in the state",
    ),
    "the root file system takes files": (
        lambda each: not each.inputs.get("readOnly"),
        "nothing can be put into a read-only one",
    ),
    "images by id": (
        lambda each: str(each.inputs["image"]).startswith("sha256:"),
        "a tag's new content would go unnoticed",
    ),
    "secrets are hidden": (_secrets_are_hidden, "not in env, argv, labels, nor in clear in the state"),
}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("rule", RULES)
def test_every_container_keeps(rule: str, stack: str, built: Run) -> None:
    found = built(**STACKS[stack]).containers
    assert len(found) >= 4, "load balancer, core, cache and primary at least"
    check, reason = RULES[rule]
    assert not [each.name for each in found if not check(each)], reason
