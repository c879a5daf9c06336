"""Dumps as people have them: what is restored, what is left out and named, what is refused with its fix."""

import gzip
import hashlib

import pytest
from docker.models.containers import Container

from tests.container.databases import Databases, until_healthy
from tests.container.dump_kinds import REFUSED, RESTORED, A, text
from tests.support.commands import logs, shell_output, sql
from tests.support.containers import Containers
from tests.support.project import ROOT
from tests.support.waiting import until_exited, until_logged

pytestmark = pytest.mark.container

SHARED = ROOT.parent / "shared" / "data" / "dumps"


def primary(containers: Containers, databases: Databases, content: bytes) -> Container:
    """Start a primary that restores a dump."""
    key = hashlib.sha256(content).hexdigest()
    databases.add_dump(gzip.compress(content), key)
    return databases.primary(containers.volume(f"kind-{key[:8]}"), key)


@pytest.mark.parametrize("name", RESTORED)
def test_a_dump_of_this_kind_is_restored(containers: Containers, databases: Databases, name: str) -> None:
    content, query, result, line = RESTORED[name]
    container = primary(containers, databases, content)
    until_healthy(container, "primary")
    assert sql(container, query) == result
    assert line in logs(container), "what is left out is named"
    containers.remove(container)


@pytest.mark.parametrize("name", REFUSED)
def test_a_dump_of_this_kind_is_refused_with_its_fix(containers: Containers, databases: Databases, name: str) -> None:
    content, words = REFUSED[name]
    container = primary(containers, databases, content)
    until_logged(container, "fatal: the dump ")
    line = next(line for line in logs(container).splitlines() if line.startswith("fatal: the dump "))
    assert all(word in line for word in words), line
    until_exited(container)
    containers.remove(container)


# The dumps beside the checkout, and a table that is there afterwards, or what refuses them.
BESIDE: dict[str, tuple[str, str]] = {
    "topology-hstore.sql": ("restored", ""),
    "topology-hstore.dump": ("restored", ""),
    "pg_cron.sql": ("restored", "the extension pg_cron is left out"),
    "spatial_ref_sys.sql": ("restored", ""),
    "spatial_ref_sys.dump": ("restored", ""),
    "clean.sql": ("restored", ""),
    "bom-clean.sql": ("restored", ""),
    "unlogged.sql": ("restored", ""),
    "utf16.sql": ("refused", "UTF-16"),
    "other-names.sql": ("refused", "pg_dumpall"),
    "pg18-virtual.sql": ("refused", "databaseImage"),
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_dump_beside_the_checkout_has_its_outcome(containers: Containers, databases: Databases, name: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout; the kinds above cover it")
    outcome, line = BESIDE[name]
    container = primary(containers, databases, path.read_bytes())
    if outcome == "restored":
        until_healthy(container, "primary")
    else:
        until_exited(container)
        assert "fatal: the dump " in logs(container)
    assert line in logs(container)
    containers.remove(container)


def test_the_same_content_at_another_address_is_the_same_dump(containers: Containers, databases: Databases) -> None:
    one, other = "01" * 32, "02" * 32
    for key in (one, other):
        databases.add_dump(text(A), key)
    volume = containers.volume("same")
    first = databases.primary(volume, one)
    until_healthy(first, "primary")
    sql(first, "CREATE TABLE mine (id integer)")
    containers.remove(first)
    second = databases.primary(volume, other)
    until_healthy(second, "primary")
    assert sql(second, "SELECT to_regclass('mine') IS NOT NULL") == "t", "a URL with a new signature costs no data"
    assert "has the content of the one before" in logs(second)


def test_a_database_of_version_0_1_is_taken_over(containers: Containers, databases: Databases) -> None:
    key = "03" * 32
    databases.add_dump(text(A), key)
    volume = containers.volume("taken-over")
    first = databases.primary(volume, key)
    until_healthy(first, "primary")
    sql(first, "CREATE TABLE mine (id integer)")
    # As version 0.1 has left it.
    old = "sed -e s/^dump_/seed_/ -e s/^restored_at/loaded_at/ restored >seeded && rm restored"
    shell_output(first, f"cd /var/lib/postgresql && {old}")
    containers.remove(first)
    second = databases.primary(volume, key)
    until_healthy(second, "primary")
    assert sql(second, "SELECT to_regclass('mine') IS NOT NULL") == "t"
    marker = shell_output(second, "cat /var/lib/postgresql/restored")
    assert f"dump_key={key}" in marker and "restored_at=" in marker
