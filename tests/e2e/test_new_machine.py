"""A country's stack is lost with its machine, and comes back on an empty one: https, data, backups on S3. Steps in
their order."""

import json
import ssl
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from tests.e2e.conftest import MakeStack
from tests.support.pebble.server import Pebble
from tests.support.ports import free_port
from tests.support.project import LEGO
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, s3_bucket
from tests.support.stack import ADMIN, Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]

HOST = "dhis2.example.org"
HTTP_PORT, HTTPS_PORT = free_port(), free_port()
CONTENT = f"uploaded {uuid.uuid4().hex}"


@dataclass
class Written:
    """What outlives the machine: the password of the repository. The rest is what has to come back."""

    password: str = ""
    admin: str = ""
    file: str = ""
    rows: str = ""
    element: str = ""


kept = Written()


@dataclass(frozen=True)
class World:
    """What is outside the machine: a CA, a bucket, the dump."""

    ca: Pebble
    repository: str
    dump: str
    settings: dict[str, object] = field(default_factory=dict)


@pytest.fixture(scope="module")
def world(gateway: str, tmp_path_factory: pytest.TempPathFactory, dumps: str) -> Iterator[World]:
    """Start a CA that finds the stack's port 80 at the port it publishes, and an S3 server."""
    folder = tmp_path_factory.mktemp("pebble")
    with (
        Pebble(folder, gateway, resolves_to="127.0.0.1", http_port=HTTP_PORT) as ca,
        s3_bucket(gateway) as repository,
    ):
        acme = {"acmeServer": ca.url, "acmeServerCertificate": ca.root, "acmeEmail": "me@example.org"}
        settings = {
            "tls": "acme",
            "hostname": HOST,
            **acme,
            "acmeImage": LEGO,
            "port": HTTP_PORT,
            "httpsPort": HTTPS_PORT,
            "backupRepository": repository,
            "backupAccessKey": ACCESS_KEY,
            "backupSchedule": "0 2 * * *",
            "keepData": "true",
            "analytics": "true",
        }
        yield World(ca, repository, f"{dumps}/small.sql.gz", settings)


@pytest.fixture(scope="module")
def first(make_stack: MakeStack, world: World) -> Stack:
    """The stack on the machine that is lost."""
    stack = make_stack(cores=1, replicas=0, dumpUrl=world.dump, **world.settings)
    stack.set_secret(backupSecretKey=SECRET_KEY)
    return stack


@pytest.fixture(scope="module")
def second(make_stack: MakeStack, world: World, first: Stack) -> Stack:
    """A stack on an empty machine, with another name, that has the repository and its password."""
    stack = make_stack(cores=1, replicas=0, dumpUrl="none", **world.settings)
    stack.set_secret(backupSecretKey=SECRET_KEY, backupPassword=kept.password)
    return stack


def https(world: World, password: str) -> httpx.Client:
    """Return a client at the stack's https address that is logged in as admin and trusts the CA alone."""
    context = ssl.create_default_context(cadata=world.ca.issuer)

    def named(request: httpx.Request) -> None:
        request.extensions["sni_hostname"] = HOST

    return httpx.Client(
        base_url=f"https://127.0.0.1:{HTTPS_PORT}",
        verify=context,
        auth=("admin", password),
        headers={"Host": HOST},
        timeout=60,
        event_hooks={"request": [named]},
    )


def has_data(client: httpx.Client) -> bool:
    """Return whether what a dashboard asks for has rows."""
    answer = client.get("/api/analytics", params={"dimension": f"dx:{kept.element}"})
    return answer.status_code == httpx.codes.OK and bool(answer.json()["rows"])


def test_a_stack_serves_https_with_full_dashboards(first: Stack, world: World) -> None:
    text = first.up()
    assert "pulumi stack output backupPassword" in text and "DHIS2 builds the analytics tables" in text
    outputs = first.outputs()
    kept.password, kept.admin = outputs["backupPassword"], outputs["adminPassword"]
    assert kept.admin != ADMIN[1]
    kept.element = first.sql(
        "SELECT e.uid FROM datavalue v JOIN dataelement e USING (dataelementid) GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
    )
    with https(world, kept.admin) as client:
        until(lambda: has_data(client), "the dashboards to have data")


def test_people_enter_data_and_a_backup_is_made(first: Stack, world: World) -> None:
    with https(world, kept.admin) as client:
        upload = client.post("/api/fileResources", files={"file": ("note.txt", CONTENT)}).json()
        kept.file = upload["response"]["fileResource"]["id"]
        stored = f"/api/fileResources/{kept.file}"
        until(lambda: client.get(stored).json()["storageStatus"] == "STORED", "the upload to be stored")
    first.sql("SET ROLE dhis; CREATE TABLE public.entered (n int); INSERT INTO entered SELECT generate_series(1, 300)")
    kept.rows = first.sql("SELECT count(*) FROM datavalue")
    done = first.command("backup")
    assert done.code == 0, done.text


def test_the_machine_is_lost(first: Stack) -> None:
    first.remove()
    assert first.leftovers() == []


def test_everything_comes_back_on_an_empty_machine(second: Stack, first: Stack, world: World) -> None:
    second.up()
    listed = second.command("backups", "--json")
    (made,) = json.loads(listed.stdout)
    done = second.command("restore", made["set"], "--yes")
    assert done.code == 0, done.text
    with https(world, second.outputs()["adminPassword"]) as client:
        assert client.get("/api/me").status_code == 200
        assert client.get(f"/api/fileResources/{kept.file}/data").text == CONTENT
        until(lambda: has_data(client), "the dashboards to have data")
    assert second.sql("SELECT count(*) FROM entered") == "300"
    assert second.sql("SELECT count(*) FROM datavalue") == kept.rows
    assert second.changes() == {}
    shown = second.command("status", "--json")
    assert shown.code == 0, shown.text
