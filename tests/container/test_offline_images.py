"""The offline images on a real engine: what the program and its scripts need of the official ones, and the dump."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from offline.dump.__main__ import main as generate_dump
from offline.images.catalogue import CATALOGUE

pytestmark = pytest.mark.container

POSTGRES, VALKEY, NGINX = "dhis2-cluster/postgres:17", "dhis2-cluster/valkey:8", "dhis2-cluster/nginx:1.31"
SIMULATORS = [tag for recipe in CATALOGUE for tag in recipe.tags if "simulator" in tag]
READY_SECONDS = 60
SERVER = "initdb -A trust >/dev/null && exec postgres -c max_wal_size=4GB"
EXTENSIONS = "CREATE EXTENSION postgis; CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gin"

Start = Callable[..., Container]


@pytest.fixture(scope="module")
def engine() -> docker.DockerClient:
    """The Docker engine."""
    return docker.from_env()


@pytest.fixture(scope="module")
def start(engine: docker.DockerClient) -> Iterator[Start]:
    """A function that starts a container as hardened as the program's, removed with its volumes at the end."""
    started: list[Container] = []

    def start_one(image: str, *command: str, **options: object) -> Container:
        if not engine.images.list(image):
            pytest.skip(f"{image} is not on this engine; make it: python -m offline.images")
        hardened = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "init": True, "detach": True}
        container = engine.containers.run(image, list(command), **hardened, **options)  # type: ignore[call-overload]
        started.append(container)
        return container  # type: ignore[no-any-return]

    yield start_one
    for container in started:
        container.remove(force=True, v=True)


def said(container: Container, command: str) -> str:
    """Run a shell command in a container; its output without the last line end."""
    code, output = container.exec_run(["sh", "-c", command])
    text = bytes(output).decode().strip()
    assert code == 0, f"'{command}' failed in the container: {text}"
    return text


def wait_for(container: Container, command: str) -> None:
    """Wait until a shell command succeeds in a container."""
    until = time.monotonic() + READY_SECONDS
    while container.exec_run(["sh", "-c", command]).exit_code:
        container.reload()
        assert container.status == "running", f"it ended: {container.logs(tail=20).decode()}"
        assert time.monotonic() < until, f"'{command}' did not succeed: {container.logs(tail=20).decode()}"
        time.sleep(0.2)


