"""Memory of what is neither a core nor a database: load balancer, cache and the ended job, after load."""

import argparse
from typing import Any

import docker

from bench import engine
from bench.figures import Row, Series, table
from tests.support.load import Load
from tests.support.stack import Stack, log_in

AIM = 80.0
REQUESTS = 2000
PARTS = ("lb", "cache", "dump")


def options(parser: argparse.ArgumentParser) -> None:
    """The options of this measurement."""
    parser.add_argument("--requests", type=int, default=REQUESTS, help="requests of sixteen clients before each look")


def run(chosen: argparse.Namespace) -> str:
    """Deploy with the cache's default size, and look after each load."""
    client = engine.connect()
    used: dict[str, list[float]] = {part: [] for part in PARTS}
    anonymous: list[float] = []
    with engine.stack(client, cores=2) as stack:
        stack.up()
        for _ in range(chosen.repetitions):
            load(stack, chosen.requests)
            found = {part: memory_mb(client, stack, part) for part in PARTS}
            for part, (shown, _) in found.items():
                used[part].append(shown)
            anonymous.append(sum(own for _, own in found.values()))
        others = sum(memory_mb(client, stack, part)[0] for part in stack.containers() if part not in PARTS)
    title = f"memory: after {chosen.requests:,} requests of 16 clients, 2 cores, 1 replica (cores and databases: {others:,.0f} MB), {chosen.repetitions} repetitions, {engine.machine(client)}"
    sums = Series(tuple(sum(values) for values in zip(*used.values(), strict=True)))
    rows = [
        *(Row(f"{part}, MB", Series.of(values), 1) for part, values in used.items()),
        Row("together, MB", sums, 1, aim=AIM),
        Row("  of it the processes' own (no file cache), MB", Series.of(anonymous), 1),
    ]
    return table(title, rows)


def load(stack: Stack, requests: int) -> None:
    """Sixteen logged-in clients until so many requests are answered."""
    with Load(f"http://127.0.0.1:{stack.port}", log_in(stack)) as clients:
        engine.wait_until(lambda: clients.answered() >= requests, f"{requests} requests")


def memory_mb(client: docker.DockerClient, stack: Stack, part: str) -> tuple[float, float]:
    """MB a container has as `docker stats` counts (without file cache that could go), and MB of its processes."""
    return of_stats(client.api.stats(str(stack.container(part).id), stream=False))


def of_stats(stats: dict[str, Any]) -> tuple[float, float]:
    """The two numbers from one answer of the engine; zero for a container that has ended.

    The first version of the kernel's control groups sums up in `total_…`, the second knows `anon`.
    """
    memory = stats.get("memory_stats") or {}
    detail = memory.get("stats") or {}
    idle = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    own = detail.get("total_rss", detail.get("anon", 0))
    return (memory.get("usage", 0) - idle) / 2**20, own / 2**20
