"""One core more: `pulumi up` from one to two against the time a core takes to boot."""

import argparse
from functools import partial

from docker.models.containers import Container
from docker.models.networks import Network

from bench import engine
from bench.figures import Row, Series, table
from tests.support.containers import address

AIM = 1.25
BOOT_SECONDS = 30  # a small DHIS2 takes about a minute
ADDED = "core-2"


def options(parser: argparse.ArgumentParser) -> None:
    """The options of this measurement."""
    parser.add_argument(
        "--boot-seconds", type=int, default=BOOT_SECONDS, help="what the simulator adds to its own boot"
    )


def run(chosen: argparse.Namespace) -> str:
    """Add a core and take it away again, in turn with a boot of that core alone."""
    client = engine.connect()
    conf = f'{{"simulator.boot.seconds": "{chosen.boot_seconds}"}}'
    ups, alone = [], []
    with engine.stack(client, cores=1, dhisConf=conf) as stack:
        stack.up()
        for _ in range(chosen.repetitions):
            stack.set(cores=2)
            ups.append(engine.seconds(stack.up))
            core = stack.container(ADDED)
            core.stop()
            alone.append(engine.seconds(partial(boot, core, client.networks.get(f"{stack.prefix}-app"))))
            stack.set(cores=1)
            stack.up()
    title = f"scale: 1 to 2 cores, {chosen.boot_seconds} s added to the simulator's boot, {chosen.repetitions} repetitions, {engine.machine(client)}"
    rows = [
        Row("pulumi up, s", Series.of(ups)),
        Row("the added core's boot alone, start to ping, s", Series.of(alone)),
        Row("ratio", Series.of(ups).by(Series.of(alone)), aim=AIM),
    ]
    return table(title, rows)


def boot(core: Container, network: Network) -> None:
    """Start a core and return as soon as it answers, asked directly."""
    core.start()
    ip = address(core, network)
    engine.wait_until(lambda: engine.is_ok(ip, "/api/ping"), f"{ADDED} to answer")
