"""The effect of every setting: where its value arrives. A setting that is read and not used would go unnoticed."""

import re

import pytest

from tests.support.program import CONTAINER, IMAGE, NETWORK, RANDOM_ID, VOLUME, Recorded, Run

DHIS_CONF = "/opt/dhis2/dhis.conf"
DATABASES = {"primary", "replica-1"}
MEMORY = {"coreMemory": 2048, "databaseMemory": 512, "cacheMemory": 128}
IMAGES = {
    "image": "example.org/core:1",
    "databaseImage": "example.org/database:1",
    "cacheImage": "example.org/cache:1",
    "loadBalancerImage": "example.org/balancer:1",
}


def input_of_all(recorded: Recorded, name: str) -> dict[str, object]:
    """Return one input of all containers by name."""
    return {item.name: item.inputs.get(name) for item in recorded.containers}


def java_options(recorded: Recorded) -> list[str]:
    return recorded.container("core-1").environment["JAVA_TOOL_OPTIONS"].split()


def test_memory_limits_reach_their_containers(built: Run) -> None:
    limits = input_of_all(built(**MEMORY), "memory")
    expected = {"core-1": 2048, "primary": 512, "replica-1": 512, "cache": 128}
    assert {name: limits[name] for name in expected} == expected


def test_processes_are_configured_for_their_memory_limit(built: Run) -> None:
    recorded = built(**MEMORY)
    assert "-XX:MaxRAM=2048m" in java_options(recorded), "a running JVM does not notice a changed limit"
    assert "maxmemory 96mb" in recorded.container("cache").files["/opt/dhis2-cluster/valkey.conf"]
    for name in DATABASES:
        found = recorded.container(name)
        assert "shared_buffers = 128MB" in found.files["/opt/dhis2-cluster/postgresql.conf"]
        assert found.inputs["shmSize"] == 128, "parallel queries fail in Docker's 64 MB"


def test_images_reach_their_containers(built: Run) -> None:
    recorded = built(**IMAGES)
    assert {item.name: item.inputs["name"] for item in recorded.of(IMAGE)} == {
        "core-image": IMAGES["image"],
        "database-image": IMAGES["databaseImage"],
        "cache-image": IMAGES["cacheImage"],
        "load-balancer-image": IMAGES["loadBalancerImage"],
    }
    used = input_of_all(recorded, "image")
    assert used == {
        "core-1": "sha256:core-image",
        "primary": "sha256:database-image",
        "replica-1": "sha256:database-image",
        "cache": "sha256:cache-image",
        "lb": "sha256:load-balancer-image",
        "dump": "sha256:load-balancer-image",  # it has curl
    }


@pytest.mark.parametrize(("version", "cached"), [("2.41.4", False), ("2.42.0", True), ("2.43", True), ("dev", True)])
def test_cores_read_system_settings_again_after_a_change_where_they_do_not_share_them(
    built: Run, version: str, cached: bool
) -> None:
    conf = built(version=version).container("lb").files["/opt/dhis2-cluster/nginx.conf"]
    assert ("post_action /lb/settings-changed;" in conf) == cached


@pytest.mark.parametrize(
    ("settings", "version", "image"),
    [
        ({}, "dev", "dhis2/core-dev:latest"),
        ({"version": "43"}, "2.43", "dhis2/core:2.43"),
        ({"image": "dhis2/core:2.43.1"}, "2.43.1", "dhis2/core:2.43.1"),
        ({"version": "2.42", "image": "dhis2/core:2.43.1"}, "2.43.1", "dhis2/core:2.43.1"),
    ],
)
def test_the_outputs_name_the_dhis2_version_and_image(
    built: Run, settings: dict[str, object], version: str, image: str
) -> None:
    outputs = built(**settings).outputs
    assert (outputs["version"], outputs["image"]) == (version, image), "the image decides"


def test_port_and_bind_publish_the_load_balancer(built: Run) -> None:
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
def test_server_base_url_is_the_public_url(built: Run, settings: dict[str, object], address: str) -> None:
    conf = built(**settings).container("core-1").files[DHIS_CONF]
    (line,) = re.findall(r"^server\.base\.url\s*=\s*(.*)$", conf, re.MULTILINE)
    assert line.replace("\\", "") == address, "links in mails use it"


