"""Preflight: Docker Engine, its memory, the port and the images, before anything is registered."""

import http.server
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound, NotFound

from components import preflight
from components.dhis2.dump_source import resolve_dump_source
from components.dhis2.release import resolve_release
from components.memory import needed_mb
from components.naming import DUMP_CACHE_VOLUME, Naming
from components.orchestrator import engine_info
from components.preflight import IMAGES, PreflightError, check, check_disk
from components.settings import images
from components.settings.parsing import parse_settings
from tests.support.ports import LOOPBACK, free_port

NAMING = Naming("dhis2-cluster", "test")


class Engine:
    """A Docker Engine with so much memory and these running containers; `info` overrides what it reports."""

    def __init__(
        self,
        memory_mb: int = 64_000,
        containers: list[dict[str, Any]] | None = None,
        *,
        unknown: str = "",
        error: str = "",
        platforms: tuple[str, ...] = (),
        architecture: str = "amd64",
        component: str = "Engine",
        subnets: tuple[str, ...] = (),
        names: tuple[str, ...] = (),
        here: tuple[str, ...] = (),
        volumes: tuple[str, ...] = (),
        dump_cache_bytes: int | None = None,
        mtu: str | None = None,
        **info: object,
    ) -> None:
        self.api, self._containers, self._component = self, containers or [], component
        self._unknown, self._error, self._platforms, self._architecture = unknown, error, platforms, architecture
        self._volumes, self._here, self._dump_cache_bytes = volumes, here, dump_cache_bytes
        self._info = {"MemTotal": memory_mb * 2**20, "ServerVersion": "28.2.2", **info}
        options = {"com.docker.network.driver.mtu": mtu} if mtu else {}
        self._networks: list[dict[str, Any]] = [{"Name": "bridge", "Options": options}]
        self._networks += [{"Name": name} for name in names]
        self._networks += [{"Name": subnet, "IPAM": {"Config": [{"Subnet": subnet}]}} for subnet in subnets]

    def info(self) -> dict[str, Any]:
        return self._info

    def version(self) -> dict[str, Any]:
        return {"Arch": self._architecture, "Components": [{"Name": self._component}]}

    def containers(self) -> list[dict[str, Any]]:
        return self._containers

    def networks(self) -> list[dict[str, Any]]:
        return self._networks

    def inspect_volume(self, name: str) -> None:
        if name not in self._volumes:
            raise NotFound("no such volume")

    def df(self) -> dict[str, Any]:
        usage = {"Size": self._dump_cache_bytes} if self._dump_cache_bytes is not None else None
        others = {"Name": "other", "UsageData": {"Size": 10**12}}
        return {"Volumes": [others, {"Name": DUMP_CACHE_VOLUME, "UsageData": usage}]}

    @property
    def images(self) -> "Engine":
        return self

    def get(self, image: str) -> SimpleNamespace:
        if image not in self._here and image.startswith(("valkey", self._unknown or "valkey")):
            raise ImageNotFound("no such image")
        return SimpleNamespace(attrs={"Architecture": self._architecture})

    def inspect_distribution(self, image: str) -> dict[str, Any]:
        if self._error and image.startswith(self._unknown):
            raise APIError("500", explanation=self._error)
        return {"Platforms": [{"architecture": platform} for platform in self._platforms]}


def publishing(name: str, port: int | None, address: str = LOOPBACK, protocol: str = "tcp") -> dict[str, Any]:
    published = {"IP": address, "PublicPort": port, "PrivatePort": 8080, "Type": protocol}
    return {"Names": [f"/{name}"], "Ports": [published]}


def problem(monkeypatch: pytest.MonkeyPatch, engine: Engine, **settings: object) -> str:
    """Return the message of preflight, empty when it passes."""
    monkeypatch.setattr(engine_info, "connect", lambda _: engine)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    try:
        check(parse_settings(dict(settings)), NAMING, str(settings.get("image", "dhis2/core:2.42")))
    except PreflightError as error:
        assert "\n" not in str(error), "one line is read, a page is skipped"
        return str(error)
    return ""


@pytest.fixture(name="free_port")
def port_that_is_free() -> int:
    return free_port()


