"""Waiting for containers, and the order in which those of a stack start and stop."""

from collections.abc import Iterator, Sequence

from cli.containers import Part
from cli.output import progress
from cli.target import Target
from components.orchestrator.docker_watcher import DockerWatcher


def watcher_of(target: Target, timeout_seconds: int | None = None) -> DockerWatcher:
    """Return what waits for containers of a stack, by default its `readyTimeout`, and prints what they do meanwhile."""
    seconds = timeout_seconds or target.settings.ready_timeout_seconds
    return DockerWatcher(target.docker_host, seconds, lambda line: progress(f"  {line}"))


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
