"""The offline images on Docker Engine: what the program and its scripts need of the official ones, and the dump."""

from pathlib import Path

import pytest
from docker.models.containers import Container

from offline.dump.__main__ import main as generate_dump
from offline.images.catalogue import CATALOGUE
from tests.support.archive import packed
from tests.support.commands import shell, shell_output
from tests.support.containers import Containers
from tests.support.project import LEGO, NGINX, POSTGRES, RESTIC, VALKEY
from tests.support.waiting import until

pytestmark = pytest.mark.container

SIMULATORS = [tag for recipe in CATALOGUE for tag in recipe.tags if "simulator" in tag]
SERVER = "initdb -A trust >/dev/null && exec postgres -c max_wal_size=4GB"
EXTENSIONS = "CREATE EXTENSION postgis; CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gin"


def until_succeeds(container: Container, command: str) -> None:
    """Wait until a shell command succeeds in a container."""
    until(lambda: shell(container, command)[0] == 0, f"'{command}' to succeed", container=container)


def restore(container: Container, database: str, dump: Path) -> tuple[int, str]:
    """Restore a plain dump as superuser, in one transaction that stops at the first error; exit code and output."""
    container.put_archive("/tmp", packed({dump.name: dump.read_bytes()}))  # noqa: S108
    return shell(container, f"psql -1 -q -v ON_ERROR_STOP=1 -d {database} -f /tmp/{dump.name}")


@pytest.fixture(scope="module")
def database(containers: Containers) -> Container:
    """A running PostgreSQL server."""
    container = containers.start(POSTGRES, "sh", "-c", SERVER, shm_size="256m")
    until_succeeds(container, "pg_isready -q -h /var/run/postgresql && psql -Atc 'SELECT 1'")
    return container


@pytest.mark.parametrize(
    ("image", "identity", "tools"),
    [
        (POSTGRES, "999:999", "postgres initdb psql pg_basebackup pg_restore pg_dump vacuumdb gzip sha256sum flock"),
        (VALKEY, "999:999", "valkey-server valkey-cli sh chmod install"),
        (NGINX, "101:101", "nginx curl gzip flock sha256sum od sh"),
        (LEGO, "101:101", "/lego sh awk cmp cut sed tr"),
        *((image, "65534:65534", "java catalina.sh curl sh") for image in SIMULATORS),
    ],
)
def test_an_image_runs_as_its_uid_and_has_its_tools(
    containers: Containers, image: str, identity: str, tools: str
) -> None:
    container = containers.start(image, entrypoint=["sleep", "600"])
    assert shell_output(container, "echo $(id -u):$(id -g)") == identity, "volumes are prepared for this owner"
    shell_output(container, f"for tool in {tools}; do command -v $tool || {{ echo $tool is missing; exit 1; }}; done")


@pytest.mark.parametrize("image", [POSTGRES, VALKEY, NGINX, *SIMULATORS])
def test_every_uid_may_write_to_the_job_folder(containers: Containers, image: str) -> None:
    container = containers.start(image, entrypoint=["sleep", "600"])
    assert shell_output(container, "stat -c %a /var/tmp") == "1777", "one-shot jobs mount their volumes there"


@pytest.mark.parametrize(
    ("image", "folder", "owner"),
    [(POSTGRES, "/var/lib/postgresql/data", "999:999 1777"), (VALKEY, "/data", "999:999 755")],
)
def test_a_new_volume_belongs_to_the_image_s_user(containers: Containers, image: str, folder: str, owner: str) -> None:
    container = containers.start(image, entrypoint=["sleep", "600"])
    assert folder in container.attrs["Config"]["Volumes"], "data must not land in the container's own layer"
    assert shell_output(container, f"stat -c '%u:%g %a' {folder}") == owner, (
        "an empty volume takes owner and mode from here"
    )


def test_postgresql_is_17_and_has_both_usual_locales(database: Container) -> None:
    assert shell_output(database, "psql -Atc 'SHOW server_version_num'").startswith("17"), "the tag promises it"
    locales = shell_output(database, "locale -a").split()
    assert {"C.utf8", "en_US.utf8"} <= set(locales), "dumps and initdb name either"


def test_nginx_can_resolve_upstreams_again_and_starts_by_itself(containers: Containers) -> None:
    container = containers.start(NGINX)
    until_succeeds(container, "curl -fs http://127.0.0.1:8080/")
    upstream = "upstream u { zone u 64k; server localhost:1 resolve; } resolver 127.0.0.11;"
    config = f"pid /tmp/other.pid; events {{}} http {{ include /etc/nginx/mime.types; {upstream} }}"
    assert "successful" in shell_output(container, f"echo '{config}' > /tmp/n.conf && nginx -t -c /tmp/n.conf 2>&1"), (
        "the load balancer follows cores that come and go by this"
    )


