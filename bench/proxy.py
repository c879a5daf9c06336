"""What a load balancer adds: ours and the compose file's, each against going to the core directly."""

import argparse
import subprocess
from dataclasses import dataclass, field

from docker.models.containers import Container
from docker.models.networks import Network

from bench import engine
from bench.engine import BenchError
from bench.figures import Row, Series, Throughput, table, throughput
from tests.support.containers import Containers, address
from tests.support.stack import Stack

AIM = 1.0
SECONDS = 3
MANY = 16  # connections of the runs that measure throughput; one connection measures latency
PORT = 8080
PATH = "/api/ping"
CONF = "/opt/nginx.conf"
WAYS = ("directly", "ours", "plain")


@dataclass
class Measured:
    """What was measured on each way, in the order of repetitions."""

    latency_ms: dict[str, list[float]] = field(default_factory=lambda: {way: [] for way in WAYS})
    per_second: dict[str, list[float]] = field(default_factory=lambda: {way: [] for way in WAYS})


def options(parser: argparse.ArgumentParser) -> None:
    """The options of this measurement."""
    parser.add_argument("--seconds", type=int, default=SECONDS, help="length of each run of wrk")
    parser.add_argument("--connections", type=int, default=MANY, help="connections of the throughput runs")


def run(chosen: argparse.Namespace) -> str:
    """Load a core that does nothing but answer, then a simulator, on all three ways in turn."""
    engine.need("wrk", "On Debian: apt-get install wrk")
    client = engine.connect()
    with engine.stack(client, cores=1, replicas=0) as stack, engine.containers(client) as made:
        stack.up()
        try:
            simulator = measure(ways(stack, made, stack.container("core-1")), chosen)
            quick = measure(ways(stack, made, quick_core(stack, made)), chosen)
        finally:
            made.close()  # before the stack's network
    title = f"proxy: GET {PATH}, latency with 1 connection, throughput with {chosen.connections}, {chosen.seconds} s each, {chosen.repetitions} repetitions, {engine.machine(client)}"
    quickest = table("a core that does nothing but answer", rows(quick))
    return "\n\n".join([title, quickest, table("a simulator", rows(simulator))])


def rows(measured: Measured) -> list[Row]:
    """The lines about one kind of core."""
    latency = {way: Series.of(values) for way, values in measured.latency_ms.items()}
    rate = {way: Series.of(values) for way, values in measured.per_second.items()}
    added = {way: latency[way].minus(latency["directly"]) for way in ("ours", "plain")}
    return [
        *(Row(f"median latency, {way}, ms", latency[way], 3) for way in WAYS),
        *(Row(f"  added by {way}, ms", added[way], 3) for way in added),
        Row("latency, ours / plain", latency["ours"].by(latency["plain"])),
        *(Row(f"requests per second, {way}", rate[way], 0) for way in WAYS),
        *(Row(f"  {way} / directly", rate[way].by(rate["directly"])) for way in ("ours", "plain")),
        Row("requests per second, ours / plain", rate["ours"].by(rate["plain"])),
    ]


def measure(addresses: dict[str, str], chosen: argparse.Namespace) -> Measured:
    """Run wrk on each way in turn, after a second that does not count."""
    measured = Measured()
    for url in addresses.values():
        wrk(url, 1, chosen.connections)
    for _ in range(chosen.repetitions):
        for way, url in addresses.items():
            measured.latency_ms[way].append(wrk(url, chosen.seconds, 1).median_ms)
        for way, url in addresses.items():
            measured.per_second[way].append(wrk(url, chosen.seconds, chosen.connections).per_second)
    return measured


def wrk(url: str, seconds: int, connections: int) -> Throughput:
    """One run of wrk with one thread. Raises BenchError when requests failed."""
    command = ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, our own words
    try:
        return throughput(done.stdout)
    except ValueError as error:
        raise BenchError(f"{' '.join(command)}: {error} {done.stderr}") from error


def quick_core(stack: Stack, made: Containers) -> Container:
    """Put a core that does nothing but answer in the place of the stack's own; the load balancer looks by name."""
    stack.container("core-1").stop()
    return nginx(stack, made, "quick-core.conf", "core")


def ways(stack: Stack, made: Containers, core: Container) -> dict[str, str]:
    """The addresses of a core, of the stack's load balancer, and of the compose file's, which is started for it."""
    network = app_network(stack)
    containers = {
        "directly": core,
        "ours": stack.container("lb"),
        "plain": nginx(stack, made, "plain-nginx.conf", "plain"),
    }
    addresses = {way: address(container, network) for way, container in containers.items()}
    for way, ip in addresses.items():
        engine.wait_until(lambda ip=ip: engine.is_ok(ip, PATH), f"{way} to answer")  # type: ignore[misc]
    return {way: f"http://{ip}:{PORT}{PATH}" for way, ip in addresses.items()}


def nginx(stack: Stack, made: Containers, conf: str, alias: str) -> Container:
    """A running NGINX on the stack's network of cores, with a configuration of ours."""
    image, files = engine.image(stack.docker, "loadBalancerImage"), {CONF: (engine.FILES / conf).read_bytes()}
    entrypoint = ["nginx", "-c", CONF]
    return made.start(image, files=files, alias=alias, network=app_network(stack), entrypoint=entrypoint)


def app_network(stack: Stack) -> Network:
    """Return the network of load balancer and cores."""
    return stack.docker.networks.get(f"{stack.prefix}-app")
