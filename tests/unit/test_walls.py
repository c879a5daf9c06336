"""The walls between the packages: which module may import which. Each wall is also shown to find its breach."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import ROOT
from tests.unit.import_graph import Graph, Wall, breaches, cycle, graph, upward

PLACES = ("components", "__main__.py", "cli", "tools", "offline", "bench", "tests")
ORCHESTRATOR = "only components/orchestrator knows what runs the containers, so another orchestrator can be added there"
PART = "components/cluster.py wires the parts; a part is added or changed in its own package"
TIER = "what tests and measurements share is in tests/support, so that each tier can be run and changed alone"
LAB = "the tests and the measurement of stacks on a swarm share its nodes"
ALONE = "the program is deployed from components/ and __main__.py alone"
MEASURED = ("bench", "tests", "offline.tests")
# The allowed importers of each package, beside itself; of a package without a wall there are no rules.
WALLS = {
    "docker": Wall(
        ("components.orchestrator", "cli.containers", "cli.deployed", "tools", "offline", *MEASURED), ORCHESTRATOR
    ),
    "pulumi_docker": Wall(("components.orchestrator", "tests", "offline.tests"), ORCHESTRATOR),
    "components.backup": Wall(("components.cluster", *MEASURED), PART),
    "components.backup.sizing": Wall(("components.backup", "components.memory", *MEASURED), PART),
    "components.cache": Wall(("components.cluster", *MEASURED), PART),
    "components.core": Wall(("components.cluster", "cli.after_restore", *MEASURED), PART),
    "components.database": Wall(("components.cluster", "cli.after_restore", *MEASURED), PART),
    "components.database.sizing": Wall(
        ("components.database", "components.memory", "components.preflight", *MEASURED), PART
    ),
    "components.file_store": Wall(
        ("components.cluster", "components.core", "components.backup", *MEASURED),
        "components/cluster.py wires the parts; the cores and the backups have the files",
    ),
    "components.load_balancer": Wall(("components.cluster", *MEASURED), PART),
    "components.load_balancer.sizing": Wall(("components.load_balancer", "components.memory", *MEASURED), PART),
    "components.tls": Wall(("components.cluster", *MEASURED), PART),
    "components.tls.sizing": Wall(("components.tls", "components.memory", *MEASURED), PART),
    "components.tls.pem": Wall(
        ("components.tls", "components.cluster", "components.preflight", "cli.rows", *MEASURED), PART
    ),
    "cli": Wall(("tests",), ALONE),
    "tools": Wall(("cli", "tests", "offline.tests"), ALONE),
    "offline": Wall(("tools", *MEASURED), ALONE),
    "bench": Wall(("tests",), ALONE),
    "tests": Wall((), TIER),
    "tests.support": Wall(MEASURED, TIER),
    "tests.unit": Wall((), TIER),
    "tests.container": Wall((), TIER),
    "tests.e2e": Wall((), TIER),
    "tests.swarm": Wall((), TIER),
    "tests.swarm.lab": Wall(("tests.swarm", "bench"), LAB),
    "tests.swarm.stacks": Wall(("tests.swarm", "bench"), LAB),
}
# Packages that import no others of the program than these.
LAYERS: dict[str, tuple[str, ...]] = {
    "components.dhis2": (),
    "components.templates": (),
    "components.settings": ("components.dhis2",),
}
PULUMI = ("pulumi", "pulumi_docker", "pulumi_random")
WITHOUT_PULUMI = ("components.settings", "components.dhis2", "components.preflight", "cli")
# Imports all modules of packages and refuses Pulumi.
LOAD = """
import importlib, pkgutil, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {pulumi!r}:
            raise ImportError(f"{{name}} is refused")

sys.meta_path.insert(0, Refuse())
for name in {packages!r}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), f"{{name}}."):
        importlib.import_module(module.name)
