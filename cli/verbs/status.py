"""`dhis2-cluster status`: the whole stack in one table."""

import json
import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from cli.errors import FAILED
from cli.options import JsonOption, StackOption
from cli.report import Collector
from cli.stacks import open_stack
from cli.table import StatusTable
from cli.target import find

WATCH_SECONDS = 2


def status(
    stack: StackOption = "",
    as_json: JsonOption = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Repeat every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Show health, memory, versions, the leader, replication, reads, and volumes.

    The exit code is 1 when a part is not healthy, and 2 when the stack cannot be read.
    """
    collector = Collector(open_stack(find(stack)))
    if watch:
        _watch(collector, as_json)
        return
    report = collector.collect()
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        Console().print(StatusTable(report, time.time()))
    if not report.healthy:
        raise typer.Exit(FAILED)


def _watch(collector: Collector, as_json: bool) -> None:
    console = Console()
    try:
        if as_json or not console.is_terminal:
            while True:
                report = collector.collect()
                if as_json:
                    print(json.dumps(report.as_json()))
                else:
                    console.print(StatusTable(report, time.time()))
                sys.stdout.flush()
                time.sleep(WATCH_SECONDS)
        with Live(
            StatusTable(collector.collect(), time.time()), console=console, screen=True, auto_refresh=False
        ) as live:
            while True:
                time.sleep(WATCH_SECONDS)
                live.update(StatusTable(collector.collect(), time.time()), refresh=True)
    except KeyboardInterrupt:
        return
