"""What each container of a stack has and the others have not, as tables: mounts, files, ends, checks, labels."""

import asyncio

import pytest

from tests.unit.program import IMAGE, NETWORK, PREFIX, VOLUME, Recorded, Registered, Run

FILES = "/opt/dhis2-cluster"
PARTS = ("lb", "core-1", "core-2", "cache", "primary", "replica-1", "dump")


@pytest.fixture
def stack(built: Run) -> Recorded:
    return built(cores=2, replicas=1)


def names(stack: Recorded, kind: str) -> dict[str, str]:
    """The Docker names of a kind's objects -> what they are called here."""
    return {each.inputs["name"]: each.name for each in stack.of(kind)}


# part -> path -> the volume there, and whether it can only be read
MOUNTS: dict[str, dict[str, tuple[str, bool]]] = {
    "lb": {},
    "core-1": {"/opt/dhis2/files": ("files", False), "/var/tmp": ("files", False)},  # noqa: S108
    "core-2": {"/opt/dhis2/files": ("files", False), "/var/tmp": ("files", False)},  # noqa: S108
    "cache": {"/data": ("cache-data", False)},
    "primary": {"/var/lib/postgresql": ("primary-data", False), "/dumps": ("dumps", True)},
    "replica-1": {"/var/lib/postgresql": ("replica-1-data", False)},
    "dump": {"/var/tmp": ("dumps", False)},  # noqa: S108
}


@pytest.mark.parametrize("part", PARTS)
def test_data_is_where_it_outlives_the_container(stack: Recorded, part: str) -> None:
    volumes = names(stack, VOLUME)
    mounts = {
        each["target"]: (volumes[each["source"]], each.get("readOnly", False))
        for each in stack.container(part).inputs.get("mounts", [])
    }
    assert mounts == MOUNTS[part], "what is written elsewhere is gone with the container"


def test_every_mount_is_a_volume(stack: Recorded) -> None:
    kinds = {mount["type"] for each in stack.containers for mount in each.inputs.get("mounts", [])}
    assert kinds == {"volume"}, "the engine may be on another machine, without our folders"


# part -> the files put into it that only have to be read, then those that are run
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
            f"{FILES}/generation",
        },
        {f"{FILES}/health.sh"},
    ),
    "cache": ({f"{FILES}/valkey.conf", f"{FILES}/secrets/cache-password"}, {f"{FILES}/health.sh"}),
    "replica-1": (
        {f"{FILES}/{name}" for name in ("postgresql.conf", "pg_hba.conf", "secrets/replication-password")},
        {f"{FILES}/{name}.sh" for name in ("database", "health", "lib", "replica")},
    ),
    "dump": ({f"{FILES}/secrets/dump-url"}, {f"{FILES}/fetch-dump.sh"}),
}


@pytest.mark.parametrize("part", UPLOADS)
def test_a_container_has_the_files_it_needs_and_no_others(stack: Recorded, part: str) -> None:
    uploads = stack.container(part).inputs["uploads"]
    read, run = ({each["file"] for each in uploads if each["permissions"] == mode} for mode in ("0444", "0555"))
    assert (read, run) == UPLOADS[part]


def test_the_primary_has_the_scripts_of_a_primary_only(stack: Recorded) -> None:
    files = {path.removeprefix(f"{FILES}/") for path in stack.container("primary").files}
    assert {"primary.sh", "seed.sh", "load.sh", "generation", "secrets/app-password"} <= files
    assert not {"replica.sh", "fetch-dump.sh"} & files, "a change of another's script would begin it again"


# part -> seconds to end in, and the signal that asks for it
ENDS = {
    "lb": (30, "SIGQUIT"),  # answers what it has begun
    "core-1": (60, "SIGTERM"),
    "cache": (20, "SIGTERM"),
    "primary": (60, "SIGINT"),  # a fast shutdown; SIGTERM waits for every session
    "replica-1": (60, "SIGINT"),
    "dump": (10, "SIGTERM"),
}


@pytest.mark.parametrize("part", ENDS)
def test_a_container_has_the_time_and_the_signal_to_end_in_peace(stack: Recorded, part: str) -> None:
    found = stack.container(part).inputs
    seconds, signal = ENDS[part]
    assert (found["stopTimeout"], found["stopSignal"]) == (seconds, signal), "`docker stop` goes by it"
    assert found["destroyGraceSeconds"] == seconds, "and the plugin by this"
    assert found.get("mustRun", True) == (part != "dump"), "one that may end is not begun again by a refresh"