"""
# A small checkout that keeps to all rules.
CHECKOUT = {
    "components/dhis2/release.py": "import re",
    "components/settings/model.py": "from components.dhis2 import release",
    "components/orchestrator/docker.py": "import docker, pulumi_docker",
    "components/cache/cache.py": "from components.orchestrator.docker import container",
    "components/database/sizing.py": "FETCH_MEMORY_MB = 64",
    "components/cluster.py": "import pulumi\nfrom components.cache.cache import Cache",
    "components/preflight.py": "from components.database.sizing import FETCH_MEMORY_MB",
    "__main__.py": "from components.cluster import Cluster",
    "cli/containers.py": "import docker",
    "cli/verbs/status.py": "from cli import containers",
    "cli/app.py": "from cli.verbs import status",
    "tests/support/stack.py": "import docker",
    "tests/e2e/test_life.py": "from tests.support.stack import Stack",
    "bench/noop.py": "from tests.support.stack import Stack",
}


def write(root: Path, files: dict[str, str]) -> Graph:
    """Write a checkout and return its imports."""
    for name, source in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{source}\n")
    return graph(root, *PLACES)


def load(root: Path, *packages: str) -> subprocess.CompletedProcess[str]:
    """Import all modules of packages in a process that refuses Pulumi."""
    code = LOAD.format(pulumi=PULUMI, packages=packages)
    return subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def checkout() -> Graph:
    """Return the imports of this checkout."""
    return graph(ROOT, *PLACES)


def test_no_wall_is_breached(checkout: Graph) -> None:
    forbidden = breaches(checkout, WALLS)
    assert not forbidden, "\n".join(forbidden)


def test_no_layer_imports_upward(checkout: Graph) -> None:
    forbidden = upward({name: imports for name, imports in checkout.items() if name.startswith("components")}, LAYERS)
    assert not forbidden, "\n".join(forbidden)


def test_there_is_no_import_cycle(checkout: Graph) -> None:
    assert not cycle(checkout), "modules of a cycle cannot be read, tested or moved one at a time"


@pytest.mark.parametrize("package", WITHOUT_PULUMI)
def test_it_loads_without_pulumi(package: str) -> None:
    loaded = load(ROOT, package)
    assert loaded.returncode == 0, f"tools and editors use {package} without the Pulumi SDK: {loaded.stderr}"


def test_every_wall_and_layer_is_around_something(checkout: Graph) -> None:
    names = {*checkout, *(name for imports in checkout.values() for name in imports)}
    for package in (*WALLS, *LAYERS):
        assert any(f"{name}.".startswith(f"{package}.") for name in names), f"{package} does not exist: remove its rule"


def test_a_checkout_that_keeps_to_the_rules_has_no_breach(tmp_path: Path) -> None:
    modules = write(tmp_path, CHECKOUT)
    assert (breaches(modules, WALLS), upward(modules, LAYERS), cycle(modules)) == ([], [], [])


@pytest.mark.parametrize(
    ("file", "source", "imported"),
    [
        ("components/cluster.py", "import docker", "docker"),
        ("components/cluster.py", "from docker.errors import NotFound", "docker.errors"),
        ("components/cluster.py", "def f():\n    import pulumi_docker", "pulumi_docker"),
        ("components/cluster.py", "if TYPE_CHECKING:\n    import docker", "docker"),
        ("__main__.py", "import pulumi_docker as docker", "pulumi_docker"),
        ("components/preflight.py", "from components.cache.cache import Cache", "components.cache.cache"),
        ("components/preflight.py", "from components.database import primary", "components.database"),
        ("components/cache/cache.py", "from components.database import sizing", "components.database.sizing"),
        ("components/cluster.py", "import tools", "tools"),
        ("cli/verbs/status.py", "import docker", "docker"),
        ("tools/deploy.py", "from cli import containers", "cli.containers"),
        ("bench/noop.py", "from tests.e2e.test_life import ROW", "tests.e2e.test_life"),
        ("tests/support/stack.py", "from tests.container.databases import sql", "tests.container.databases"),
        ("tests/e2e/test_life.py", "from ..unit import program", "tests.unit"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, file: str, source: str, imported: str) -> None:
    (breach,) = breaches(write(tmp_path, {**CHECKOUT, file: source}), WALLS)
    assert f" imports {imported}: " in breach


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("components/settings/model.py", "from components.preflight import check"),
        ("components/dhis2/release.py", "if TYPE_CHECKING:\n    from components.settings.model import Settings"),
    ],
)
def test_an_import_upward_is_found(tmp_path: Path, file: str, source: str) -> None:
    assert len(upward(write(tmp_path, {**CHECKOUT, file: source}), LAYERS)) == 1


def test_a_cycle_under_type_checking_is_found(tmp_path: Path) -> None:
    circle = "if TYPE_CHECKING:\n    from components.settings.model import Settings"
    modules = write(tmp_path, {**CHECKOUT, "components/dhis2/release.py": circle})
    assert set(cycle(modules)) == {"components.settings.model", "components.dhis2.release"}


def test_a_module_that_needs_pulumi_is_found(tmp_path: Path) -> None:
    write(tmp_path, {**CHECKOUT, "components/settings/model.py": "from pulumi.runtime import config"})
    assert "pulumi is refused" in load(tmp_path, "components.settings").stderr
    assert load(tmp_path, "components.dhis2").returncode == 0