def test_a_free_port_and_enough_memory_pass(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    assert problem(monkeypatch, Engine(), port=free_port) == ""


def test_a_docker_engine_that_is_down_is_reported_with_its_start_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: object) -> None:
        raise ConnectionRefusedError("Connection refused")

    monkeypatch.setattr(engine_info, "connect", refuse)
    with pytest.raises(PreflightError, match=r"ssh://me@there does not answer: .*refused.*systemctl start docker"):
        check(parse_settings({"dockerHost": "ssh://me@there"}), NAMING, "dhis2/core:2.42")


def test_a_port_in_use_by_a_program_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as busy:
        busy.bind((LOOPBACK, 0))
        busy.listen()
        port = busy.getsockname()[1]
        message = problem(monkeypatch, Engine(), port=port)
    assert f"port {port} on {LOOPBACK} is in use by another program" in message
    assert f"pulumi config set port {port + 1}" in message


@pytest.mark.parametrize("address", [LOOPBACK, "0.0.0.0", "::"])  # noqa: S104 - an answer of Docker Engine
def test_a_container_on_the_port_is_named(monkeypatch: pytest.MonkeyPatch, address: str, free_port: int) -> None:
    engine = Engine(containers=[publishing("foreign", free_port, address)])
    assert "in use by the container foreign" in problem(monkeypatch, engine, port=free_port)


