"""The imports of Python modules, read from their source, and those that are forbidden. Nothing is executed."""

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.unit.syntax_tree import syntax_tree

Graph = Mapping[str, set[str]]


@dataclass(frozen=True)
class Wall:
    """Around a package: the packages and modules that may import it, beside itself, and why no others may."""

    importers: tuple[str, ...]
    reason: str


def graph(root: Path, *places: str) -> Graph:
    """Return what the modules in `places` (folders and files below `root`) import, by dotted names.

    Imports in functions and under TYPE_CHECKING count. `from a import b` is an import of `a.b` where that is a module,
    otherwise of `a`. A package has the name of its folder.
    """
    paths: dict[str, Path] = {}
    for place in places:
        for path in [root / place] if place.endswith(".py") else (root / place).rglob("*.py"):
            paths[".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")] = path
    return {module: set(_imports(module, path, paths)) for module, path in paths.items()}


def within(module: str, packages: Collection[str]) -> bool:
    """Return whether a module is one of these packages or in one of them."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def breaches(modules: Graph, walls: Mapping[str, Wall]) -> list[str]:
    """Return the imports that a wall forbids, each with the wall's reason. Of nested walls the innermost counts."""
    forbidden = []
    for module, names in modules.items():
        for name in names:
            package = max((package for package in walls if within(name, [package])), key=len, default=None)
            if package and not within(module, [package, *walls[package].importers]):
                forbidden.append(f"{module} imports {name}: {walls[package].reason}")
    return sorted(forbidden)


def upward(modules: Graph, layers: Mapping[str, Collection[str]]) -> list[str]:
    """Return the imports by packages of `layers` of other modules than those of their own and of the layers below."""
    return sorted(
        f"{module} imports {name}: {layer} is below it"
        for layer, below in layers.items()
        for module, names in modules.items()
        for name in names & modules.keys()
        if within(module, [layer]) and not within(name, [layer, *below])
    )


def cycle(modules: Graph) -> list[str]:
    """Return the modules of an import cycle, the first one again at its end; empty without a cycle."""
    try:
        TopologicalSorter({module: names & modules.keys() - {module} for module, names in modules.items()}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _imports(module: str, path: Path, modules: Collection[str]) -> Iterator[str]:
    package = (module if path.name == "__init__.py" else module.rpartition(".")[0]).split(".")
    for node in ast.walk(syntax_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            parents = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*parents, *filter(None, [node.module])])
            for alias in node.names:
                yield f"{source}.{alias.name}" if f"{source}.{alias.name}" in modules else source
