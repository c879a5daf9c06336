"""Headers that browsers act on: DHIS2's own arrive unchanged, and the load balancer adds what DHIS2 does not send."""

import httpx
import pytest
from docker.models.containers import Container

from tests.container.balancing import core, load_balancer, served_by
from tests.support.containers import Containers
from tests.support.waiting import until

pytestmark = pytest.mark.container

FRAMES = ("content-security-policy", "x-frame-options")
PORTAL = "frame-ancestors 'self' https://portal.example.org;"


@pytest.fixture(scope="module")
def lb(containers: Containers) -> str:
    """The URL of a load balancer with one core."""
    only, container = core(containers), load_balancer(containers)
    until(lambda: served_by(containers.address(container), only), "the core to be resolved")
    return url(containers, container)


def url(containers: Containers, container: Container) -> str:
    """The URL of a load balancer."""
    return f"http://{containers.address(container)}:8080"


def frame_rules(response: httpx.Response) -> list[tuple[str, str]]:
    """The headers of a response that decide who may embed it."""
    return [(name, value) for name, value in response.headers.multi_items() if name in FRAMES]


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_sites_that_dhis2_allows_may_embed_it(lb: str, method: str) -> None:
    response = httpx.request(method, f"{lb}/embedded")
    expected = [(FRAMES[0], "script-src 'none';"), (FRAMES[0], PORTAL)]
    assert frame_rules(response) == expected, "X-Frame-Options beside it would keep the portal out in old browsers"


def test_a_frame_rule_of_dhis2_is_not_sent_twice(lb: str) -> None:
    assert frame_rules(httpx.get(f"{lb}/same-origin")) == [(FRAMES[1], "SAMEORIGIN")], "two values are invalid"


@pytest.mark.parametrize("path", ["/", "/missing", "/api/systemSettings/refused"])
def test_no_other_site_embeds_what_dhis2_sends_without_a_frame_rule(lb: str, path: str) -> None:
    assert frame_rules(httpx.get(f"{lb}{path}")) == [(FRAMES[1], "SAMEORIGIN")]


def test_no_page_of_another_site_uses_camera_or_location_through_an_app(lb: str) -> None:
    policy = httpx.get(f"{lb}/").headers.get_list("permissions-policy")
    features = dict(item.split("=") for item in policy[0].split(", "))
    assert len(policy) == 1
    assert features["camera"] == features["geolocation"] == "(self)", "apps of DHIS2 use them"
    assert features["payment"] == "()", "nothing of DHIS2 uses it"
    assert not [value for value in features.values() if value not in ("()", "(self)")]


def test_a_permissions_policy_of_dhis2_is_the_only_one(lb: str) -> None:
    assert httpx.get(f"{lb}/permissions").headers.get_list("permissions-policy") == ["usb=()"]


def test_behind_a_proxy_with_https_dhis2_s_own_hsts_passes(lb: str) -> None:
    sent = httpx.get(f"{lb}/hsts").headers.get_list("strict-transport-security")
    assert sent == ["max-age=31536000 ; includeSubDomains"], "only the proxy knows its certificate"


def test_the_page_of_a_starting_dhis2_may_be_embedded_and_uses_no_feature() -> None:
    with Containers() as alone:
        response = httpx.get(url(alone, load_balancer(alone)), headers={"Accept": "text/html"})
    assert response.status_code == 503
    assert frame_rules(response) == [], "only DHIS2 knows the sites; the page has nothing to click"
    assert "camera=(self)" in response.headers["permissions-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
