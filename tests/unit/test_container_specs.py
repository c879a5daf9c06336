"""What differs from container to container, as tables: mounts, files, stop timeouts, healthchecks, labels."""

import asyncio

import pytest

from tests.support.program import NETWORK, PREFIX, VOLUME, Recorded, Run

FILES = "/opt/dhis2-cluster"
PARTS = ("lb", "core-1", "core-2", "cache", "primary", "replica-1", "dump")


@pytest.fixture
def stack(built: Run) -> Recorded:
    return built(cores=2, replicas=1)


def names(stack: Recorded, kind: str) -> dict[str, str]:
    """Return the logical names of a kind's objects by Docker name."""
    return {item.inputs["name"]: item.name for item in stack.of(kind)}


# part -> path -> the volume there, and whether it can only be read
MOUNTS: dict[str, dict[str, tuple[str, bool]]] = {
    "lb": {},
    "core-1": {"/opt/dhis2/files": ("files", False), "/var/tmp": ("files", False)},  # noqa: S108
    "core-2": {"/opt/dhis2/files": ("files", False), "/var/tmp": ("files", False)},  # noqa: S108
    "cache": {"/data": ("cache-data", False)},
    "primary": {"/var/lib/postgresql": ("primary-data", False), "/dumps": ("dumps", False)},
    "replica-1": {"/var/lib/postgresql": ("replica-1-data", False)},
    "dump": {"/var/tmp": ("dumps", False)},  # noqa: S108
}


@pytest.mark.parametrize("part", PARTS)
def test_data_is_on_volumes(stack: Recorded, part: str) -> None:
    volumes = names(stack, VOLUME)
    mounts = {
        item["target"]: (volumes[item["source"]], item.get("readOnly", False))
        for item in stack.container(part).inputs.get("mounts", [])
    }
    assert mounts == MOUNTS[part], "data elsewhere is lost with the container"


def test_every_mount_is_a_volume(stack: Recorded) -> None:
    kinds = {mount["type"] for item in stack.containers for mount in item.inputs.get("mounts", [])}
    assert kinds == {"volume"}, "a remote Docker Engine has no local directories"


# part -> uploaded files that are read, then those that are executed
UPLOADS: dict[str, tuple[set[str], set[str]]] = {
    "lb": (
        {f"{FILES}/{name}" for name in ("nginx.conf", "status.conf", "pages/starting.html", "pages/starting.json")},
        {f"{FILES}/start.sh"},
    ),
    "core-1": (
        {
            "/opt/dhis2/dhis.conf",
            "/usr/local/tomcat/conf/server.xml",
            "/usr/local/tomcat/conf/logging.properties",
            "/usr/local/tomcat/bin/setenv.sh",
        },
        {f"{FILES}/{name}.sh" for name in ("health", "probe", "watchdog")},
    ),
    "cache": (
        {f"{FILES}/valkey.conf", f"{FILES}/secrets/cache-password"},
        {f"{FILES}/{name}.sh" for name in ("start", "health", "client")},
    ),
    "replica-1": (
        {f"{FILES}/{name}" for name in ("postgresql.conf", "pg_hba.conf", "secrets/replication-password")},
        {f"{FILES}/{name}.sh" for name in ("database", "environment", "health", "lib", "replica", "standby-checks")},
    ),
    "dump": ({f"{FILES}/secrets/dump-url"}, {f"{FILES}/fetch-dump.sh", f"{FILES}/dump-cache.sh"}),
}


@pytest.mark.parametrize("part", UPLOADS)
def test_a_container_has_the_files_it_needs_and_no_others(stack: Recorded, part: str) -> None:
    uploads = stack.container(part).inputs["uploads"]
    read, run = ({item["file"] for item in uploads if item["permissions"] == mode} for mode in ("0444", "0555"))
    assert (read, run) == UPLOADS[part]


def test_the_primary_has_the_scripts_of_a_primary_only(stack: Recorded) -> None:
    files = {path.removeprefix(f"{FILES}/") for path in stack.container("primary").files}
    assert {"primary.sh", "secrets/app-password"} <= files
    assert not {"replica.sh", "fetch-dump.sh"} & files, "a change of their scripts would replace the primary"


# part -> stop timeout in seconds, stop signal
STOPS = {
    "lb": (30, "SIGQUIT"),  # finishes its requests
    "core-1": (60, "SIGTERM"),
    "cache": (20, "SIGTERM"),
    "primary": (60, "SIGINT"),  # a fast shutdown; SIGTERM waits for every session
    "replica-1": (60, "SIGINT"),
    "dump": (10, "SIGTERM"),
}


@pytest.mark.parametrize("part", STOPS)
def test_a_container_has_its_stop_signal_and_stop_timeout(stack: Recorded, part: str) -> None:
    found = stack.container(part).inputs
    seconds, signal = STOPS[part]
    assert (found["stopTimeout"], found["stopSignal"]) == (seconds, signal), "`docker stop` uses it"
    assert found["destroyGraceSeconds"] == seconds, "and the plugin this"
    assert found.get("mustRun", True) == (part != "dump"), "a refresh does not restart a completed one-shot container"


# part -> user, tmpfs mounts with their size in MB, size of /dev/shm, entrypoint
PROCESSES: dict[str, tuple[int, dict[str, int], int, list[str] | None]] = {
    "lb": (101, {"/tmp": 16}, 64, ["/bin/sh", f"{FILES}/start.sh"]),  # noqa: S108
    "core-1": (65534, {"/tmp": 64}, 64, None),  # noqa: S108
    "cache": (999, {"/tmp": 16}, 64, ["/bin/sh", f"{FILES}/start.sh"]),  # noqa: S108
    "primary": (
        999,
        {"/var/run/postgresql": 16, "/tmp": 64},  # noqa: S108
        384,
        ["/bin/bash", f"{FILES}/database.sh", "primary"],
    ),
    "replica-1": (
        999,
        {"/var/run/postgresql": 16, "/tmp": 64},  # noqa: S108
        384,
        ["/bin/bash", f"{FILES}/database.sh", "replica"],
    ),
    "dump": (101, {}, 64, ["/bin/sh", f"{FILES}/fetch-dump.sh"]),
}


