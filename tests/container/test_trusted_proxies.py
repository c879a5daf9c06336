"""Whom the load balancer believes about a user's address, scheme, host and port: the proxies that are named."""

import pytest
from docker.models.containers import Container

from tests.container.balancing import core, load_balancer
from tests.support.commands import execute
from tests.support.containers import Containers, gateway_of
from tests.support.http import PORT, ask
from tests.support.waiting import until

pytestmark = pytest.mark.container

HTTPS = "https://dhis2.example.org"
USER = "198.51.100.7"


@pytest.fixture(scope="module")
def gateway(containers: Containers) -> str:
    """The address this machine connects to containers from; a core is there."""
    core(containers)
    return gateway_of(containers.network)


def behind(containers: Containers, url: str, *trusted: str) -> str:
    """Return the address of a load balancer that answers, with `baseUrl` and `trustedProxies`."""
    address = containers.address(load_balancer(containers, url=url, trusted=trusted))
    until(lambda: ask(address, "/").status == 200, "the core to be resolved")
    return address


def received(
    address: str, forwarded: dict[str, str], host: str = "dhis2.example.org", *, port: int = PORT
) -> dict[str, str]:
    """Return what a core receives for a request with X-Forwarded headers, such as `for`."""
    headers = {f"X-Forwarded-{name}": value for name, value in forwarded.items()}
    return {
        name: str(value) for name, value in ask(address, "/", port=port, headers={"Host": host, **headers}).json.items()
    }


@pytest.fixture(scope="module")
def plain(containers: Containers, gateway: str) -> str:
    """A load balancer that users reach over http, without a proxy."""
    del gateway
    return behind(containers, "http://127.0.0.1:8080")


@pytest.fixture(scope="module")
def unnamed(containers: Containers, gateway: str) -> str:
    """A load balancer behind a proxy that is not named."""
    del gateway
    return behind(containers, HTTPS)


@pytest.fixture(scope="module")
def named(containers: Containers, gateway: str) -> str:
    """A load balancer behind proxies that are named: this machine, one of IPv4 and a network of IPv6."""
    return behind(containers, HTTPS, gateway, "10.0.0.5/32", "2001:db8:1::/48")


def test_a_client_cannot_forge_its_address(plain: str, gateway: str) -> None:
    at_core = received(plain, {"for": USER, "proto": "https", "port": "1"}, "dhis2.example.org:8443")
    assert at_core["for"] == gateway, "the login limit counts by the address of the connection"
    assert (at_core["proto"], at_core["port"], at_core["name"]) == ("http", "8443", "dhis2.example.org:8443")
    assert at_core["host"] == "dhis2.example.org:8443", "DHIS2 builds its links from it"


def test_a_proxy_that_is_not_named_is_a_client_like_any(unnamed: str, gateway: str) -> None:
    at_core = received(unnamed, {"for": USER, "proto": "http", "port": "1"})
    assert at_core["for"] == gateway, "also on a private network anyone could forge it"
    assert (at_core["proto"], at_core["port"]) == ("https", "443"), (
        "DHIS2 would redirect to http, and logins would loop"
    )


def test_a_proxy_that_is_named_reports_the_user(named: str) -> None:
    at_core = received(named, {"for": USER, "proto": "https"})
    assert (at_core["for"], at_core["proto"], at_core["port"]) == (USER, "https", "443")
    at_core = received(named, {"for": USER, "proto": "http", "port": "8080"})
    assert (at_core["proto"], at_core["port"]) == ("http", "8080"), "a proxy may serve both"


def test_without_headers_of_the_proxy_the_scheme_is_that_of_the_base_url(named: str, gateway: str) -> None:
    at_core = received(named, {})
    assert (at_core["for"], at_core["proto"], at_core["port"]) == (gateway, "https", "443")


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        (f"{USER}, 10.0.0.5", USER),
        (f"{USER}, 2001:db8:1::9, 10.0.0.5", USER),
        (f"203.0.113.66, {USER}", USER),
        (f"203.0.113.66, {USER}, 10.0.0.5", USER),
        (f"10.0.0.5, {USER}", USER),
        (f"{USER}, 10.0.0.6", "10.0.0.6"),
        (f"{USER},10.0.0.5", USER),
        ("2001:db8:2::7", "2001:db8:2::7"),
        ("2001:DB8:2:0:0::7, 2001:db8:1::1", "2001:db8:2::7"),
        ("[2001:db8:2::7]:50000", "2001:db8:2::7"),
        (f"{USER}:50000", USER),
        ("::ffff:198.51.100.7, ::ffff:10.0.0.5", "::ffff:198.51.100.7"),
    ],
)
def test_the_user_is_the_last_address_of_the_chain_that_is_no_named_proxy(named: str, chain: str, address: str) -> None:
    assert received(named, {"for": chain})["for"] == address, "what a client sends stands before it"


@pytest.mark.parametrize("chain", ["not an address", "", "unknown"])
def test_what_is_no_chain_of_addresses_leaves_the_address_of_the_connection(
    named: str, gateway: str, chain: str
) -> None:
    assert received(named, {"for": chain})["for"] == gateway


def test_the_docker_host_is_named_by_a_word(containers: Containers, gateway: str) -> None:
    del gateway  # its core answers here too
    second = containers.add_network()
    container = load_balancer(containers, url=HTTPS, trusted=("host",), ports={f"{PORT}/tcp": ("127.0.0.1", None)})
    second.connect(container)
    container.restart()
    container.reload()
    port = int(container.attrs["NetworkSettings"]["Ports"][f"{PORT}/tcp"][0]["HostPort"])
    until(lambda: ask("127.0.0.1", "/", port=port).status == 200, "the core to be resolved", container=container)
    at_core = received("127.0.0.1", {"for": USER, "proto": "https"}, port=port)
    assert (at_core["for"], at_core["proto"]) == (USER, "https"), "a proxy there connects through the published port"


def test_another_container_is_not_the_docker_host(containers: Containers, gateway: str) -> None:
    del gateway
    container: Container = load_balancer(containers, url=HTTPS, trusted=("host",))
    address = containers.address(container)
    until(lambda: ask(address, "/").status == 200, "the core to be resolved")
    client = core(containers, alias="client")
    _, output = execute(client, "curl", "-s", "-H", f"X-Forwarded-For: {USER}", f"http://{address}:{PORT}/")
    assert f'"for":"{containers.address(client)}"' in output
