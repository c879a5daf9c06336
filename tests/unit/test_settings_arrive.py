"""Each setting does something: where its value arrives. One that is read and forgotten would be missed by nobody."""

import re

import pytest

from tests.unit.program import CONTAINER, IMAGE, NETWORK, RANDOM_ID, VOLUME, Recorded, Run

DHIS_CONF = "/opt/dhis2/dhis.conf"
DATABASES = {"primary", "replica-1"}
MEMORY = {"coreMemory": 2048, "databaseMemory": 512, "cacheMemory": 128}
IMAGES = {
    "image": "example.org/core:1",
    "databaseImage": "example.org/database:1",
    "cacheImage": "example.org/cache:1",
    "loadBalancerImage": "example.org/balancer:1",
}


def of_each(recorded: Recorded, name: str) -> dict[str, object]:
    """One input of all containers."""
    return {each.name: each.inputs.get(name) for each in recorded.containers}


def java_options(recorded: Recorded) -> list[str]:
    return recorded.container("core-1").environment["JAVA_TOOL_OPTIONS"].split()


def test_memory_limits_reach_their_containers(built: Run) -> None:
    limits = of_each(built(**MEMORY), "memory")
    expected = {"core-1": 2048, "primary": 512, "replica-1": 512, "cache": 128}
    assert {name: limits[name] for name in expected} == expected


def test_what_works_in_the_memory_is_told_of_it(built: Run) -> None:
    recorded = built(**MEMORY)
    assert "-XX:MaxRAM=2048m" in java_options(recorded), "a JVM that runs does not notice a changed limit"
    assert "maxmemory 96mb" in recorded.container("cache").files["/opt/dhis2-cluster/valkey.conf"]
    for name in DATABASES:
        found = recorded.container(name)
        assert "shared_buffers = 128MB" in found.files["/opt/dhis2-cluster/postgresql.conf"]
        assert found.inputs["shmSize"] == 128, "parallel queries fail in Docker's 64 MB"


def test_images_reach_their_containers(built: Run) -> None:
    recorded = built(**IMAGES)
    assert {each.name: each.inputs["name"] for each in recorded.of(IMAGE)} == {
        "core-image": IMAGES["image"],
        "database-image": IMAGES["databaseImage"],
        "cache-image": IMAGES["cacheImage"],
        "load-balancer-image": IMAGES["loadBalancerImage"],
    }
    used = of_each(recorded, "image")
    assert used == {
        "core-1": "sha256:core-image",
        "primary": "sha256:database-image",
        "replica-1": "sha256:database-image",
        "cache": "sha256:cache-image",
        "lb": "sha256:load-balancer-image",
        "dump": "sha256:load-balancer-image",  # it has curl
    }


@pytest.mark.parametrize(
    ("settings", "version", "image"),
    [
        ({}, "dev", "dhis2/core-dev:latest"),
        ({"version": "43"}, "2.43", "dhis2/core:2.43"),
        ({"image": "dhis2/core:2.43.1"}, "2.43.1", "dhis2/core:2.43.1"),
        ({"version": "2.42", "image": "dhis2/core:2.43.1"}, "2.43.1", "dhis2/core:2.43.1"),
    ],
)
def test_the_outputs_tell_which_dhis2_runs(built: Run, settings: dict[str, object], version: str, image: str) -> None:
    outputs = built(**settings).outputs
    assert (outputs["version"], outputs["image"]) == (version, image), "the image decides"


def test_port_and_address_are_those_of_the_load_balancer(built: Run) -> None:
    recorded = built(bind="192.0.2.7", port=9000)
    assert recorded.container("lb").inputs["ports"] == [
        {"ip": "192.0.2.7", "external": 9000, "internal": 8080, "protocol": "tcp"}
    ]
    assert recorded.outputs["url"] == "http://192.0.2.7:9000"


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"bind": "192.0.2.7", "port": 9000}, "http://192.0.2.7:9000"),
        ({"baseUrl": "https://dhis2.example.org"}, "https://dhis2.example.org"),
    ],
)
def test_dhis2_is_told_where_people_reach_it(built: Run, settings: dict[str, object], address: str) -> None:
    conf = built(**settings).container("core-1").files[DHIS_CONF]
    (line,) = re.findall(r"^server\.base\.url\s*=\s*(.*)$", conf, re.MULTILINE)
    assert line.replace("\\", "") == address, "links in mails lead there"