@pytest.mark.parametrize("part", PROCESSES)
def test_a_process_has_its_user_tmpfs_and_entrypoint(stack: Recorded, part: str) -> None:
    found = stack.container(part).inputs
    uid, tmpfs, shared, entrypoint = PROCESSES[part]
    assert found["user"] == f"{uid}:{uid}"
    options = f"uid={uid},gid={uid},mode=1770"
    assert found.get("tmpfs", {}) == {path: f"{options},size={size}m" for path, size in tmpfs.items()}, (
        "owned by the user, and bounded: their content counts as the container's memory"
    )
    assert (found["shmSize"], found.get("entrypoints")) == (shared, entrypoint)
    assert found.get("hostname") == (None if part == "dump" else part), "logs and node.id name it"


# part -> healthcheck command, timeout
CHECKS: dict[str, tuple[list[str], str]] = {
    "lb": (["curl", "--fail", "--silent", "--max-time", "5", "http://127.0.0.1:8080/lb/health"], "10s"),
    "core-1": (["/bin/bash", f"{FILES}/health.sh"], "10s"),
    "cache": (["/bin/sh", f"{FILES}/health.sh"], "10s"),
    "primary": (["/bin/sh", f"{FILES}/health.sh", "primary"], "10s"),
    "replica-1": (["/bin/sh", f"{FILES}/health.sh", "replica"], "10s"),
}


@pytest.mark.parametrize("part", CHECKS)
def test_a_healthcheck_probes_its_own_part(stack: Recorded, part: str) -> None:
    command, timeout = CHECKS[part]
    found = stack.container(part).inputs["healthcheck"]
    assert (found["tests"], found["timeout"], found["interval"]) == (["CMD", *command], timeout, "5s")


# part -> the service `docker compose` shows, and its number
SERVICES = {
    "lb": ("lb", "1"),
    "core-1": ("core", "1"),
    "core-2": ("core", "2"),
    "cache": ("cache", "1"),
    "primary": ("postgres-primary", "1"),
    "replica-1": ("postgres-replica", "1"),
    "dump": ("dump", "1"),
}


@pytest.mark.parametrize("part", SERVICES)
def test_compose_finds_the_container_of_a_service(stack: Recorded, part: str) -> None:
    labels = {key: value for key, value in stack.container(part).labels.items() if "compose" in key}
    service, number = SERVICES[part]
    prefix = "com.docker.compose."
    assert labels == {
        f"{prefix}project": PREFIX,
        f"{prefix}service": service,
        f"{prefix}container-number": number,
        f"{prefix}oneoff": "False",
        f"{prefix}config-hash": service,
    }, "`docker compose ps` lists none without"


# part -> environment
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "primary": {"DUMP_CONTAINER": f"{PREFIX}-dump", "KEEP_DATA": "false"},
    "replica-1": {"REPLICA_NAME": "replica-1", "PRIMARY_HOST": "postgres-primary"},
    "core-1": {"DHIS2_HOME": "/opt/dhis2"},
}


@pytest.mark.parametrize("part", ENVIRONMENTS)
def test_a_script_has_its_peers_in_the_environment(stack: Recorded, part: str) -> None:
    assert ENVIRONMENTS[part].items() <= stack.container(part).environment.items()


def test_environment_and_labels_are_sorted(stack: Recorded) -> None:
    for item in stack.containers:
        variables = [entry.split("=")[0] for entry in item.inputs.get("envs", [])]
        labels = [entry["label"] for entry in item.inputs["labels"]]
        assert (variables, labels) == (sorted(variables), sorted(labels)), "another order is a diff"


@pytest.mark.parametrize(
    ("mtu", "options"), [(1450, {"com.docker.network.driver.mtu": "1450"}), (1500, None), (65535, None)]
)
def test_networks_have_the_mtu_of_the_daemon(run: Run, mtu: int, options: dict[str, str] | None) -> None:
    recorded = run(mtu=mtu)
    assert [network.inputs.get("options") for network in recorded.of(NETWORK)] == [options] * 3, (
        "packets that are too large for the host's link are lost"
    )


def test_networks_are_never_replaced_for_a_label(stack: Recorded) -> None:
    for item in stack.of(NETWORK):
        assert "labels" in item.request.ignoreChanges, "all their containers would be replaced too"


@pytest.mark.parametrize(
    ("gate", "targets"),
    [("core-1-gate", {"primary", "replica-1", "cache"}), ("replica-1-gate", {"primary"})],
)
def test_a_gate_waits_for_all_backends(run: Run, gate: str, targets: set[str]) -> None:
    recorded = run(cores=1, replicas=1)
    recorded.watcher.waited.clear()
    asyncio.run(recorded.gates[gate](None))
    assert {item.removeprefix(f"{PREFIX}-") for item in recorded.watcher.waited} == targets


def test_a_replica_is_created_after_its_primary(stack: Recorded) -> None:
    assert "primary" in stack.container("replica-1").needs, "and deleted before it"


def test_up_ends_with_a_successful_ping_not_with_an_error_page(stack: Recorded) -> None:
    (command,) = stack.watcher.commands
    assert command[0] == "curl" and "--fail" in command, "502 is a response as well"
    assert command[-1].endswith("/api/ping")
