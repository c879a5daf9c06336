"""Waiting for containers, and the order in which those of a stack start and stop."""

from collections.abc import Iterator, Sequence

from cli.containers import Part
from cli.output import progress
from cli.target import Target
from components.orchestrator.readiness import Watcher


def watcher_of(target: Target) -> Watcher:
    """Return what waits for containers of a stack, as long as its `readyTimeout`, and prints what they do meanwhile."""
    return Watcher(target.docker_host, target.settings.ready_timeout_seconds, lambda line: progress(f"  {line}"))


def stages(parts: Sequence[Part], order: Sequence[Sequence[str]]) -> Iterator[list[Part]]:
    """Yield the parts in stages, each by the names of its parts or groups; parts without a stage come last."""
    left = list(parts)
    for names in order:
        stage = [part for part in left if part.part in names or part.group in names]
        left = [part for part in left if part not in stage]
        if stage:
            yield stage
    if left:
        yield left
