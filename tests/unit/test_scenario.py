"""The `scenario` marker, in runs of pytest of their own."""

import pytest

pytest_plugins = ["pytester"]

PLUGIN = "from tests.support.scenario import pytest_runtest_makereport, pytest_runtest_setup"
MARKED = "import pytest\npytestmark = pytest.mark.scenario\n"
STEPS = """
def test_first(): pass
def test_second(): assert False, "the cause"
def test_third(): pass
def test_fourth(): pass
"""


def run(pytester: pytest.Pytester, **modules: str) -> pytest.RunResult:
    """Run modules with the plugin in a process of this one's environment."""
    pytester.makeini("[pytest]\nmarkers = scenario: steps\n")
    pytester.makeconftest(PLUGIN)
    pytester.makepyfile(**modules)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "--strict-markers")


def test_steps_after_a_failed_one_are_errors_that_name_it(pytester: pytest.Pytester) -> None:
    result = run(pytester, test_steps=MARKED + STEPS)
    result.assert_outcomes(passed=1, failed=1, errors=2)
    result.stdout.fnmatch_lines(["*not run, because an earlier step failed: test_second"])


def test_another_module_is_another_scenario(pytester: pytest.Pytester) -> None:
    result = run(pytester, test_a=MARKED + STEPS, test_b=MARKED + "def test_alone(): pass\n")
    result.assert_outcomes(passed=2, failed=1, errors=2)


def test_without_the_marker_all_tests_run(pytester: pytest.Pytester) -> None:
    result = run(pytester, test_independent=STEPS)
    result.assert_outcomes(passed=3, failed=1)


def test_a_class_can_be_a_scenario_beside_independent_tests(pytester: pytest.Pytester) -> None:
    steps = "".join(f"    {line}\n" for line in STEPS.replace("()", "(self)").splitlines() if line)
    result = run(
        pytester,
        test_class=f"import pytest\n@pytest.mark.scenario\nclass TestSteps:\n{steps}\ndef test_other(): pass\n",
    )
    result.assert_outcomes(passed=2, failed=1, errors=2)


def test_a_skipped_step_stops_nothing(pytester: pytest.Pytester) -> None:
    steps = "@pytest.mark.skip(reason='no dump')\ndef test_first(): pass\ndef test_second(): pass\n"
    result = run(pytester, test_steps=MARKED + steps)
    result.assert_outcomes(passed=1, skipped=1)


def test_a_failed_fixture_stops_the_steps_too(pytester: pytest.Pytester) -> None:
    broken = "@pytest.fixture\ndef stack(): raise RuntimeError\ndef test_first(stack): pass\ndef test_second(): pass\n"
    result = run(pytester, test_steps=MARKED + broken)
    result.assert_outcomes(errors=2)
