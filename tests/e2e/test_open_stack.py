"""A stack that others can reach has no well-known password: steps in their order."""

import json

import bcrypt
import httpx
import pytest

from tests.e2e.conftest import MakeStack
from tests.support.stack import ADMIN, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]

CHOSEN = "Chosen-In-Dhis2"
KNOWN = ("system", "System123")


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, gateway: str) -> Stack:
    """Deploy a core on a blank database, at an address that containers of this machine can reach."""
    stack = make_stack(cores=1, replicas=0, dumpUrl="none", bind=gateway)
    stack.up()
    return stack


def status(stack: Stack, user: str, password: str) -> int:
    """Return the HTTP status of a request as a user."""
    return httpx.get(f"{stack.outputs()['url']}/api/me", auth=(user, password), timeout=30).status_code


def test_a_stack_that_others_can_reach_has_a_generated_password(stack: Stack) -> None:
    password = stack.outputs()["adminPassword"]
    assert status(stack, "admin", password) == 200
    assert status(stack, *ADMIN) == 401, "it is well known"
    assert password not in stack.pulumi("stack", "output", "--stack", stack.name).text
    assert password not in str([container.attrs for container in stack.docker.containers.list(ignore_removed=True)])


def test_its_port_is_open_only_when_the_password_is_set(stack: Stack) -> None:
    balancer, core = stack.container("lb").attrs, stack.container("core-1").attrs
    assert balancer["Created"] > core["State"]["StartedAt"] > core["Created"], "cores restart for a blank database"


def test_a_second_up_changes_nothing_and_restarts_nothing(stack: Stack) -> None:
    before, password = stack.container("core-1").attrs["State"]["StartedAt"], stack.outputs()["adminPassword"]
    assert "unchanged" in stack.up()
    assert stack.changes() == {}
    assert stack.container("core-1").attrs["State"]["StartedAt"] == before
    assert stack.outputs()["adminPassword"] == password


def test_an_account_with_a_well_known_password_is_disabled(stack: Stack) -> None:
    user, password = KNOWN
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=6, prefix=b"2a")).decode()
    row = {"userinfoid": 4711, "uid": "known000001", "code": None, "uuid": None, "username": user, "password": hashed}
    account = f"(jsonb_populate_record(admin, $x${json.dumps(row)}$x$)).*"
    stack.sql(f"INSERT INTO userinfo SELECT {account} FROM userinfo admin WHERE username = 'admin'")  # noqa: S608
    assert status(stack, *KNOWN) == 200
    assert "so they are disabled: system." in stack.up()
    assert status(stack, *KNOWN) == 401


def test_a_blank_database_after_a_reset_never_has_the_default_password(stack: Stack) -> None:
    password = stack.outputs()["adminPassword"]
    stack.sql("CREATE TABLE e2e_later (n int)")
    done = stack.command("reset", "--yes")
    assert done.code == 0, done.text
    assert "stopping the load balancer until admin has its password" in done.text
    assert stack.attempt_sql("SELECT n FROM e2e_later")[0] != 0
    assert (status(stack, "admin", password), status(stack, *ADMIN)) == (200, 401)
    assert stack.container("lb").attrs["State"]["StartedAt"] > stack.container("core-1").attrs["State"]["StartedAt"]
    assert stack.changes() == {}


def test_a_stack_that_is_closed_again_keeps_its_generated_password(stack: Stack) -> None:
    password = stack.outputs()["adminPassword"]
    stack.set(bind="127.0.0.1")
    stack.up()
    assert stack.outputs()["adminPassword"] == password
    assert status(stack, "admin", password) == 200


def test_a_password_that_was_changed_in_dhis2_stays(stack: Stack) -> None:
    password = stack.outputs()["adminPassword"]
    with stack.client(auth=("admin", password)) as client:
        changed = client.put("/api/me/changePassword", json={"oldPassword": password, "newPassword": f"{CHOSEN}7"})
        assert changed.is_success, changed.text
    stack.up()
    assert status(stack, "admin", f"{CHOSEN}7") == 200
    assert stack.outputs()["adminPassword"].startswith("not known to the program")


def test_destroy_leaves_nothing(stack: Stack) -> None:
    stack.destroy()
    assert stack.leftovers() == []
