"""What is put into a core: dhis.conf as Java and DHIS2 read it, and Tomcat's server.xml."""

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import jinja2
import pytest

from components.core.core_pool import STOP_TIMEOUT_SECONDS
from components.templates.escaping import property_key, property_value
from components.templates.rendering import render
from tests.unit.java_properties import load, substituted

VALUES: dict[str, object] = {
    "replicas": 2,
    "leader": False,
    "analytics_unlogged_off": True,
    "pool": "hikari",
    "database_password": "database",
    "cache_password": "cache",
    "encryption_password": "encryption",
    "base_url": "http://localhost:8080",
    "extra": {},
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
def test_a_value_arrives_in_dhis2_as_it_was_given(text: str) -> None:
    loaded = load(f"a.key = {property_value(text)}\nnext = 1\n")
    assert set(loaded) == {"a.key", "next"}, "the value must not swallow or begin a line"
    variables = {"HOME": "/replaced", "HO\nME": "/replaced"}
    assert substituted(loaded["a.key"], variables) == text.strip(), "a password is no template"


@pytest.mark.parametrize("text", NASTY)
def test_a_key_arrives_as_it_was_given(text: str) -> None:
    assert load(f"{property_key(text)} = value\n") == {text: "value"}, "the key ends where it was meant to end"


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="may not be empty"):
        property_key("")


def test_java_reads_what_the_rules_say(tmp_path: Path) -> None:
    java = shutil.which("java")
    if not java:
        pytest.skip("no java on this machine: only the rules as this project wrote them down were checked")
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
    }, "Java itself must agree"


@pytest.mark.parametrize("missing", sorted(VALUES))
def test_no_value_of_dhis_conf_may_be_missing(missing: str) -> None:
    values = {name: value for name, value in VALUES.items() if name != missing}
    with pytest.raises(jinja2.UndefinedError):
        render("core/dhis.conf.j2", **values)


@pytest.mark.parametrize("pool", ["hikari", "c3p0"])
def test_a_replica_has_the_primary_behind_it(pool: str) -> None:
    found = conf(pool=pool)
    assert sorted(key for key in found if re.match(r"read\d", key)) == ["read1.connection.url", "read2.connection.url"]
    for number in (1, 2):
        hosts, _, parameters = found[f"read{number}.connection.url"].partition("?")
        assert hosts == f"jdbc:postgresql://postgres-replica-{number}:5432,postgres-primary:5432/dhis", (
            "DHIS2 knows no other way when a replica is dead"
        )
        assert "targetServerType=preferSecondary" in parameters, "reads belong to the replica while it lives"
        assert "connectTimeout=3" in parameters, "the address of a removed replica answers nothing"
    assert "socketTimeout" not in found["connection.url"], "building analytics tables is silent for hours"


def test_without_replicas_there_are_no_read_keys() -> None:
    found = conf(replicas=0, analytics_unlogged_off=False)
    assert not [key for key in found if key.startswith("read")], "DHIS2 would wait for a replica that is not there"
    assert "analytics.table.unlogged" not in found, "a single database may use faster unlogged tables"


def test_analytics_tables_reach_the_replicas() -> None:
    assert conf()["analytics.table.unlogged"] == "off", "unlogged tables are empty on a replica"


def test_the_leader_reads_from_the_primary_and_runs_the_jobs() -> None:
    found = conf(leader=True)
    assert not [key for key in found if key.startswith("read")], "CREATE TABLE would be sent to a replica"
    assert found["node.primary_leader"] == "on", "the jobs of all cores run where they can write"
    assert "node.primary_leader" not in conf(), "only one core may say so"
    assert found["analytics.table.unlogged"] == "off", "the other cores still read from replicas"


def test_each_core_names_itself_and_nothing_else_is_replaced() -> None:
    raw = {key: value for key, value in conf(extra={"a": "${HOME}"}).items() if substituted(value, {}) == value}
    replaced = [key for key, value in raw.items() if "${" in value]
    assert replaced == ["node.id"], "one file serves all cores, and only their names differ"


def test_dhis2_is_never_read_only() -> None:
    assert "system.read_only_mode" not in conf(), "on, it skips cache invalidation, jobs and the first user"


def test_further_keys_come_last_and_win() -> None:
    found = conf(extra={"flyway.repair_before_migration": "false", "oidc.provider.x.client_secret": "a\\b${c}"})
    assert found["flyway.repair_before_migration"] == "false", "Java keeps the last of equal keys"
    assert substituted(found["oidc.provider.x.client_secret"], {"c": "no"}) == "a\\b${c}", "taken literally"


def test_hikari_and_c3p0_get_the_keys_they_know() -> None:
    hikari, c3p0 = conf(pool="hikari"), conf(pool="c3p0")
    assert int(hikari["connection.pool.max_lifetime_seconds"]) <= 300, "reads return to a replica within minutes"
    assert c3p0["connection.pool.test.on.checkout"] == "on", "a dead replica costs no query"
    assert not [key for key in hikari if key.startswith("connection.pool.test")], "DHIS2 warns of c3p0's keys there"


def server_xml() -> ElementTree.Element:
    """The parsed server.xml."""
    return ElementTree.fromstring(render("core/server.xml"))  # noqa: S314 - our own file


def attributes(path: str) -> dict[str, str]:
    """The attributes of one element of server.xml."""
    element = server_xml().find(path)
    assert element is not None, f"server.xml has {path}"
    return dict(element.attrib)


def test_a_booting_core_refuses_connections() -> None:
    assert attributes("./Service/Connector")["bindOnInit"] == "false", "else they hang until it has booted"
    assert server_xml().attrib["port"] == "-1", "nobody shuts Tomcat down over the network"


def test_a_stopping_core_finishes_within_the_time_the_engine_gives() -> None:
    waits = int(attributes("./Service")["gracefulStopAwaitMillis"]) / 1000
    assert waits + 10 <= STOP_TIMEOUT_SECONDS, "the web application needs time to stop after the last request"


def test_the_core_keeps_connections_longer_than_the_load_balancer() -> None:
    upstream = re.search(
        r"upstream core \{.*?\n    \}", render("load_balancer/nginx.conf.j2", trusted_proxies=()), re.DOTALL
    )
    assert upstream is not None, "the load balancer has the cores as upstream"
    kept = re.search(r"keepalive_timeout (\d+)s;", upstream.group())
    assert kept is not None, "NGINX would keep idle connections for a minute"
    assert int(attributes("./Service/Connector")["keepAliveTimeout"]) > 2 * 1000 * int(kept.group(1)), (
        "a POST on a connection the core is closing is lost"
    )


def test_tomcat_serves_dhis2_as_its_own_image_does() -> None:
    assert attributes("./Service/Engine/Host/Context") == {"path": "${context.path}", "docBase": "ROOT/"}
    assert set("\\{}|[]") <= set(attributes("./Service/Connector")["relaxedQueryChars"]), "DHIS2's own queries"


def test_error_pages_tell_no_version() -> None:
    valves = {valve.attrib["className"].rpartition(".")[2]: valve for valve in server_xml().iter("Valve")}
    assert valves["ErrorReportValve"].attrib["showServerInfo"] == "false", "it tells attackers where to look"
    assert "RemoteIpValve" in valves, "DHIS2 logs the user's address, not the load balancer's"


def test_tomcat_logs_to_the_container_alone() -> None:
    handlers = load(render("core/logging.properties"))["handlers"]
    assert handlers == "java.util.logging.ConsoleHandler", "why a web application failed stands in no file"