# part -> user, folders in memory with their size in MB, size of /dev/shm, the command it begins with
PROCESSES: dict[str, tuple[int, dict[str, int], int, list[str] | None]] = {
    "lb": (101, {"/tmp": 16}, 64, ["/bin/sh", f"{FILES}/start.sh"]),  # noqa: S108
    "core-1": (65534, {"/tmp": 64}, 64, None),  # noqa: S108
    "cache": (999, {"/tmp": 16}, 64, ["valkey-server", f"{FILES}/valkey.conf"]),  # noqa: S108
    "primary": (
        999,
        {"/var/run/postgresql": 16, "/tmp": 64},  # noqa: S108
        384,
        ["/bin/sh", f"{FILES}/database.sh", "primary"],
    ),
    "replica-1": (
        999,
        {"/var/run/postgresql": 16, "/tmp": 64},  # noqa: S108
        384,
        ["/bin/sh", f"{FILES}/database.sh", "replica"],
    ),
    "dump": (101, {}, 64, ["/bin/sh", f"{FILES}/fetch-dump.sh"]),
}


@pytest.mark.parametrize("part", PROCESSES)
def test_a_process_has_its_user_and_its_folders_in_memory(stack: Recorded, part: str) -> None:
    found = stack.container(part).inputs
    uid, scratch, shared, entrypoint = PROCESSES[part]
    assert found["user"] == f"{uid}:{uid}"
    options = f"uid={uid},gid={uid},mode=1770"
    assert found.get("tmpfs", {}) == {path: f"{options},size={size}m" for path, size in scratch.items()}, (
        "the user's own, and bounded: what is in them counts as the container's memory"
    )
    assert (found["shmSize"], found.get("entrypoints")) == (shared, entrypoint)
    assert found.get("hostname") == (None if part == "dump" else part), "logs and node.id name it"


# part -> the command of its health check, time-out in seconds
CHECKS: dict[str, tuple[list[str], str]] = {
    "lb": (["curl", "--fail", "--silent", "--max-time", "5", "http://127.0.0.1:8080/lb/health"], "10s"),
    "core-1": (["/bin/sh", f"{FILES}/health.sh"], "15s"),
    "cache": (["/bin/sh", f"{FILES}/health.sh"], "10s"),
    "primary": (["/bin/sh", f"{FILES}/health.sh", "primary"], "10s"),
    "replica-1": (["/bin/sh", f"{FILES}/health.sh", "replica"], "10s"),
}


@pytest.mark.parametrize("part", CHECKS)
def test_health_is_asked_of_the_part_itself(stack: Recorded, part: str) -> None:
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


# part -> what it is told by its environment
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "primary": {"DUMP_CONTAINER": f"{PREFIX}-dump", "KEEP_DATA": "false"},
    "replica-1": {"REPLICA_NAME": "replica-1", "PRIMARY_HOST": "postgres-primary"},
    "core-1": {"DHIS2_HOME": "/opt/dhis2"},
}


@pytest.mark.parametrize("part", ENVIRONMENTS)
def test_a_script_is_told_whom_it_works_with(stack: Recorded, part: str) -> None:
    assert ENVIRONMENTS[part].items() <= stack.container(part).environment.items()


def test_environment_and_labels_keep_one_order(stack: Recorded) -> None:
    for each in stack.containers:
        variables = [entry.split("=")[0] for entry in each.inputs.get("envs", [])]
        labels = [entry["label"] for entry in each.inputs["labels"]]
        assert (variables, labels) == (sorted(variables), sorted(labels)), "another order is a difference"


def test_networks_are_never_made_anew_for_a_label(stack: Recorded) -> None:
    for each in stack.of(NETWORK):
        assert "labels" in each.request.ignoreChanges, "every container in it would be made anew too"


@pytest.mark.parametrize(
    ("gate", "awaited"),
    [("core-1-gate", {"primary", "replica-1", "cache"}), ("replica-1-gate", {"primary"})],
)
def test_a_gate_waits_for_all_that_is_behind_it(run: Run, gate: str, awaited: set[str]) -> None:
    recorded = run(cores=1, replicas=1)
    recorded.watcher.waited.clear()
    asyncio.run(recorded.gates[gate](None))
    assert {each.removeprefix(f"{PREFIX}-") for each in recorded.watcher.waited} == awaited


def test_a_replica_is_made_after_its_primary(stack: Recorded) -> None:
    assert "primary" in stack.container("replica-1").needs, "it is removed before it, too"


def test_dhis2_is_asked_for_an_answer_and_not_for_an_error_page(stack: Recorded) -> None:
    (command,) = stack.watcher.commands
    assert command[0] == "curl" and "--fail" in command, "502 is an answer as well"
    assert command[-1].endswith("/api/ping")


PRIVATE = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


@pytest.mark.parametrize("network", PRIVATE)
def test_a_proxy_on_any_private_network_is_trusted(built: Run, network: str) -> None:
    behind = built(baseUrl="https://dhis2.example.org").container("lb").files[f"{FILES}/nginx.conf"]
    assert f"set_real_ip_from {network};" in behind


def test_all_that_is_made_belongs_to_its_part(stack: Recorded) -> None:
    orphans = [each.name for each in _made(stack) if "dhis2-cluster:index:Cluster" not in each.request.parent]
    assert orphans == [], "`pulumi stack` shows a tree"


def _made(stack: Recorded) -> list[Registered]:
    return [*stack.containers, *stack.of(VOLUME), *stack.of(NETWORK), *stack.of(IMAGE)]
