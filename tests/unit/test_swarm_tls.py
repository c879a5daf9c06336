"""Https of a stack on a swarm: how your own certificate and that of a CA reach load balancers on several nodes."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar, cast

import pulumi
import pytest

from components.memory import needed_mb
from components.orchestrator.watcher import NotReady, WaitTarget, Watcher
from components.settings.parsing import parse_settings
from components.tls import acme_on_swarm
from components.tls.acme_client import HEALTHCHECK
from components.tls.acme_on_swarm import CERTIFICATES, until_answered, until_fetched
from components.tls.pem import pair, parse_chain, self_signed
from tests.support.program import CURRENT, PREFIX, VOLUME, FakeEngine, FakeWatcher, Recorded, Registered, Run, plain
from tests.support.swarm import CONFIG, ON_SWARM, SECRET, SERVICE, container_of, files_of, parts_of, service_of
from tests.unit.test_cluster import changed
from tests.unit.test_tls import ACME, CA, CERTIFICATE, DNS, HOST, KEY, OWN

T = TypeVar("T")
OURS = "/opt/dhis2-cluster"
OWN_PEM, SELF_SIGNED, PAIR = (f"{OURS}/secrets/{name}.pem" for name in ("own", "self-signed", "acme-web"))
CLIENT, BALANCER = WaitTarget("certificates", "the certificate of x"), WaitTarget("lb", "the load balancer")


def text_of(item: Registered) -> str:
    return base64.b64decode(plain(item.raw["data"])).decode()


def conf(recorded: Recorded) -> str:
    return text_of(files_of(recorded, "lb")[f"{OURS}/nginx.conf"])


def mounted(recorded: Recorded, part: str) -> dict[str, str]:
    """Return the volumes of a part by their paths."""
    mounts = container_of(recorded, part)["mounts"]
    return {
        mount["target"]: mount["source"].removeprefix(f"{PREFIX}-") for mount in mounts if mount["type"] == "volume"
    }


def with_certificate(printed: str = "") -> FakeWatcher:
    """A swarm whose client and load balancers have a certificate of a CA."""
    return FakeWatcher(engine=FakeEngine(files={CURRENT: pair(CERTIFICATE, KEY)}, printed_by_certificates=printed))


def test_your_own_certificate_is_a_secret_of_the_load_balancers(run: Run) -> None:
    recorded = run(**ON_SWARM, **OWN)
    assert text_of(files_of(recorded, "lb")[OWN_PEM]) == pair(CERTIFICATE, KEY)
    assert f"ssl_certificate {OWN_PEM};" in conf(recorded) and f"ssl_certificate_key {OWN_PEM};" in conf(recorded)
    assert mounted(recorded, "lb") == {}, "a volume is on one node"
    assert SELF_SIGNED not in files_of(recorded, "lb"), "no client is to get another one"
    assert not [line for line in recorded.watcher.engine.done if line.startswith("put")], (
        "nothing is written into a task"
    )
    line = KEY.splitlines()[1]
    assert not [item.name for item in recorded.of(CONFIG) if line in text_of(item)]
    assert [item.name for item in recorded.of(SECRET) if line in text_of(item)] == [
        f"lb-{OWN_PEM[1:]}".replace("/", "-")
    ]


def test_another_certificate_of_your_own_rolls_the_load_balancers_and_nothing_else(run: Run) -> None:
    certificate, key = CA.issue(HOST)
    one, other = run(**ON_SWARM, **OWN), run(**ON_SWARM, **{**OWN, "tlsCertificate": certificate, "tlsKey": key})
    assert changed(one, other) == {"lb", "lb-file-names", "lb-opt-dhis2-cluster-secrets-own.pem"}
    assert service_of(other, "lb")["updateConfig"]["parallelism"] == 1, "the others serve meanwhile"


def test_the_client_of_a_ca_is_one_task_and_its_web_server_is_beside_it(run: Run) -> None:
    recorded = run(watcher=with_certificate(), **ON_SWARM, **ACME)
    assert {"certificates", "acme-web", "lb"} <= parts_of(recorded)
    for part in ("certificates", "acme-web"):
        assert service_of(recorded, part)["taskSpec"]["placement"]["constraints"] == ["node.hostname==db-1"]
        assert service_of(recorded, part)["mode"] == {"replicated": {"replicas": 1}}
    paths = {"/certificates": "acme", "/var/tmp": "acme", "/tmp/acme": "certificates-run"}  # noqa: S108
    assert mounted(recorded, "certificates") == paths
    assert mounted(recorded, "acme-web") == {"/certificates": "acme"}
    (mount,) = [each for each in container_of(recorded, "acme-web")["mounts"] if each["type"] == "volume"]
    assert mount["readOnly"]
    assert not service_of(recorded, "acme-web")["endpointSpec"].get("ports"), "load balancers reach it, and no one else"


def test_each_node_keeps_the_certificate_that_its_load_balancer_has_fetched(run: Run) -> None:
    recorded = run(watcher=with_certificate(), **ON_SWARM, **ACME)
    assert mounted(recorded, "lb") == {"/certificates": "certificates", "/var/tmp": "certificates"}  # noqa: S108
    mounts = {mount["target"] for mount in container_of(recorded, "lb")["mounts"]}
    assert "/tmp" not in mounts and "client_body_temp_path /tmp/nginx-body;" in conf(recorded), "uploads are on disk"  # noqa: S108
    command = container_of(recorded, "lb")["commands"][-3:]
    assert command == [f"{OURS}/start-fetching.sh", "/certificates/current.pem", "https://acme-web:8443/current.pem"]
    assert not recorded.of(VOLUME)


def test_the_certificate_is_fetched_with_a_key_of_its_own(run: Run) -> None:
    recorded = run(watcher=with_certificate(), **ON_SWARM, **ACME)
    (fetching, serving) = (text_of(files_of(recorded, part)[PAIR]) for part in ("lb", "acme-web"))
    assert fetching == serving
    assert {item.kind for item in (files_of(recorded, part)[PAIR] for part in ("lb", "acme-web"))} == {SECRET}
    of_users = text_of(files_of(recorded, "lb")[SELF_SIGNED])
    assert fetching.splitlines()[1] != of_users.splitlines()[1], "users get that certificate"
    holders = [item.name for item in recorded.of(SECRET) if fetching in text_of(item)]
    assert len(holders) == 2


@pytest.mark.parametrize(("settings", "passed"), [(ACME, True), (DNS, False), (OWN, False)])
def test_any_load_balancer_passes_a_challenge_on(run: Run, settings: Mapping[str, object], passed: bool) -> None:
    text = conf(run(watcher=with_certificate(), **ON_SWARM, **settings))
    assert ("proxy_pass http://challenges;" in text) == passed == ("server acme-web:8080 resolve;" in text)
    assert "root /certificates" not in text, "the challenges are on another node"


def test_the_ca_is_asked_when_the_load_balancers_answer_it(run: Run) -> None:
    recorded = run(watcher=with_certificate(), **ON_SWARM, **ACME)
    waited = len(recorded.watcher.waited)
    wait_for(recorded, "certificates-gate")
    assert {"acme-web", "lb"} <= recorded.one(SERVICE, "certificates").needs
    assert recorded.watcher.waited[waited:] == [f"{PREFIX}-acme-web", f"{PREFIX}-lb"], "or the first attempt is lost"


def wait_for(recorded: Recorded, gate: str) -> None:
    asyncio.run(recorded.gates[gate](None))


def test_up_ends_when_the_certificate_of_the_ca_is_served(run: Run) -> None:
    recorded = run(watcher=with_certificate(), **ON_SWARM, **ACME)
    executed = [tuple(command) for command in recorded.watcher.engine.executed]
    assert executed[-3:] == [HEALTHCHECK, CERTIFICATES, CERTIFICATES]
    assert recorded.outputs["url"] == f"https://{HOST}:8443" and not recorded.warnings[1:]


def test_a_renewal_that_has_failed_is_warned_of_and_asked_for_again(run: Run) -> None:
    failure = "the certificate could not be renewed: acme: error: 429 :: rateLimited"
    recorded = run(watcher=with_certificate(failure), **ON_SWARM, **ACME)
    assert "restart certificates" in recorded.watcher.engine.done
    assert any(failure in text for text in recorded.warnings)


def test_an_expired_certificate_fails_up(run: Run) -> None:
    expired, key = CA.issue(HOST, started=timedelta(days=91))
    watcher = FakeWatcher(engine=FakeEngine(files={CURRENT: pair(expired, key)}))
    with pytest.raises(pulumi.RunError, match=f"the certificate of {HOST} has expired on"):
        run(watcher=watcher, **ON_SWARM, **ACME)


def test_the_web_server_counts_for_the_memory() -> None:
    swarm = {key: value for key, value in ON_SWARM.items() if key != "swarm"}
    one, many = needed_mb(parse_settings({**ACME, "replicas": 1})), needed_mb(parse_settings({**swarm, **ACME}))
    assert many == one + 64


def test_a_pair_for_clients_is_one_that_a_server_takes_from_them() -> None:
    one, other = self_signed("seed", "acme-web"), self_signed("seed", "acme-web", for_clients=True)
    assert one != other and parse_chain(other).names == ["acme-web", "localhost"]
    assert other == self_signed("seed", "acme-web", for_clients=True), "or each up would roll the load balancers"


@dataclass
class Answers:
    """A watcher whose commands print one answer after the other, the last one again and again."""

    healthcheck: list[tuple[int, str]] = field(default_factory=lambda: [(0, "")])
    published: list[str] = field(default_factory=lambda: [CERTIFICATE])
    served: list[dict[str, tuple[int, str]]] = field(default_factory=lambda: [{"a": (0, CERTIFICATE)}])
    timeout_seconds: int = 5

    def log_command(self, target: WaitTarget) -> str:
        return f"docker service logs {target.container}"

    async def execute(self, container: str, command: Sequence[str]) -> tuple[int, str]:
        assert container == CLIENT.container
        return following(self.healthcheck) if command == HEALTHCHECK else (0, following(self.published))

    async def execute_on_each(self, container: str, command: Sequence[str]) -> dict[str, tuple[int, str]]:
        assert (container, command) == (BALANCER.container, CERTIFICATES)
        return following(self.served)


def following(answers: list[T]) -> T:
    return answers.pop(0) if len(answers) > 1 else answers[0]


def answered(watcher: Answers) -> str:
    return asyncio.run(until_answered(cast("Watcher", watcher), CLIENT, HEALTHCHECK))


def fetched(watcher: Answers) -> str:
    return asyncio.run(until_fetched(cast("Watcher", watcher), CLIENT, BALANCER))


@pytest.fixture(autouse=True)
def _no_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acme_on_swarm, "POLL_SECONDS", 0)


def test_a_wait_for_the_ca_ends_with_its_answer() -> None:
    waiting = (1, "the CA has not answered yet\n")
    assert answered(Answers(healthcheck=[waiting, waiting, (0, "")])) == ""
    failed = (0, "the certificate could not be renewed: refused\n")
    assert answered(Answers(healthcheck=[waiting, failed])) == "the certificate could not be renewed: refused"
    refused = (1, "fatal: the CA issued no certificate: rejectedIdentifier\n")
    with pytest.raises(NotReady) as caught:
        answered(Answers(healthcheck=[waiting, refused]))
    expected = "the certificate of x: the CA issued no certificate: rejectedIdentifier. Full log: docker service logs certificates"
    assert str(caught.value) == expected
    with pytest.raises(NotReady, match="the CA has not answered yet, after 0 s"):
        answered(Answers(healthcheck=[waiting], timeout_seconds=0))


def test_a_wait_for_the_load_balancers_ends_when_all_have_what_is_published() -> None:
    old, new, nothing, paused = (0, "old"), (0, CERTIFICATE), (2, "no such file"), (-1, "no suitable node")
    served: list[dict[str, tuple[int, str]]] = [
        {},
        {"a": old, "b": old},
        {"a": new, "b": nothing},
        {"a": new, "b": new, "c": paused},
    ]
    watcher = Answers(served=list(served), published=["", CERTIFICATE])
    assert fetched(watcher) == CERTIFICATE
    assert watcher.served == [served[-1]], "not before"
    with pytest.raises(
        NotReady, match="was not fetched by the load balancer on b within 0 s; see: docker service logs"
    ):
        fetched(Answers(served=[served[2]], timeout_seconds=0))