def test_ready_timeout_bounds_the_waits_and_replaces_no_container(built: Run) -> None:
    short, long = built(readyTimeout=60), built(readyTimeout=3600)
    assert [run.called["DockerWatcher"][1] for run in (short, long)] == [60, 3600]
    inputs = [{container.name: container.raw for container in run.containers} for run in (short, long)]
    assert inputs[0] == inputs[1], "a restore or migration under way would begin again"


def test_docker_host_selects_the_docker_engine(built: Run) -> None:
    address = "tcp://192.0.2.1:2376"
    recorded = built(dockerHost=address)
    (provider,) = recorded.of("pulumi:providers:docker")
    assert provider.inputs["host"] == address
    strays = [
        item.name
        for kind in (CONTAINER, IMAGE, NETWORK, VOLUME)
        for item in recorded.of(kind)
        if not item.request.provider.endswith("::docker::docker-id")
    ]
    assert strays == [], "they would be on the local Docker Engine"
    settings, naming, image = recorded.called["check"]
    assert (recorded.called["DockerWatcher"][0], settings.docker_host) == (address, address), (
        "checked where it is deployed"
    )
    assert (naming.prefix, image) == ("dhis2-cluster-test", "dhis2/core-dev:latest")


def test_without_docker_host_the_environment_selects_it(built: Run) -> None:
    recorded = built()
    assert recorded.of("pulumi:providers:docker") == [], "the plugin reads DOCKER_HOST"
    assert recorded.called["DockerWatcher"][0] is None


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("-XX:MaxRAM=3072m", "a changed limit replaces the core"),
        ("-XX:MaxRAMPercentage=70", "threads, classes and buffers need the rest"),
        ("-XX:+ExitOnOutOfMemoryError", "a core out of memory would run on half alive"),
        ("-XX:-HeapDumpOnOutOfMemoryError", "the heap holds people's data"),
        ("-Dsun.net.inetaddr.ttl=5", "a recreated container has another address"),
    ],
)
def test_every_jvm_has(built: Run, option: str, reason: str) -> None:
    assert java_options(built()).count(option) == 1, reason


@pytest.mark.parametrize(("version", "pool"), [("2.42", "c3p0"), ("2.43", "hikari"), ("dev", "hikari")])
def test_c3p0_connections_have_a_maximum_age(built: Run, version: str, pool: str) -> None:
    options = java_options(built(version=version))
    assert ("-Dc3p0.maxConnectionAge=300" in options) == (pool == "c3p0"), "reads would never return to a replica"


def test_without_replicas_no_core_of_the_242_line_leads(built: Run) -> None:
    conf = built(version="2.42", replicas=0).container("core-1").files[DHIS_CONF]
    assert "node.primary_leader" not in conf, "all cores are alike where there is one database"


def test_keep_data_reaches_the_primary_in_lower_case(built: Run) -> None:
    values = [built(keepData=kept).container("primary").environment["KEEP_DATA"] for kept in ("true", "false")]
    assert values == ["true", "false"], "the script compares with true"


def test_the_size_of_the_dump_cache_reaches_the_container_that_fetches_the_dump_and_replaces_no_other(
    built: Run,
) -> None:
    before, after = built(dumpCacheSize="20g"), built(dumpCacheSize=0)
    sizes = [run.container("dump").environment["DUMP_CACHE_MB"] for run in (before, after)]
    assert sizes == ["20480", "0"]
    touched = {item.name for item in after.containers if item.raw != before.container(item.name).raw}
    assert touched == {"dump"}, "the database runs on"


@pytest.mark.parametrize("settings", [{"databaseMemory": 2048}, {"databaseImage": "postgis/postgis:17-3.5"}])
def test_another_database_image_or_memory_keeps_the_data(built: Run, settings: dict[str, object]) -> None:
    before, after = built(), built(**settings)
    trigger = [run.one(RANDOM_ID, "core-replacement").raw for run in (before, after)]
    assert trigger[0] == trigger[1], "no core is replaced"
    volumes = [{item.name: item.raw for item in recorded.of(VOLUME)} for recorded in (before, after)]
    assert volumes[0] == volumes[1], "a replaced volume is empty"
    touched = {item.name for item in after.containers if item.raw != before.container(item.name).raw}
    assert touched <= DATABASES, "users stay logged in"
