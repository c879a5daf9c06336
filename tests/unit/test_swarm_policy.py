"""The policy of all services of a swarm: one rule per row, checked on every service of several stacks."""

import json
import re
from collections.abc import Callable

import pytest

from components.orchestrator.swarm.orchestrator import GRACE_SECONDS, short_duration
from tests.support.program import PREFIX, Recorded, Registered, Run, visible
from tests.support.ssh_keys import ssh_key
from tests.support.swarm import ON_SWARM, SERVICE, Json, container_of, service_of
from tests.unit.test_container_policy import ONE_SHOT, PASSWORD, SECRETS
from tests.unit.test_settings import PUBLIC_KEY
from tests.unit.test_tls import ACME, KEY, OWN

SSH_KEY = ssh_key()
HIDDEN = (*SECRETS, SSH_KEY.splitlines()[3], KEY.splitlines()[1])
STACKS: dict[str, Json] = {
    "default": {},
    "large": {
        "cores": 4,
        "replicas": 2,
        "replicaNodes": "db-2,app-1",
        "version": "2.42",
        "adminPassword": PASSWORD,
        "encryptionPassword": f"{PASSWORD}-and-more-than-24",
        "keepData": "true",
        "lbNodes": "db-1,db-2",
        "cacheNode": "app-1",
    },
    "plain": {"replicas": 0, "replicaNodes": "", "dumpUrl": "none", "encryptedNetworks": "false"},
    "https": {"tls": "selfSigned", "httpsPort": 443},
    "a certificate of its own": {**OWN, "httpsPort": 443},
    "a certificate of a CA": {
        **ACME,
        "acmeDnsProvider": "cloudflare",
        "acmeDnsCredentials": json.dumps({"CLOUDFLARE_DNS_API_TOKEN": "hidden-token"}),
    },
    "backups on SFTP": {
        "backupSchedule": "manual",
        "backupRepository": "sftp:keeper@backup.example.org:/dhis2",
        "backupSshKey": SSH_KEY,
        "backupKnownHosts": f"backup.example.org {PUBLIC_KEY}",
    },
    "backups on S3": {
        "backupSchedule": "manual",
        "backupRepository": "s3:https://s3.example.org/hidden-token",
        "backupAccessKey": "hidden-token",
        "backupSecretKey": "hidden-token",
    },
    "with a login in the address": {"dumpUrl": "https://user:hidden-token@example.org/dump.sql.gz?a=hidden-token"},
    "other systems": {"dhisConf": json.dumps({"some.password": "hidden-token"})},
}
RESTART = {"delay": "5s", "maxAttempts": 0, "window": "0s"}
WRITE_TO_ROOT = ("core-1", "core", "lb")  # the image's own Tomcat, and large uploads
# The form in which the plugin reads durations of services back: without zeros.
DURATION = re.compile(r"(?=.)([1-9]\d*h)?([1-9]\d*m)?([1-9]\d*s)?|0s")


def _container(service: Registered) -> Json:
    container: Json = service.inputs["taskSpec"]["containerSpec"]
    return container


def _memory_is_limited(service: Registered) -> bool:
    resources = service.inputs["taskSpec"]["resources"]
    return bool(resources["limits"] == resources["reservation"] and resources["limits"]["memoryBytes"] >= 32 * 2**20)


def _secrets_are_hidden(service: Registered) -> bool:
    container = _container(service)
    shown = [service.raw, service.inputs["labels"], *(container.get(key) for key in ("env", "commands", "labels"))]
    return not any(secret in visible(value) for secret in HIDDEN for value in shown)


def _has_healthcheck(service: Registered) -> bool:
    if service.name in ONE_SHOT:
        return "healthcheck" not in _container(service)
    health = _container(service)["healthcheck"]
    durations = (health["interval"], health["timeout"], health["startPeriod"])
    return health["tests"][0] == "CMD" and health["retries"] >= 10**6 and all(map(DURATION.fullmatch, durations))


def _mounts_are_bounded(service: Registered) -> bool:
    mounts = _container(service)["mounts"]
    in_memory = [mount["tmpfsOptions"] for mount in mounts if mount["type"] == "tmpfs"]
    paths = [mount["target"] for mount in mounts]
    return (
        {mount["type"] for mount in mounts} <= {"volume", "tmpfs"}
        # In the load balancer with a volume /tmp is on the container's own disk, which takes uploads.
        and {"/var/tmp" if service.name == "lb" and "/certificates" in paths else "/tmp", "/dev/shm"} <= set(paths)  # noqa: S108
        and len(set(paths)) == len(paths)
        and all(0 < options["sizeBytes"] <= 2**30 and options["mode"] == 0o777 for options in in_memory)
    )


def _volumes_are_labelled(service: Registered) -> bool:
    volumes = [mount for mount in _container(service)["mounts"] if mount["type"] == "volume"]
    labels = {mount["source"]: {entry["label"] for entry in mount["volumeOptions"]["labels"]} for mount in volumes}
    return all(
        names == ({"dhis2-cluster.shared"} if source == "dhis2-cluster-dumps" else {"dhis2-cluster.stack"})
        for source, names in labels.items()
    )


def _runs_without_new_privileges(service: Registered) -> bool:
    container = _container(service)
    own = "commands" not in container  # an entrypoint of the image, in which nothing of ours can begin
    return (own and service.name in ("core-1", "core")) or "setpriv --no-new-privs" in container["commands"][2]


