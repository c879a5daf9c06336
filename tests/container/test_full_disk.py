"""A primary whose disk is full reports it, and loses nothing when there is room again."""

import pytest

from tests.container.databases import KEY, Databases, until_healthy
from tests.support.commands import logs, shell, sql, stdout_of
from tests.support.containers import Containers
from tests.support.project import POSTGRES
from tests.support.waiting import until_logged

pytestmark = pytest.mark.container

DISK = "size=320m,uid=999,gid=999,mode=0700"
FILL = "INSERT INTO filler SELECT repeat(md5(n::text), 30) FROM generate_series(1, 400000) n"


def test_a_full_disk_refuses_writes_and_loses_no_data(containers: Containers) -> None:
    databases = Databases(containers, containers.volume("dumps"))
    volume = containers.volume("small", type="tmpfs", device="tmpfs", o=DISK)
    # Docker unmounts a tmpfs volume, and loses its content, when its last container stops.
    mounts = {volume: {"bind": "/disk", "mode": "rw"}}
    holder = containers.start(POSTGRES, entrypoint=["sleep", "600"], user="999:999", volumes=mounts)
    primary = databases.primary(volume)
    until_healthy(primary, "primary")
    sql(primary, "CREATE TABLE kept AS SELECT 1 AS n; CREATE TABLE filler (t text)")
    assert shell(holder, "fallocate -l $(($(stat -f -c '%a * %S' /disk) - 24000000)) /disk/ballast")[0] == 0

    code, output = shell(primary, f"psql -X -U postgres -d dhis -c '{FILL}'")
    assert code != 0, "the disk is full"
    assert "No space left on device" in output + logs(primary), f"the cause is missing: {output}"

    assert shell(holder, "rm /disk/ballast")[0] == 0
    primary.reload()
    if primary.status == "exited":
        primary.start()  # as its restart policy would
    until_healthy(primary, "primary")
    assert sql(primary, "SELECT n FROM kept") == "1", "what was committed before is there"
    assert sql(primary, "SELECT count(*) FROM filler") == "0", "the failed statement left nothing"
    sql(primary, FILL.replace("400000", "1000"))
    assert sql(primary, "SELECT count(*) FROM filler") == "1000", "writes succeed again"


@pytest.mark.parametrize("kind", ["plain", "compressed archive"])
def test_a_dump_that_the_disk_has_no_room_for_is_not_restored(containers: Containers, kind: str) -> None:
    databases = Databases(containers, containers.volume("dumps"))
    volume = containers.volume("small", type="tmpfs", device="tmpfs", o=DISK)
    mounts = {volume: {"bind": "/disk", "mode": "rw"}}
    holder = containers.start(POSTGRES, entrypoint=["sleep", "600"], user="999:999", volumes=mounts)
    content, size = b"CREATE TABLE public.a (n integer);\n", 400_000_000
    if kind != "plain":
        source = databases.primary(containers.volume("source"))
        until_healthy(source, "primary")
        content = stdout_of(source, "pg_dump", "-Fc", "-h", "/var/run/postgresql", "-U", "postgres", "dhis")
        size = 80_000_000
    databases.add_dump(content, KEY, unpacked_bytes=size)
    primary = databases.primary(volume, KEY)
    until_logged(primary, "fatal: ")
    last = next(line for line in logs(primary).splitlines() if "fatal: " in line)
    assert "needs at least 400 MB" in last and "MB free; nothing was changed" in last and "docker system prune" in last
    assert shell(holder, "ls /disk/staging")[1] == "work", "nothing of it is restored"
