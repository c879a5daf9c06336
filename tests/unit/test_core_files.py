"""The files of a core: dhis.conf as Java and DHIS2 read it, and Tomcat's server.xml."""

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qs
from xml.etree import ElementTree

import jinja2
import pytest

from components.core.core_pool import STOP_TIMEOUT_SECONDS
from components.dhis2.release import ConnectionPool
from components.load_balancer.load_balancer import nginx_conf
from components.orchestrator.interface import Endpoint
from components.templates.escaping import property_key, property_text, property_value
from components.templates.rendering import render
from tests.unit.java_properties import load, substituted

VALUES: dict[str, object] = {
    "primary": Endpoint("postgres-primary", 5432),
    "replicas": [Endpoint("postgres-replica-1", 5432), Endpoint("postgres-replica-2", 5432)],
    "cache": Endpoint("cache", 6379),
    "leader": False,
    "pool": ConnectionPool.HIKARI,
    "database_password": "database",
    "cache_password": "cache",
    "encryption_password": "encryption",
    "migrates_out_of_order": False,
    "repairs_migrations": False,
    "base_url": "http://localhost:8080",
    "https": False,
    "extra": {},
    "bucket": None,
}
NASTY = [
    "plain",
    "two words",
    " leading",
    "\ttab and\nline\r\f",
    "back\\slash\\",
    "\\u0041",
    "a=b:c",
    "#hash",
    "!bang",
    "${HOME}",
    "$${HOME}",
    "${X:-y}",
    "${${HOME}}${",
    "${HO\nME}",
    "$$$",
    "$",
    "${",
    "x}$",
    "'\"`",
    "ünïcode",
    "😀",
    "\x7f\x01\x7f",
]
# Prints the code points of all keys and values, which no terminal encoding can change.
JAVA = """
import java.io.FileInputStream;
import java.util.Properties;
public class Load {
  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    try (FileInputStream in = new FileInputStream(arguments[0])) { properties.load(in); }
    for (String key : properties.stringPropertyNames()) {
      print(key, "="); print(properties.getProperty(key), "\\n");
    }
  }
  static void print(String text, String end) {
    text.codePoints().forEach(point -> System.out.print(point + " "));
    System.out.print(end);
  }
}
"""


def conf(**values: object) -> dict[str, str]:
    """The loaded dhis.conf."""
    return load(render("core/dhis.conf.j2", **{**VALUES, **values}))


@pytest.mark.parametrize("text", NASTY)
def test_a_value_arrives_in_dhis2_unchanged(text: str) -> None:
    loaded = load(f"a.key = {property_value(text)}\nnext = 1\n")
    assert set(loaded) == {"a.key", "next"}, "the value must not swallow or begin a line"
    variables = {"HOME": "/replaced", "HO\nME": "/replaced"}
    assert substituted(loaded["a.key"], variables) == text.strip(), "DHIS2 must not replace variables in a password"


@pytest.mark.parametrize("text", NASTY)
def test_the_text_of_a_value_is_read_back(text: str) -> None:
    assert property_text(property_value(text)) == text, "a command reads keys of a deployed dhis.conf"


@pytest.mark.parametrize("text", NASTY)
def test_a_key_arrives_in_dhis2_unchanged(text: str) -> None:
    assert load(f"{property_key(text)} = value\n") == {text: "value"}, "no character of a key may end it"


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="may not be empty"):
        property_key("")


