"""The settings of a Docker Swarm: nodes, and what is inconsistent on one."""

import pytest

from components.settings.consistency import consistency_warnings
from components.settings.model import OrchestratorName
from components.settings.parsing import parse_settings
from tests.unit.test_settings import error_lines

ALL = "0.0.0.0"  # noqa: S104 - a value of bind
NODES: dict[str, object] = {"primaryNode": "db-1", "replicaNodes": "db-2"}
SWARM: dict[str, object] = {"orchestrator": "swarm", "bind": ALL, **NODES}
CERTIFICATE: dict[str, object] = {
    "tls": "certificate",
    "hostname": "dhis2.example.org",
    "tlsCertificate": "-----BEGIN CERTIFICATE-----",
    "tlsKey": "-----BEGIN PRIVATE KEY-----",
}
ACME: dict[str, object] = {"tls": "acme", "hostname": "dhis2.example.org", "acmeEmail": "me@example.org"}


def keys(**raw: object) -> list[str]:
    """Return the settings that errors are reported for."""
    return [line.split(":")[0].strip() for line in error_lines(raw)]


def test_one_machine_is_the_default_and_needs_no_nodes() -> None:
    settings = parse_settings({})
    assert (settings.orchestrator, settings.on_swarm) == (OrchestratorName.DOCKER, False)
    assert (settings.primary_node, settings.replica_nodes, settings.cache_node, settings.lb_nodes) == (
        None,
        (),
        None,
        (),
    )
    assert settings.encrypted_networks, "what is sent between machines is encrypted unless switched off"


def test_nodes_without_a_swarm_are_warned_of_with_their_removal() -> None:
    warnings = list(consistency_warnings(parse_settings({**NODES, "lbNodes": "db-1"})))
    assert warnings == [
        f"{key} has no effect without orchestrator: swarm: pulumi config rm {key}"
        for key in ("primaryNode", "replicaNodes", "lbNodes")
    ]
    assert not list(consistency_warnings(parse_settings(SWARM)))


def test_a_swarm_with_its_nodes_is_valid() -> None:
    settings = parse_settings(SWARM)
    assert settings.on_swarm and (settings.primary_node, settings.replica_nodes) == ("db-1", ("db-2",))
    assert keys(**SWARM, cacheNode="db-1", lbNodes="db-1,db-2", tls="selfSigned") == []
    assert keys(**{**SWARM, "bind": "::"}) == [], "all addresses, too"


@pytest.mark.parametrize(
    ("value", "nodes"),
    [
        ("a", ("a",)),
        ("b, a", ("b", "a")),
        (["b", " a "], ("b", "a")),
        ('["b", "a"]', ("b", "a")),
        ("a,a", ("a", "a")),
        ("", ()),
        ([], ()),
        ("a,", ("a",)),
        ("Node_1.example.org", ("Node_1.example.org",)),
    ],
)
def test_nodes_are_a_list_or_text_with_commas_in_their_order(value: object, nodes: tuple[str, ...]) -> None:
    settings = parse_settings({**SWARM, "replicaNodes": value, "replicas": len(nodes), "lbNodes": value})
    assert settings.replica_nodes == nodes, "each replica has its own, so the order counts"
    assert settings.lb_nodes == nodes


@pytest.mark.parametrize("key", ["primaryNode", "replicaNodes", "cacheNode", "lbNodes"])
@pytest.mark.parametrize("name", ["node.role==manager", "-a", "a b", "a!", "x" * 254, "a==b"])
def test_what_cannot_be_a_host_name_is_refused_before_it_is_a_constraint(key: str, name: str) -> None:
    (line,) = error_lines({**SWARM, key: name})
    assert line.startswith(f"  {key}: ") and "is no host name of a node; see: docker node ls" in line
    assert f"pulumi config set {key}" in line


def test_another_orchestrator_is_refused_with_those_there_are() -> None:
    (line,) = error_lines({"orchestrator": "kubernetes"})
    assert "docker" in line and "swarm" in line
    assert parse_settings({"orchestrator": " swarm ", **NODES, "bind": ALL}).on_swarm


# what -> settings besides those of a swarm, the one the error is reported for
INCONSISTENT: dict[str, tuple[dict[str, object], str]] = {
    "no node of the database": ({"primaryNode": ""}, "primaryNode"),
    "no node of a replica": ({"replicaNodes": ""}, "replicaNodes"),
    "fewer nodes than replicas": ({"replicas": 2}, "replicaNodes"),
    "more nodes than replicas": ({"replicas": 0}, "replicaNodes"),
    "one address": ({"bind": "127.0.0.1"}, "bind"),
    "an address of one node": ({"bind": "192.0.2.7"}, "bind"),
}


@pytest.mark.parametrize(("raw", "key"), INCONSISTENT.values(), ids=INCONSISTENT.keys())
def test_what_does_not_fit_a_swarm_is_refused(raw: dict[str, object], key: str) -> None:
    (line,) = error_lines({**SWARM, **raw})
    assert line.startswith(f"  {key}: ") and "; fix: pulumi config set" in line


@pytest.mark.parametrize(("raw", "key"), INCONSISTENT.values(), ids=INCONSISTENT.keys())
def test_the_same_is_valid_on_one_machine(raw: dict[str, object], key: str) -> None:
    assert key not in keys(**{**SWARM, **raw, "orchestrator": "docker"})


@pytest.mark.parametrize("tls", [{"tls": "selfSigned"}, CERTIFICATE, ACME], ids=["selfSigned", "own", "acme"])
def test_every_mode_of_tls_is_valid_on_a_swarm(tls: dict[str, object]) -> None:
    assert keys(**SWARM, port=80, httpsPort=443, **tls) == []


def test_a_swarm_without_any_settings_is_told_all_at_once() -> None:
    assert keys(orchestrator="swarm") == ["primaryNode", "replicaNodes", "bind"]


def test_the_number_of_replicas_follows_their_nodes() -> None:
    (line,) = error_lines({**SWARM, "replicaNodes": "a,b,c"})
    assert "has 3 nodes for 1 replicas" in line and line.endswith("pulumi config set replicas 3")
    assert keys(**{**SWARM, "replicaNodes": "a,b,c", "replicas": 3}) == []


@pytest.mark.parametrize(
    ("raw", "key"),
    [({"primaryNode": "a b"}, "primaryNode"), ({"replicas": "many"}, "replicas"), ({"bind": "x"}, "bind")],
)
def test_an_invalid_setting_is_not_reported_for_a_rule_of_a_swarm_too(raw: dict[str, object], key: str) -> None:
    assert keys(**{**SWARM, **raw}) == [key]