def test_the_tools_of_backups_run_in_another_image(containers: Containers) -> None:
    container = containers.start(RESTIC, entrypoint=["sleep", "600"])
    assert shell_output(container, "restic version").startswith("restic 0.18"), "the tag promises it"
    assert shell_output(container, "ssh -V 2>&1").startswith("OpenSSH"), "for a repository on SFTP"
    shell_output(container, "echo '0 2 * * * true' >/tmp/crontab && supercronic -test /tmp/crontab")
    binary = shell_output(container, "head -c 20000000 /usr/bin/supercronic | grep -c ld-linux || true")
    assert binary == "0", "it is statically linked"


def test_valkey_serves_and_keeps_its_file(containers: Containers) -> None:
    container = containers.start(VALKEY, "valkey-server", "--appendonly", "yes")
    until_succeeds(container, "valkey-cli ping | grep -q PONG")
    shell_output(container, "valkey-cli set key value && test -d /data/appendonlydir")
    assert shell_output(container, "valkey-cli info server").count("valkey_version:8"), "the tag promises it"


@pytest.mark.parametrize("image", SIMULATORS)
def test_the_simulator_has_the_layout_of_a_dhis2_image(containers: Containers, image: str) -> None:
    container = containers.start(image, entrypoint=["sleep", "600"])
    config = container.attrs["Config"]
    version = image.partition(":")[2]
    assert config["Labels"]["DHIS2_VERSION"] == version, "the label tells which release an image is"
    assert shell_output(container, "echo $DHIS2_SIMULATOR_VERSION $PWD") == f"{version} /usr/local/tomcat"
    assert "-Dcontext.path='' " in shell_output(container, "echo $CATALINA_OPTS"), "server.xml takes the path from it"
    assert shell_output(container, "touch /opt/dhis2/x && stat -c %u /opt/dhis2") == "65534", (
        "DHIS2_HOME must be writable"
    )
    shell_output(container, "test -d webapps/ROOT/WEB-INF && test -x bin/catalina.sh")


@pytest.mark.parametrize("options", [[], ["--owner", "postgres"]], ids=["plain", "owned"])
def test_the_dump_loads_in_one_transaction(database: Container, tmp_path: Path, options: list[str]) -> None:
    name = "owned" if options else "plain"
    out = tmp_path / "dump.sql"
    generate_dump([*options, "--scale", "0.1", str(out)])
    shell_output(database, f"createdb {name} && psql -qd {name} -c '{EXTENSIONS}'")
    if options:
        shell_output(database, f"psql -qd {name} -c 'CREATE ROLE postgres_reader'")
    code, output = restore(database, name, out)
    assert code == 0, f"a published dump is restored this way, so must ours: {output}"
    counted = "SELECT (SELECT count(*) FROM datavalue), (SELECT count(*) FROM event)"
    assert shell_output(database, f"psql -Atd {name} -c '{counted}'") == "30000|800", "all rows arrive"
    placed = "SELECT bool_and(ST_IsValid(geometry) AND ST_SRID(geometry) = 4326) FROM organisationunit"
    assert shell_output(database, f"psql -Atd {name} -c '{placed}'") == "t", "PostGIS reads every geometry"
    again = "SELECT nextval($$hibernate_sequence$$) > max(organisationunitid) FROM organisationunit"
    assert shell_output(database, f"psql -Atd {name} -c '{again}'") == "t", (
        "new objects must not collide with loaded ones"
    )


def test_a_clean_dump_replaces_a_loaded_one(database: Container, tmp_path: Path) -> None:
    plain, clean = tmp_path / "plain.sql", tmp_path / "clean.sql"
    generate_dump(["--rows", "10", "--scale", "0", str(plain)])
    generate_dump(["--clean", "--rows", "20", "--scale", "0", str(clean)])
    shell_output(database, f"createdb twice && psql -qd twice -c '{EXTENSIONS}'")
    shell_output(database, "createuser dhis_elsewhere && createuser dhis_elsewhere_reader")
    for out in (plain, clean):
        code, output = restore(database, "twice", out)
        assert code == 0, f"each DROP names something the dump makes: {output}"
    assert shell_output(database, "psql -Atd twice -c 'SELECT count(*) FROM datavalue'") == "20", (
        "the second one's rows"
    )


def test_pg_dump_writes_the_schema_as_the_generator_does(database: Container, tmp_path: Path) -> None:
    out = tmp_path / "dump.sql"
    generate_dump(["--rows", "0", "--scale", "0", str(out)])
    shell_output(database, f"createdb same && psql -qd same -c '{EXTENSIONS}'")
    assert restore(database, "same", out)[0] == 0
    dumped = shell_output(database, "pg_dump --schema-only --no-owner --no-acl same")
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