def test_a_container_on_another_address_is_no_conflict(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    engine = Engine(containers=[publishing("foreign", free_port, "192.0.2.7")])
    assert problem(monkeypatch, engine, port=free_port) == ""


def test_a_container_on_another_port_is_no_conflict(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    for port in (free_port + 1, None):
        engine = Engine(containers=[publishing("foreign", port)])
        assert problem(monkeypatch, engine, port=free_port) == ""


def test_a_udp_port_is_no_conflict(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    engine = Engine(containers=[publishing("foreign", free_port, protocol="udp")])
    assert problem(monkeypatch, engine, port=free_port) == ""


def test_a_local_port_is_not_checked_for_a_remote_docker_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as busy:
        busy.bind((LOOPBACK, 0))
        busy.listen()
        assert problem(monkeypatch, Engine(), port=busy.getsockname()[1], dockerHost="ssh://me@there") == ""


def test_an_ipv6_port_in_use_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with socket.socket(socket.AF_INET6) as busy:
        try:
            busy.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        busy.listen()
        port = busy.getsockname()[1]
        assert f"port {port} on ::1 is in use" in problem(monkeypatch, Engine(), port=port, bind="::1")


def test_a_port_in_time_wait_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        server.bind((LOOPBACK, 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # first, so that the system keeps the server's end for a minute
            assert client.recv(1) == b""
    assert problem(monkeypatch, Engine(), port=port) == "", "`down` and `up` follow each other"


def test_the_stacks_own_load_balancer_may_keep_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as ours:
        ours.bind((LOOPBACK, 0))
        ours.listen()
        port = ours.getsockname()[1]
        engine = Engine(containers=[publishing("dhis2-cluster-test-lb", port)])
        assert problem(monkeypatch, engine, port=port) == "", "or no second up would pass"


def test_an_address_of_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    message = problem(monkeypatch, Engine(), port=free_port, bind="192.0.2.7")
    assert "192.0.2.7 is no address of this machine" in message


@pytest.mark.parametrize(
    ("engine_mb", "settings", "fix"),
    [
        (10000, {"cores": 4}, "less: pulumi config set cores 2"),
        (8000, {"replicas": 4}, "less: pulumi config set replicas 1"),
        (6000, {"replicas": 4, "coreMemory": 2048}, "less: pulumi config set replicas 1"),
        (6000, {"cores": 1}, "less: pulumi config set replicas 0"),
        (6000, {"replicas": 0, "coreMemory": 6000}, "less: pulumi config set coreMemory 3776"),
        (
            4000,
            {"cores": 3},
            "less: pulumi config set cores 1 && pulumi config set replicas 0 && pulumi config set coreMemory 1792",
        ),
        (2000, {}, "a larger machine: pulumi config set dockerHost ssh://user@host"),
    ],
)
def test_too_little_memory_is_refused_with_settings_that_fit(
    monkeypatch: pytest.MonkeyPatch, engine_mb: int, settings: dict[str, object], fix: str
) -> None:
    message = problem(monkeypatch, Engine(memory_mb=engine_mb), **settings)
    assert message.endswith(f"Use {fix}")
    assert f"{engine_mb} MB" in message
    proposed = dict(command.split()[3:5] for command in fix.partition(": ")[2].split(" && "))
    again = problem(
        monkeypatch, Engine(memory_mb=64_000 if "dockerHost" in proposed else engine_mb), **settings | proposed
    )
    assert "MB of memory" not in again, "the proposed settings fit"


def test_a_docker_engine_that_reports_no_memory_passes(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    assert problem(monkeypatch, Engine(memory_mb=0), port=free_port) == "", "some report 0"


def test_all_memory_limits_are_added_up() -> None:
    settings = parse_settings(
        {"cores": 2, "coreMemory": 1000, "replicas": 1, "databaseMemory": 500, "cacheMemory": 100}
    )
    assert needed_mb(settings) == 2 * 1000 + 2 * 500 + 100 + 256 + 128


@pytest.mark.parametrize(
    ("image", "setting"),
    [("dhis2/core", "version"), ("postgres", "databaseImage"), ("nginx", "loadBalancerImage"), ("mine", "image")],
)
def test_an_image_that_cannot_be_pulled_is_named_with_its_setting(
    monkeypatch: pytest.MonkeyPatch, free_port: int, image: str, setting: str
) -> None:
    engine = Engine(unknown=image, error=f"Get https://registry/v2/: dial tcp: lookup {image}: no such host")
    chosen = {"databaseImage": "postgres:17"} | ({"image": "mine:2.42"} if image == "mine" else {})
    message = problem(monkeypatch, engine, port=free_port, **chosen)
    assert f"cannot be pulled: {image}:" in message and "(no such host)" in message
    assert f"pulumi config set {setting} …" in message


def test_a_tag_without_the_digest_on_the_docker_host_is_named(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    tagged, digest = "valkey/valkey:8", "sha256:" + "1" * 64
    engine = Engine(unknown="valkey", error="lookup registry: no such host", here=(tagged,))
    message = problem(monkeypatch, engine, port=free_port, cacheImage=f"{tagged}@{digest}")
    assert f"{tagged}@{digest} (no such host; the host has {tagged} without this digest)" in message
    message = problem(monkeypatch, Engine(unknown="valkey", error="no such host"), cacheImage=f"{tagged}@{digest}")
    assert "without this digest" not in message


@pytest.mark.parametrize("error", ["lookup registry: no such host", "request timed out"])
def test_a_default_image_that_was_loaded_without_its_digest_is_used_by_its_tag(
    monkeypatch: pytest.MonkeyPatch, free_port: int, error: str
) -> None:
    tagged = images.CACHE.partition("@")[0]
    monkeypatch.setattr(engine_info, "connect", lambda _: Engine(unknown="valkey", error=error, here=(tagged,)))
    checked, settings = check(parse_settings({"port": free_port}), NAMING, "dhis2/core:2.42")
    assert settings.cache_image == tagged and settings.load_balancer_image == images.LOAD_BALANCER
    assert [warning.rpartition(": ")[2] for warning in checked.warnings] == [f"pulumi config set cacheImage {tagged}"]


def test_any_default_image_may_be_loaded_without_its_digest() -> None:
    assert set(IMAGES.values()) == {image for name, image in vars(images).items() if name.isupper()}


def test_a_default_image_that_can_be_pulled_is_used_by_its_digest(
    monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    tagged = images.CACHE.partition("@")[0]
    monkeypatch.setattr(engine_info, "connect", lambda _: Engine(unknown="valkey", here=(tagged,)))
    checked, settings = check(parse_settings({"port": free_port}), NAMING, "dhis2/core:2.42")
    assert (settings.cache_image, checked.warnings) == (images.CACHE, ())


def test_a_slow_registry_is_no_error(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    assert problem(monkeypatch, Engine(unknown="nginx", error="request timed out"), port=free_port) == ""


@pytest.mark.parametrize(
    ("engine", "message", "fix"),
    [
        (Engine(component="Podman Engine"), "is Podman", "pulumi config set dockerHost"),
        (Engine(DockerRootDir="/var/snap/docker/common/var-lib-docker"), "as a snap", "snap remove docker"),
        (Engine(ServerVersion="20.10.5+dfsg1"), "Docker Engine 20.10.5 is older than 20.10.10", "--only-upgrade"),
        (Engine(ServerVersion="19.03"), "Docker Engine 19.03 is older than 20.10.10", "--only-upgrade"),
    ],
    ids=["podman", "snap", "20.10.5", "19.03"],
)
def test_a_docker_engine_that_cannot_run_the_stack_is_refused(
    monkeypatch: pytest.MonkeyPatch, free_port: int, engine: Engine, message: str, fix: str
) -> None:
    refused = problem(monkeypatch, engine, port=free_port)
    assert message in refused and fix in refused


@pytest.mark.parametrize("version", ["20.10.10", "20.10.24+dfsg1", "29.0.1-rc.1", ""])
def test_a_docker_engine_that_is_new_enough_passes(
    monkeypatch: pytest.MonkeyPatch, free_port: int, version: str
) -> None:
    assert problem(monkeypatch, Engine(ServerVersion=version), port=free_port) == ""


# Of the 31 subnets of a daemon's default pools.
ALL_BUT_TWO = (
    *(f"172.{second}.0.0/16" for second in range(17, 32)),
    *(f"192.168.{third}.0/20" for third in range(0, 224, 16)),
)


def test_exhausted_address_pools_are_reported(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    message = problem(monkeypatch, Engine(subnets=ALL_BUT_TWO), port=free_port)
    assert "subnets for 2 more networks, and the stack needs 3" in message
    assert "docker network prune" in message


def test_the_stacks_own_networks_need_no_more_subnets(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    engine = Engine(subnets=ALL_BUT_TWO, names=(NAMING.of("edge"), NAMING.of("app")))
    assert problem(monkeypatch, engine, port=free_port) == "", "or no second up would pass"


def test_configured_address_pools_are_counted(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    pools = [{"Base": "10.200.0.0/16", "Size": 24}]
    assert problem(monkeypatch, Engine(subnets=ALL_BUT_TWO, DefaultAddressPools=pools), port=free_port) == ""
    small = Engine(subnets=("10.200.0.0/24",), DefaultAddressPools=[{"Base": "10.200.0.0/23", "Size": 24}])
    assert "subnets for 1 more networks" in problem(monkeypatch, small, port=free_port)


def test_an_image_without_the_architecture_is_reported(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    engine = Engine(unknown="nginx", platforms=("arm64", "unknown"))
    message = problem(monkeypatch, engine, port=free_port)
    assert "(built for arm64 only, and this Docker Engine runs on amd64)" in message
    assert "pulumi config set loadBalancerImage …" in message


def test_docker_desktop_emulates_other_architectures(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    engine = Engine(unknown="nginx", platforms=("amd64",), architecture="arm64", OperatingSystem="Docker Desktop")
    assert problem(monkeypatch, engine, port=free_port) == ""


@pytest.mark.parametrize(("options", "warnings"), [(["name=rootless"], 1), (["name=seccomp,profile=default"], 0)])
def test_rootless_docker_is_warned_about(
    monkeypatch: pytest.MonkeyPatch, free_port: int, options: list[str], warnings: int
) -> None:
    monkeypatch.setattr(engine_info, "connect", lambda _: Engine(SecurityOptions=options))
    checked, _ = check(parse_settings({"port": free_port}), NAMING, "dhis2/core:2.42")
    assert len(checked.warnings) == warnings, "the login rate limit counts addresses"


@pytest.mark.parametrize(("mtu", "expected"), [("1450", 1450), (None, 1500)])
def test_the_mtu_of_the_daemon_is_followed(
    monkeypatch: pytest.MonkeyPatch, free_port: int, mtu: str | None, expected: int
) -> None:
    monkeypatch.setattr(engine_info, "connect", lambda _: Engine(mtu=mtu))
    assert check(parse_settings({"port": free_port}), NAMING, "dhis2/core:2.42")[0].mtu == expected


DUMP_BYTES, FREE_BYTES = 50_000_000, 1_000_000_000


@pytest.fixture
def dump_server() -> Iterator[str]:
    """The address of a web server that has a dump of DUMP_BYTES; `/slow` and `/missing` are others."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            if self.path.startswith("/slow"):
                time.sleep(30)
            guarded = self.path.startswith("/guarded") and self.headers["Authorization"] != "Basic dTpw"
            self.send_response(404 if self.path.startswith("/missing") else 401 if guarded else 200)
            self.send_header("Content-Length", str(DUMP_BYTES))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"{LOOPBACK}:{server.server_port}"
    server.shutdown()
    server.server_close()


def disk_problem(
    monkeypatch: pytest.MonkeyPatch,
    dump_url: str,
    folder: Path,
    volumes: tuple[str, ...] = (),
    dump_cache_bytes: int | None = None,
    **settings: object,
) -> str:
    """Return the message about the disk, empty when the databases fit; FREE_BYTES are free."""
    engine = Engine(DockerRootDir=str(folder), volumes=volumes, dump_cache_bytes=dump_cache_bytes)
    monkeypatch.setattr(engine_info, "connect", lambda _: engine)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    real = os.statvfs

    def statvfs(path: str) -> SimpleNamespace:
        real(path)
        return SimpleNamespace(f_bavail=FREE_BYTES // 4096, f_frsize=4096)

    monkeypatch.setattr(os, "statvfs", statvfs)
    parsed = parse_settings({"dumpUrl": dump_url, **settings})
    dump = resolve_dump_source(resolve_release("2.42", None, parsed.dump_url))
    info = engine_info.engine_info(parsed.docker_host, set())
    try:
        check_disk(parsed, NAMING, dump, info)
    except PreflightError as error:
        return str(error)
    return ""


def test_a_disk_too_small_for_the_dump_is_refused_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dump_server: str
) -> None:
    message = disk_problem(monkeypatch, f"http://{dump_server}/x.sql.gz", tmp_path, replicas=4)
    assert "needs at least 1250 MB for 5 databases" in message and "has 999 MB free" in message
    assert "docker system prune" in message and "\n" not in message
    assert disk_problem(monkeypatch, f"http://{dump_server}/x.sql.gz", tmp_path, replicas=1) == ""


@pytest.mark.parametrize(("dump_cache_bytes", "refused"), [(200_000_000, True), (300_000_000, False), (-1, True)])
def test_a_database_gets_the_room_of_the_copies_in_the_dump_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dump_server: str, dump_cache_bytes: int, refused: bool
) -> None:
    url = f"http://{dump_server}/x.sql.gz"
    message = disk_problem(monkeypatch, url, tmp_path, dump_cache_bytes=dump_cache_bytes, replicas=4)
    assert bool(message) == refused


def test_a_dump_that_is_not_compressed_needs_less(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dump_server: str
) -> None:
    assert disk_problem(monkeypatch, f"http://{dump_server}/x.sql", tmp_path, replicas=4) == ""


def test_a_password_in_the_dump_s_address_is_used_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dump_server: str
) -> None:
    message = disk_problem(monkeypatch, f"http://u:p@{dump_server}/guarded.sql.gz?token=hidden", tmp_path, replicas=4)
    assert f"the dump http://{dump_server}/guarded.sql.gz needs" in message


@pytest.mark.parametrize("path", ["/missing.sql.gz", "/slow.sql.gz"])
def test_a_dump_of_unknown_size_passes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dump_server: str, path: str
) -> None:
    monkeypatch.setattr(preflight, "HEAD_SECONDS", 0.5)
    assert disk_problem(monkeypatch, f"http://{dump_server}{path}", tmp_path, replicas=5) == ""


def test_a_server_of_the_dump_that_cannot_be_reached_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert disk_problem(monkeypatch, "http://127.0.0.1:1/x.sql.gz", tmp_path, replicas=5) == ""


@pytest.mark.parametrize(("first", "refused"), [(b"\x1f\x8b", True), (b"--", False)], ids=["gzip", "plain"])
def test_the_size_of_a_local_dump_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: bytes, refused: bool
) -> None:
    dump = tmp_path / "dump"
    dump.write_bytes(first)
    os.truncate(dump, DUMP_BYTES)
    assert bool(disk_problem(monkeypatch, str(dump), tmp_path, replicas=4)) == refused


@pytest.mark.parametrize(
    "why",
    ["the database is there", "another machine", "no such folder here", "Docker Desktop", "a blank database"],
)
def test_the_disk_is_not_checked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dump_server: str, why: str
) -> None:
    url = "none" if why == "a blank database" else f"http://{dump_server}/x.sql.gz"
    folder = tmp_path / "missing" if why == "no such folder here" else tmp_path
    volumes = (NAMING.of("primary-data"),) if why == "the database is there" else ()
    settings: dict[str, object] = {"dockerHost": "ssh://me@there"} if why == "another machine" else {}
    if why == "Docker Desktop":
        monkeypatch.setattr(Engine, "info", lambda self: self._info | {"OperatingSystem": why})
    assert disk_problem(monkeypatch, url, folder, volumes, None, replicas=5, **settings) == ""
