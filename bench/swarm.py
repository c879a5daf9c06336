"""Cores on a Docker Swarm: requests per second of 1, 2 and 4 cores on three nodes of this machine."""

import argparse
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from bench import engine
from bench.engine import BenchError
from bench.figures import Row, Series, table, throughput
from offline.images.catalogue import CATALOGUE
from tests.support.containers import MissingImage
from tests.swarm.lab import Swarm
from tests.swarm.stacks import SwarmStack, deployed

SIZES = (1, 2, 4)
SECONDS, WARM_SECONDS = 6, 3
# What is left of the warm-up's requests when its clients are gone: 800 that 200 threads answer in 0.5 s each.
SETTLE_SECONDS = 2.5
# One node has the load balancer and manages the swarm, the others have a database each; cores run on any.
NODES = {"lbNodes": '["node-1"]', "primaryNode": "node-2", "replicaNodes": '["node-3"]'}
SERVICE_LABEL = "com.docker.swarm.service.name"
GROUPS = {"core": "cores", "lb": "load balancer", "primary": "databases", "replica": "databases", "cache": "cache"}
LATEST_ANSWER_SECONDS = 30
# Of the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.
IDLE, IO_WAIT, COUNTED = 3, 4, 8


@dataclass(frozen=True)
class Request:
    """What the clients send: so many connections, each with its next request as soon as one is answered."""

    what: str
    path: str
    connections: int


# The first is bounded by processors. The second takes none while it waits, like a long query of a database, and is
# bounded by the 200 request threads of a core.
REQUESTS = (
    Request("reads of organisation units", "/api/organisationUnits?pageSize=5", 32),
    Request("requests that wait for 0.5 s", "/api/simulator/sleep?ms=500", 800),
)


@dataclass
class Measured:
    """What was measured with one kind of request, by the number of cores, in the order of repetitions."""

    per_second: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    idle_percent: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_ms: dict[int, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))


def options(parser: argparse.ArgumentParser) -> None:
    """The options of this measurement."""
    parser.add_argument("--seconds", type=int, default=SECONDS, help="length of each run of wrk")


def run(chosen: argparse.Namespace) -> str:
    """Deploy once, then scale to each size in turn and send both kinds of requests."""
    engine.need("wrk", "On Debian: apt-get install wrk")
    engine.need("dockerd", "On Debian: apt-get install docker.io")
    measured = {request: Measured() for request in REQUESTS}
    placed: dict[int, dict[str, int]] = {}
    images = [tag for recipe in CATALOGUE for tag in recipe.tags]
    with engine.folder() as folder, closing(engine.connect()) as client:
        title = f"swarm: three nodes share {engine.machine(client)}; {chosen.seconds} s each, {chosen.repetitions} repetitions"
        try:
            with Swarm(nodes=3, managers=1, images=images) as swarm, deployed(swarm, folder, **NODES) as stack:
                for _ in range(chosen.repetitions):
                    for cores in SIZES:
                        stack.stack.set(cores=cores)
                        stack.stack.up()
                        placed[cores] = {
                            node.hostname: count for node in swarm.nodes if (count := stack.cores_on(node))
                        }
                        for request, series in measured.items():
                            measure(stack, request, cores, chosen.seconds, series)
        except MissingImage as error:
            raise BenchError(str(error)) from error
    places = "; ".join(
        f"{cores}: {', '.join(f'{n} on {node}' for node, n in placed[cores].items())}" for cores in SIZES
    )
    tables = [
        table(f"{request.what}, {request.connections} connections, GET {request.path}", rows(series))
        for request, series in measured.items()
    ]
    return "\n\n".join([f"{title}\ncores in the last repetition: {places}", *tables])


def rows(measured: Measured) -> list[Row]:
    """The lines about one kind of request."""
    rate = {cores: Series.of(values) for cores, values in measured.per_second.items()}
    least, most = min(SIZES), max(SIZES)
    return [
        *(Row(f"requests per second, {named(cores)}", rate[cores], 0) for cores in SIZES),
        *(Row(f"  {named(cores)} / {named(least)}", rate[cores].by(rate[least])) for cores in SIZES[1:]),
        *(Row(f"idle processors, {named(n)}, %", Series.of(measured.idle_percent[n]), 0) for n in SIZES),
        *(
            Row(f"CPU of the {group}, {named(cores)}, ms a request", Series.of(values))
            for cores in (least, most)
            for group, values in measured.cpu_ms[cores].items()
        ),
    ]


def named(cores: int) -> str:
    return f"{cores} core{'s' if cores > 1 else ''}"


def measure(stack: SwarmStack, request: Request, cores: int, seconds: int, measured: Measured) -> None:
    """Run wrk, after some seconds that do not count: NGINX and the JVMs of new cores take them to warm up."""
    node = stack.swarm.nodes[0]
    (session,) = (f"{cookie.name}={cookie.value}" for cookie in stack.log_in(node).jar)
    url = f"{stack.url(node)}{request.path}"
    wrk(url, session, WARM_SECONDS, request.connections)
    time.sleep(SETTLE_SECONDS)
    # Asking for the containers' CPU takes seconds, which are no part of the idle share.
    parts = cpu_seconds(stack)
    processors, began = processor_ticks(), time.monotonic()
    per_second = wrk(url, session, seconds, request.connections)
    idle, answered = idle_percent(processors, processor_ticks()), per_second * (time.monotonic() - began)
    measured.per_second[cores].append(per_second)
    measured.idle_percent[cores].append(idle)
    for group, used in cpu_seconds(stack).items():
        measured.cpu_ms[cores][group].append((used - parts[group]) * 1000 / answered)


def wrk(url: str, session: str, seconds: int, connections: int) -> float:
    """Return the requests per second of one run of wrk with one thread. Raises BenchError when requests failed."""
    command = ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={LATEST_ANSWER_SECONDS}s"]
    line = [*command, "-H", f"Cookie: {session}", url]
    done = subprocess.run(line, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, our own words
    try:
        return throughput(done.stdout).per_second
    except ValueError as error:
        raise BenchError(f"{' '.join(command)} {url}: {error} {done.stderr}") from error


def cpu_seconds(stack: SwarmStack) -> dict[str, float]:
    """Return how many seconds of a processor the containers of each group have used since their start."""
    used: dict[str, float] = {}
    for node in stack.swarm.nodes:
        with closing(node.client()) as client:
            for container in client.containers.list(ignore_removed=True):
                part = container.labels.get(SERVICE_LABEL, "").removeprefix(f"{stack.stack.prefix}-")
                group = GROUPS.get(part.partition("-")[0])
                if group:
                    stats = client.api.stats(container.id, stream=False, one_shot=True)
                    used[group] = used.get(group, 0.0) + stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
    return used


def processor_ticks(read: Callable[[], str] = Path("/proc/stat").read_text) -> tuple[int, ...]:
    """Return what all processors have spent since boot, in the kernel's ticks."""
    return tuple(int(ticks) for ticks in read().splitlines()[0].split()[1 : COUNTED + 1])


def idle_percent(before: tuple[int, ...], after: tuple[int, ...]) -> float:
    """Return the share of the time in between in which processors had nothing to do."""
    spent = [late - early for early, late in zip(before, after, strict=True)]
    return 100 * (spent[IDLE] + spent[IO_WAIT]) / sum(spent)
