"""Durations that tests measure, in runs of pytest of their own."""

import pytest

pytest_plugins = ["pytester"]

PLUGIN = "from tests.support.durations import pytest_terminal_summary, took"
MEASURED = """
def test_measured(took):
    with took("the cache is back"):
        pass
def test_failed(took):
    with took("nothing"):
        assert False
def test_unmeasured(): pass
"""


@pytest.mark.parametrize("options", [(), ("--numprocesses=1",)], ids=["one process", "a worker"])
def test_a_duration_is_printed_with_what_it_is_of_and_its_test(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    pytester.makeconftest(PLUGIN)
    pytester.makepyfile(test_it=MEASURED)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.re_match_lines(
        [r".*durations after faults", r" *0\.0 s  the cache is back  \(test_it.py::test_measured\)$"]
    )
    result.stdout.no_fnmatch_line("*s  nothing*")


def test_a_run_without_durations_prints_none(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(PLUGIN)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.stdout.no_fnmatch_line("*durations after faults*")