def load(container: Container, name: str, dump: Path) -> subprocess.CompletedProcess[str]:
    """Load a plain dump into a database as superuser, in one transaction that ends at the first error."""
    psql = ["docker", "exec", "-i", str(container.id), "psql", "-1", "-q", "-v", "ON_ERROR_STOP=1", "-d", name]
    with dump.open("rb") as text:
        return subprocess.run(psql, stdin=text, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def database(start: Start) -> Container:
    """A running PostgreSQL server."""
    container = start(POSTGRES, "sh", "-c", SERVER, shm_size="256m")
    wait_for(container, "pg_isready -q -h /var/run/postgresql && psql -Atc 'SELECT 1'")
    return container


@pytest.mark.parametrize(
    ("image", "identity", "tools"),
    [
        (POSTGRES, "999:999", "postgres initdb psql pg_basebackup pg_restore pg_dump vacuumdb gzip sha256sum flock"),
        (VALKEY, "999:999", "valkey-server valkey-cli sh chmod install"),
        (NGINX, "101:101", "nginx curl gzip flock sha256sum od sh"),
        *((image, "65534:65534", "java catalina.sh curl sh") for image in SIMULATORS),
    ],
)
def test_an_image_runs_as_its_uid_and_has_its_tools(start: Start, image: str, identity: str, tools: str) -> None:
    container = start(image, "sleep", "60")
    assert said(container, "echo $(id -u):$(id -g)") == identity, "volumes are prepared for this owner"
    said(container, f"for tool in {tools}; do command -v $tool || {{ echo $tool is missing; exit 1; }}; done")


@pytest.mark.parametrize("image", [POSTGRES, VALKEY, NGINX, *SIMULATORS])
def test_every_uid_may_write_to_the_job_folder(start: Start, image: str) -> None:
    container = start(image, "sleep", "60")
    assert said(container, "stat -c %a /var/tmp") == "1777", "one-shot jobs mount their volumes there"


@pytest.mark.parametrize(
    ("image", "folder", "owner"),
    [(POSTGRES, "/var/lib/postgresql/data", "999:999 1777"), (VALKEY, "/data", "999:999 755")],
)
def test_a_new_volume_belongs_to_the_image_s_user(start: Start, image: str, folder: str, owner: str) -> None:
    container = start(image, "sleep", "60")
    assert folder in container.attrs["Config"]["Volumes"], "data must not land in the container's own layer"
    assert said(container, f"stat -c '%u:%g %a' {folder}") == owner, "an empty volume takes owner and mode from here"


def test_postgresql_is_17_and_has_both_usual_locales(database: Container) -> None:
    assert said(database, "psql -Atc 'SHOW server_version_num'").startswith("17"), "the tag promises it"
    locales = said(database, "locale -a").split()
    assert {"C.utf8", "en_US.utf8"} <= set(locales), "dumps and initdb name either"


def test_nginx_can_resolve_upstreams_again_and_starts_by_itself(start: Start) -> None:
    container = start(NGINX)
    wait_for(container, "curl -fs http://127.0.0.1:8080/")
    upstream = "upstream u { zone u 64k; server localhost:1 resolve; } resolver 127.0.0.11;"
    config = f"pid /tmp/other.pid; events {{}} http {{ include /etc/nginx/mime.types; {upstream} }}"
    assert "successful" in said(container, f"echo '{config}' > /tmp/n.conf && nginx -t -c /tmp/n.conf 2>&1"), (
        "the load balancer follows cores that come and go by this"
    )


def test_valkey_serves_and_keeps_its_file(start: Start) -> None:
    container = start(VALKEY, "valkey-server", "--appendonly", "yes")
    wait_for(container, "valkey-cli ping | grep -q PONG")
    said(container, "valkey-cli set key value && test -d /data/appendonlydir")
    assert said(container, "valkey-cli info server").count("valkey_version:8"), "the tag promises it"


@pytest.mark.parametrize("image", SIMULATORS)
def test_the_simulator_has_the_layout_of_a_dhis2_image(start: Start, image: str) -> None:
    container = start(image, "sleep", "60")
    config = container.attrs["Config"]
    version = image.partition(":")[2]
    assert config["Labels"]["DHIS2_VERSION"] == version, "the label tells which release an image is"
    assert said(container, "echo $DHIS2_SIMULATOR_VERSION $PWD") == f"{version} /usr/local/tomcat"
    assert said(container, "echo $CATALINA_OPTS") == "-Dcontext.path=''", "server.xml takes the path from it"
    assert said(container, "touch /opt/dhis2/x && stat -c %u /opt/dhis2") == "65534", "DHIS2_HOME must be writable"
    said(container, "test -d webapps/ROOT/WEB-INF && test -x bin/catalina.sh")


@pytest.mark.parametrize("options", [[], ["--owner", "postgres"]], ids=["plain", "owned"])
def test_the_dump_loads_in_one_transaction(database: Container, tmp_path: Path, options: list[str]) -> None:
    name = "owned" if options else "plain"
    out = tmp_path / "dump.sql"
    generate_dump([*options, "--scale", "0.1", str(out)])
    said(database, f"createdb {name} && psql -qd {name} -c '{EXTENSIONS}'")
    if options:
        said(database, f"psql -qd {name} -c 'CREATE ROLE postgres_reader'")
    loaded = load(database, name, out)
    assert loaded.returncode == 0, f"a published dump loads this way, so must ours: {loaded.stderr}"
    counted = "SELECT (SELECT count(*) FROM datavalue), (SELECT count(*) FROM event)"
    assert said(database, f"psql -Atd {name} -c '{counted}'") == "30000|800", "all rows arrive"
    placed = "SELECT bool_and(ST_IsValid(geometry) AND ST_SRID(geometry) = 4326) FROM organisationunit"
    assert said(database, f"psql -Atd {name} -c '{placed}'") == "t", "PostGIS reads every geometry"
    again = "SELECT nextval($$hibernate_sequence$$) > max(organisationunitid) FROM organisationunit"
    assert said(database, f"psql -Atd {name} -c '{again}'") == "t", "new objects must not collide with loaded ones"


def test_a_clean_dump_replaces_a_loaded_one(database: Container, tmp_path: Path) -> None:
    plain, clean = tmp_path / "plain.sql", tmp_path / "clean.sql"
    generate_dump(["--rows", "10", "--scale", "0", str(plain)])
    generate_dump(["--clean", "--rows", "20", "--scale", "0", str(clean)])
    said(database, f"createdb twice && psql -qd twice -c '{EXTENSIONS}'")
    said(database, "createuser dhis_elsewhere && createuser dhis_elsewhere_reader")
    for out in (plain, clean):
        loaded = load(database, "twice", out)
        assert loaded.returncode == 0, f"each DROP names something the dump makes: {loaded.stderr}"
    assert said(database, "psql -Atd twice -c 'SELECT count(*) FROM datavalue'") == "20", "the second one's rows"


def test_pg_dump_writes_the_schema_as_the_generator_does(database: Container, tmp_path: Path) -> None:
    out = tmp_path / "dump.sql"
    generate_dump(["--rows", "0", "--scale", "0", str(out)])
    said(database, f"createdb same && psql -qd same -c '{EXTENSIONS}'")
    assert load(database, "same", out).returncode == 0
    dumped = said(database, "pg_dump --schema-only --no-owner --no-acl same")
    assert statements(out.read_text()) == statements(dumped), "what splits a real dump must be tested on the same form"


def statements(text: str) -> list[str]:
    """Return the lines of a dump that make something, sorted: objects of a kind may come in another order."""
    data = False
    kept = []
    for line in text.splitlines():
        data = data or line.startswith("COPY ")
        if not data and line and not line.startswith(("--", "\\", "SELECT pg_catalog.setval")):
            kept.append(line)
        data = data and line != "\\."
    return sorted(kept)