RULES: dict[str, tuple[Callable[[Registered], object], str]] = {
    "named for its stack": (
        lambda service: service.inputs["name"] == f"{PREFIX}-{service.name}",
        "two stacks live side by side",
    ),
    "capabilities are dropped": (
        lambda service: _container(service)["capDrops"] == ["ALL"] and not _container(service).get("capAdds"),
        "none is needed",
    ),
    "no new privileges": (_runs_without_new_privileges, "a service has no property for it"),
    "an init process that reaps": (lambda service: _container(service)["init"] is True, "healthchecks leave zombies"),
    "an unprivileged user": (
        lambda service: re.fullmatch(r"([1-9]\d*):\1", _container(service)["user"]),
        "by number, since images name their users differently",
    ),
    "the root file system is read-only": (
        lambda service: _container(service).get("readOnly", False) == (service.name not in WRITE_TO_ROOT),
        "files are configs and secrets",
    ),
    "one environment variable at most": (
        lambda service: len(_container(service).get("env", {})) <= 1,
        "the plugin's order is random, and another order restarts all tasks",
    ),
    "memory is limited and reserved": (_memory_is_limited, "or the swarm fills a node beyond what it has"),
    "logs rotate": (
        lambda service: service.inputs["taskSpec"]["logDriver"]["options"].keys() == {"max-size", "max-file"},
        "a disk full of logs stops the database",
    ),
    "it restarts": (
        lambda service: (
            service.inputs["taskSpec"]["restartPolicy"]
            == {**RESTART, "condition": "none" if service.name in ONE_SHOT else "any"}
        ),
        "an unattended server has to come back; a one-shot container runs once",
    ),
    "it has a healthcheck that ends no task": (_has_healthcheck, "a database that recovers would be killed"),
    "it has time to stop": (
        lambda service: DURATION.fullmatch(_container(service)["stopGracePeriod"]),
        "in the form in which it is read back",
    ),
    "the platforms that a registry adds are no change": (
        lambda service: list(service.request.ignoreChanges) == ["taskSpec.placement.platforms"],
        "all tasks would restart when one answers",
    ),
    "an update stops the old task first": (
        lambda service: (
            service.inputs["updateConfig"]
            == {"parallelism": 1, "order": "stop-first", "failureAction": "pause", "monitor": "5s"}
        ),
        "a node need not have room for both, and two servers must not have one volume",
    ),
    "mounts are volumes and bounded memory": (_mounts_are_bounded, "no node has directories of yours"),
    "volumes have the label of the stack": (_volumes_are_labelled, "`dhis2-cluster` finds them by it"),
    "its containers have labels that stay": (
        lambda service: (
            {entry["label"] for entry in _container(service)["labels"]}
            == {"dhis2-cluster.stack", "dhis2-cluster.service"}
        ),
        "with another value all tasks would restart",
    ),
    "secrets are hidden": (_secrets_are_hidden, "not in env, argv, labels, nor in clear in the state"),
}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("rule", RULES)
def test_every_service_keeps(rule: str, stack: str, built: Run) -> None:
    found = built(**{**ON_SWARM, **STACKS[stack]}).of(SERVICE)
    assert len(found) >= 4, "load balancer, core, cache and primary at least"
    check, reason = RULES[rule]
    assert not [service.name for service in found if not check(service)], reason


def test_no_config_has_a_text_of_a_secret(built: Run) -> None:
    for settings in STACKS.values():
        recorded: Recorded = built(**{**ON_SWARM, **settings})
        shown = " ".join(visible(dict(item.raw)) for item in recorded.resources)
        assert not [secret for secret in HIDDEN if secret in shown]


def test_the_dump_is_fetched_once(built: Run) -> None:
    service = service_of(built(**ON_SWARM), "dump")
    assert service["mode"] == {"replicated": {"replicas": 1}}
    assert "healthcheck" not in service["taskSpec"]["containerSpec"]


@pytest.mark.parametrize(
    ("part", "seconds"), [("core-1", 60), ("primary", 60), ("cache", 20), ("lb", 30), ("dump", 10)]
)
def test_a_task_has_more_time_to_stop_than_the_plugin_takes_for_its_removal(
    built: Run, part: str, seconds: int
) -> None:
    written = container_of(built(**ON_SWARM), part)["stopGracePeriod"]
    assert written == short_duration(seconds + GRACE_SECONDS) and GRACE_SECONDS > 0


def test_the_socket_of_a_server_is_on_a_volume_in_memory_for_the_commands_beside_it(built: Run) -> None:
    mounts = container_of(built(**ON_SWARM), "primary")["mounts"]
    (shared,) = [mount for mount in mounts if mount["target"] == "/var/run/postgresql"]
    assert (shared["type"], shared["source"]) == ("volume", f"{PREFIX}-primary-run")
    driver = shared["volumeOptions"]
    assert (driver["driverName"], driver["driverOptions"]["type"]) == ("local", "tmpfs")
    assert driver["driverOptions"]["o"] == "size=16m,uid=999,gid=999,mode=1770"


def test_a_command_beside_the_backups_knows_whether_their_repository_was_opened(built: Run) -> None:
    mounts = container_of(built(**ON_SWARM, backupSchedule="manual"), "backup")["mounts"]
    (shared,) = [mount for mount in mounts if mount["target"] == "/tmp"]  # noqa: S108 - in the container
    assert (shared["type"], shared["source"]) == ("volume", f"{PREFIX}-backup-run")
    assert shared["volumeOptions"]["driverOptions"]["o"] == "size=64m,uid=65534,gid=65534,mode=1770"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(5, "5s"), (10, "10s"), (60, "1m"), (90, "1m30s"), (600, "10m"), (3600, "1h"), (3605, "1h0m5s"), (5400, "1h30m")],
)
def test_durations_are_written_as_they_are_read_back(seconds: int, written: str) -> None:
    assert short_duration(seconds) == written