def test_the_time_to_become_ready_counts_for_the_engine_too(built: Run) -> None:
    recorded = built(readyTimeout=3600)
    checks = {name: each["startPeriod"] for name, each in of_each(recorded, "healthcheck").items() if each}  # type: ignore[index]
    assert checks == {"core-1": "1h0m0s", "primary": "1h0m0s", "replica-1": "1h0m0s", "cache": "1m0s", "lb": "30s"}, (
        "what takes as long as it may is not sick"
    )
    assert recorded.container("core-1").environment["BOOT_SECONDS"] == "3600", "a core that hangs ends itself then"
    assert recorded.called["Watcher"][1] == 3600
    assert built().called["Watcher"][1] == 900


def test_the_engine_is_the_one_that_is_set(built: Run) -> None:
    address = "tcp://192.0.2.1:2376"
    recorded = built(dockerHost=address)
    (provider,) = recorded.of("pulumi:providers:docker")
    assert provider.inputs["host"] == address
    strays = [
        each.name
        for kind in (CONTAINER, IMAGE, NETWORK, VOLUME)
        for each in recorded.of(kind)
        if not each.request.provider.endswith("::docker::docker-id")
    ]
    assert strays == [], "they would be on the engine of this machine"
    settings, naming, image = recorded.called["check"]
    assert (recorded.called["Watcher"][0], settings.docker_host) == (address, address), "looked at where it is made"
    assert (naming.prefix, image) == ("dhis2-cluster-test", "dhis2/core-dev:latest")


def test_without_a_setting_the_engine_is_the_environments(built: Run) -> None:
    recorded = built()
    assert recorded.of("pulumi:providers:docker") == [], "DOCKER_HOST counts for plain pulumi"
    assert recorded.called["Watcher"][0] is None


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("-XX:MaxRAM=3072m", "a changed limit makes a new core"),
        ("-XX:MaxRAMPercentage=70", "threads, classes and buffers need the rest"),
        ("-XX:+ExitOnOutOfMemoryError", "a core out of memory would go on half alive"),
        ("-XX:-HeapDumpOnOutOfMemoryError", "what it held is people's data"),
        ("-Dsun.net.inetaddr.ttl=5", "a container made anew has another address"),
    ],
)
def test_every_jvm_has(built: Run, option: str, reason: str) -> None:
    assert java_options(built()).count(option) == 1, reason


@pytest.mark.parametrize(("version", "pool"), [("2.42", "c3p0"), ("2.43", "hikari"), ("dev", "hikari")])
def test_connections_to_the_primary_end_where_the_pool_has_no_key_for_it(built: Run, version: str, pool: str) -> None:
    options = java_options(built(version=version))
    assert ("-Dc3p0.maxConnectionAge=300" in options) == (pool == "c3p0"), "reads would never return to a replica"


def test_only_beside_replicas_one_core_of_the_242_line_leads(built: Run) -> None:
    conf = built(version="2.42", replicas=0).container("core-1").files[DHIS_CONF]
    assert "node.primary_leader" not in conf, "all cores are alike where there is one database"


def test_kept_data_is_told_to_the_primary_as_its_script_reads_it(built: Run) -> None:
    told = [built(keepData=kept).container("primary").environment["KEEP_DATA"] for kept in ("true", "false")]
    assert told == ["true", "false"], "the script knows no capitals"


@pytest.mark.parametrize("settings", [{"databaseMemory": 2048}, {"databaseImage": "postgis/postgis:17-3.5"}])
def test_other_databases_keep_their_data(built: Run, settings: dict[str, object]) -> None:
    before, after = built(), built(**settings)
    for kind, name in ((RANDOM_ID, "seed"), (RANDOM_ID, "generation")):
        assert before.one(kind, name).raw == after.one(kind, name).raw, "nothing is loaded anew"
    volumes = [{each.name: each.raw for each in recorded.of(VOLUME)} for recorded in (before, after)]
    assert volumes[0] == volumes[1], "a volume made anew is empty"
    touched = {each.name for each in after.containers if each.raw != before.container(each.name).raw}
    assert touched <= DATABASES, "users stay logged in"
