"""`pulumi up` with nothing to change: the whole stack against an empty program."""

import argparse
from dataclasses import dataclass

from bench import engine
from bench.figures import Row, Series, table
from tests.support.project import ROOT
from tests.support.stack import Stack

AIM = 2.0


@dataclass
class Empty(Stack):
    """A program without resources, run by the same `pulumi`, host and virtual environment."""

    def __post_init__(self) -> None:
        """Lay out the project folder and make the stack."""
        (self.folder / "state").mkdir(parents=True)
        (self.folder / ".venv").symlink_to(ROOT / ".venv")
        (self.folder / "__main__.py").write_text("import pulumi\n")
        (self.folder / "Pulumi.yaml").write_text(
            "name: empty\nruntime: {name: python, options: {toolchain: pip, virtualenv: .venv}}\n"
        )
        self.must("stack", "init", self.name)


def options(parser: argparse.ArgumentParser) -> None:
    """The options of this measurement."""
    parser.add_argument("--cores", type=int, default=2, help="cores of the stack")


def run(chosen: argparse.Namespace) -> str:
    """Deploy both, then let both find in turn that nothing is to be changed."""
    client = engine.connect()
    with engine.stack(client, cores=chosen.cores) as stack, engine.folder() as place:
        empty = Empty(name=engine.unique(), folder=place / "empty", docker=client)
        stack.up()
        empty.up()
        whole, nothing, whole_alone, nothing_alone = [], [], [], []
        for _ in range(chosen.repetitions):
            whole.append(engine.seconds(lambda: previewed(stack)))
            nothing.append(engine.seconds(lambda: previewed(empty)))
            whole_alone.append(engine.seconds(stack.up))
            nothing_alone.append(engine.seconds(empty.up))
        resources = len(stack.must("stack", "--show-urns", "--stack", stack.name).split("urn:pulumi:")) - 1
    title = f"noop: {resources} resources ({chosen.cores} cores, 1 replica), {chosen.repetitions} repetitions, {engine.machine(client)}"
    rows = [
        Row("pulumi up, s", Series.of(whole)),
        Row("pulumi up of an empty program, s", Series.of(nothing)),
        Row("ratio", Series.of(whole).by(Series.of(nothing)), aim=AIM),
        Row("without preview, s", Series.of(whole_alone)),
        Row("without preview, empty program, s", Series.of(nothing_alone)),
        Row("ratio", Series.of(whole_alone).by(Series.of(nothing_alone)), aim=AIM),
    ]
    return table(title, rows)


def previewed(stack: Stack) -> None:
    """`pulumi up` as a person gives it: first a preview, then the update."""
    stack.must("up", "--yes", "--stack", stack.name)
