"""One core more: `pulumi up` from one to two against the time a core takes to boot."""

import argparse

from bench import engine
from bench.figures import Row, Series, table
from bench.moments import Moments

AIM = 1.25
BOOT_SECONDS = 30  # a small DHIS2 takes about a minute; a simulator that boots in five tells more of the engine's clock
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
    ups, inside, alone = [], [], []
    with engine.stack(client, cores=1, dhisConf=conf) as stack, Moments(client, stack.prefix).recorded() as moments:
        stack.up()
        for _ in range(chosen.repetitions):
            stack.set(cores=2)
            moments.forget()
            ups.append(engine.seconds(stack.up))
            inside.append(moments.boot_seconds(ADDED))
            core = stack.container(ADDED)
            core.stop()
            moments.forget()
            core.start()
            alone.append(moments.boot_seconds(ADDED))
            stack.set(cores=1)
            stack.up()
    title = (
        f"scale: 1 to 2 cores, {chosen.boot_seconds} s added to the simulator's boot, "
        f"{chosen.repetitions} repetitions, {engine.machine(client)}"
    )
    rows = [
        Row("pulumi up, s", Series.of(ups)),
        Row("boot of the added core within it, s", Series.of(inside)),
        Row("the same core's boot alone, s", Series.of(alone)),
        Row("up / boot alone", Series.of(ups).by(Series.of(alone)), aim=AIM),
        Row("up / boot within it", Series.of(ups).by(Series.of(inside))),
    ]
    return table(title, rows)