def test_java_reads_the_same_values(tmp_path: Path) -> None:
    java = shutil.which("java")
    if not java:
        pytest.skip("no java on this machine: only the tests' own parser has read the file")
    expected = {f"key{number}{text}": text for number, text in enumerate(NASTY)}
    lines = [f"{property_key(key)} = {property_value(text)}\n" for key, text in expected.items()]
    (tmp_path / "dhis.conf").write_text("".join(lines), encoding="latin-1")
    (tmp_path / "Load.java").write_text(JAVA)
    command = [java, "-Xmx64m", str(tmp_path / "Load.java"), str(tmp_path / "dhis.conf")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    loaded = {}
    for line in printed.splitlines():
        key, value = ("".join(chr(int(point)) for point in part.split()) for part in line.split("="))
        loaded[key] = value
    # Java only loads; `${` is doubled for DHIS2's own step after it.
    assert {key: substituted(value, {}) for key, value in loaded.items()} == {
        key: text.strip() for key, text in expected.items()
    }, "Java's own Properties.load must agree with the tests' parser"


@pytest.mark.parametrize("missing", sorted(VALUES))
def test_no_value_of_dhis_conf_may_be_missing(missing: str) -> None:
    values = {name: value for name, value in VALUES.items() if name != missing}
    with pytest.raises(jinja2.UndefinedError):
        render("core/dhis.conf.j2", **values)


@pytest.mark.parametrize("pool", ConnectionPool)
def test_a_read_replica_fails_over_to_the_primary(pool: ConnectionPool) -> None:
    keys = conf(pool=pool)
    assert sorted(key for key in keys if re.match(r"read\d", key)) == ["read1.connection.url", "read2.connection.url"]
    for number in (1, 2):
        hosts, _, parameters = keys[f"read{number}.connection.url"].partition("?")
        assert hosts == f"jdbc:postgresql://postgres-replica-{number}:5432,postgres-primary:5432/dhis", (
            "DHIS2 itself has no failover between replicas"
        )
        assert "targetServerType=preferSecondary" in parameters, "reads go to the replica while it runs"
        assert "connectTimeout=3" in parameters, "the address of a removed replica drops packets"
        values = parse_qs(parameters)
        assert values["options"] == ["-c statement_timeout=1800000"], "the server ends what takes too long, in ms"
        assert int(values["socketTimeout"][0]) > 1800, "the driver must not leave before the server ends a statement"
    assert not re.search("socketTimeout|statement_timeout", keys["connection.url"]), (
        "an analytics statement is silent for hours"
    )


def test_without_replicas_there_are_no_read_keys() -> None:
    keys = conf(replicas=[])
    assert not [key for key in keys if key.startswith("read")], "DHIS2 would wait for a replica that does not exist"
    assert "analytics.table.unlogged" not in keys, "a single database may use faster unlogged tables"


def test_analytics_tables_are_replicated() -> None:
    assert conf()["analytics.table.unlogged"] == "off", "unlogged tables cannot be read on a replica"


def test_the_primary_leader_reads_from_the_primary_and_runs_the_jobs() -> None:
    keys = conf(leader=True)
    assert not [key for key in keys if key.startswith("read")], "CREATE TABLE would be sent to a replica"
    assert keys["node.primary_leader"] == "on", "the jobs of all cores run where they can write"
    assert "node.primary_leader" not in conf(), "at most one core may be the primary leader"
    assert keys["analytics.table.unlogged"] == "off", "the other cores still read from replicas"


def test_only_the_node_id_is_replaced_from_the_environment() -> None:
    unchanged = {key: value for key, value in conf(extra={"a": "${HOME}"}).items() if substituted(value, {}) == value}
    variables = [key for key, value in unchanged.items() if "${" in value]
    assert variables == ["node.id"], "one file serves all cores, and only their names differ"


def test_dhis2_is_never_read_only() -> None:
    assert "system.read_only_mode" not in conf(), "when on, DHIS2 skips cache invalidation, jobs and the first user"


def test_the_setting_dhis_conf_overrides_keys() -> None:
    keys = conf(extra={"flyway.repair_before_migration": "false", "oidc.provider.x.client_secret": "a\\b${c}"})
    assert keys["flyway.repair_before_migration"] == "false", "Java keeps the last of equal keys"
    assert substituted(keys["oidc.provider.x.client_secret"], {"c": "no"}) == "a\\b${c}", "taken literally"


def test_hikaricp_and_c3p0_have_their_own_keys() -> None:
    hikari, c3p0 = conf(pool=ConnectionPool.HIKARI), conf(pool=ConnectionPool.C3P0)
    assert int(hikari["connection.pool.max_lifetime_seconds"]) <= 300, "reads return to a replica within minutes"
    assert c3p0["connection.pool.test.on.checkout"] == "on", "a dead replica costs no query"
    assert not [key for key in hikari if key.startswith("connection.pool.test")], "DHIS2 warns about c3p0's keys there"


def server_xml() -> ElementTree.Element:
    """The parsed server.xml."""
    return ElementTree.fromstring(render("core/server.xml"))  # noqa: S314 - our own file


REQUESTS, PROBES = "./Service/Connector[@port='8080']", "./Service/Connector[@port='8090']"


def attributes(path: str) -> dict[str, str]:
    """The attributes of the one element of server.xml at a path."""
    (element,) = server_xml().findall(path)
    return dict(element.attrib)


@pytest.mark.parametrize("connector", [REQUESTS, PROBES])
def test_a_starting_core_refuses_connections(connector: str) -> None:
    assert attributes(connector)["bindOnInit"] == "false", "otherwise they hang until it has started"


def test_tomcat_has_no_shutdown_port() -> None:
    assert server_xml().attrib["port"] == "-1"


def test_the_scripts_probe_the_port_of_the_probe_connector() -> None:
    assert "\nPROBE_PORT=8090\n" in render("core/probe.sh")
    assert attributes(PROBES)["address"] == "127.0.0.1", "only the container's own scripts use it"
    assert "executor" not in attributes(PROBES), "its threads must not be those of the requests"


def test_a_stopping_core_finishes_within_the_stop_timeout() -> None:
    graceful_seconds = int(attributes("./Service")["gracefulStopAwaitMillis"]) / 1000
    assert graceful_seconds + 10 <= STOP_TIMEOUT_SECONDS, "the web application stops after the last request"


def test_the_watchdog_waits_longer_for_a_stopping_core_than_docker() -> None:
    numbers = dict(re.findall(r"^(\w+)=(\d+)$", render("core/watchdog.sh"), re.MULTILINE))
    seconds = int(numbers["CLOSED_PROBES"]) * int(numbers["INTERVAL_SECONDS"])
    assert seconds > STOP_TIMEOUT_SECONDS, "the port of a stopping core is closed"


def test_the_core_keeps_connections_longer_than_the_load_balancer() -> None:
    conf = nginx_conf("core:8080", "http://127.0.0.1:8080")
    (upstream,) = re.findall(r"upstream core \{.*?\n    \}", conf, re.DOTALL)
    (seconds,) = re.findall(r"keepalive_timeout (\d+)s;", upstream)
    assert int(attributes(REQUESTS)["keepAliveTimeout"]) > 2 * 1000 * int(seconds), (
        "a POST on a connection that the core closes is lost"
    )


def test_tomcat_serves_dhis2_as_its_own_image_does() -> None:
    assert attributes("./Service/Engine/Host/Context") == {"path": "${context.path}", "docBase": "ROOT/"}
    assert set("\\{}|[]") <= set(attributes(REQUESTS)["relaxedQueryChars"]), "DHIS2's own queries"


def test_error_pages_disclose_no_version() -> None:
    valves = {valve.attrib["className"].rpartition(".")[2]: valve for valve in server_xml().iter("Valve")}
    assert valves["ErrorReportValve"].attrib["showServerInfo"] == "false", "attackers look for versions"
    assert "RemoteIpValve" in valves, "DHIS2 logs the user's address, not the load balancer's"


def test_tomcat_logs_to_the_container_only() -> None:
    handlers = load(render("core/logging.properties"))["handlers"]
    assert handlers == "java.util.logging.ConsoleHandler", "why a web application failed belongs there, too"


def test_flyway_is_as_dhis2_ships_it_unless_the_release_needs_otherwise() -> None:
    assert not [key for key in conf() if key.startswith("flyway.")], "each key that is on costs a warning or a check"
    assert conf(migrates_out_of_order=True)["flyway.migrate_out_of_order"] == "true"
    assert conf(repairs_migrations=True)["flyway.repair_before_migration"] == "true"
