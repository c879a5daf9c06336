"""The order in which the parts of a stack start and stop."""

from collections.abc import Iterator, Sequence

from cli.parts import Part


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
