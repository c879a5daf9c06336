"""The `scenario` marker: the tests of a module or class are the steps of one scenario, in their order.

After the first failure the remaining steps are not run, and each is reported as an error that names the step that
failed: none is skipped, and none fails for another's reason.
"""

from collections.abc import Generator

import pytest

MARKER = "scenario"
_FAILED_STEP = pytest.StashKey[str]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember the first step of a scenario that failed."""
    report = yield
    scenario = _scenario_of(item)
    if report.failed and scenario is not None:
        scenario.stash.setdefault(_FAILED_STEP, item.name)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a step when an earlier one has failed."""
    scenario = _scenario_of(item)
    failed = None if scenario is None else scenario.stash.get(_FAILED_STEP, None)
    if failed is not None:
        pytest.fail(f"not run, because an earlier step failed: {failed}", pytrace=False)


def _scenario_of(item: pytest.Item) -> pytest.Collector | None:
    """Return the module or class of a test that carries the marker."""
    marked = (node for node, _ in item.iter_markers_with_node(MARKER))
    return next((node for node in marked if isinstance(node, pytest.Collector)), None)
