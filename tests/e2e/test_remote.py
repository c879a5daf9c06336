"""A stack on a Docker host that is reached by SSH, behind a proxy on that host."""

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeStack
from tests.support.containers import Containers
from tests.support.followed_logs import followed
from tests.support.ssh_host import ssh_host
from tests.support.waiting import until

pytestmark = pytest.mark.e2e

USER = "198.51.100.7"


def test_a_stack_is_deployed_over_few_ssh_connections_and_trusts_the_proxy_on_its_host(
    make_stack: MakeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Containers() as containers, ssh_host(containers, tmp_path, monkeypatch) as host:
        proxy = {"baseUrl": "https://dhis2.example.org", "trustedProxies": "host"}
        stack = make_stack(dockerHost=host.address, dumpUrl="none", replicas=0, **proxy)
        stack.up()
        assert "unchanged" in stack.up() and stack.changes() == {}, "a second up changes nothing"
        # Those of the fake provider count, too. Without a shared connection there are hundreds.
        assert host.accepted() < 10, "sshd drops those beyond two at a time"

        with stack.client(headers={"X-Forwarded-For": USER, "X-Forwarded-Proto": "https"}) as client:
            redirect = client.get("/", headers={"Host": "dhis2.example.org"})
        assert redirect.headers.get("location", "https://dhis2.example.org").startswith(("https://", "/"))
        until(lambda: USER in stack.log("lb"), "the request is logged")
        line = next(json.loads(line) for line in stack.log("lb").splitlines() if USER in line)
        assert line["client"] == USER, "the published port is reached from the address of a network's gateway"

        with followed(stack) as printed, stack.client() as client:  # four logs, and three sessions for requests
            until(lambda: client.get("/page") and "/page" in printed(), "a request to be in the log")
            assert stack.command("status").code == 0
        assert stack.command("psql", "--", "-Atc", "SELECT 6 * 7").stdout.strip() == "42"
        stack.destroy()
        assert stack.leftovers() == []
