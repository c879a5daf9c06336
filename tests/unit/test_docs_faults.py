"""docs/faults.md: each row has a test that exists, and `make faults` runs it."""

import ast
import re

import pytest

from tests.unit.pages import ROOT, rows, text_of
from tests.unit.syntax_tree import syntax_tree
from tools.checks import TIERS

FOLDER = ROOT / "tests" / "e2e"
TABLE = [row for row in rows(text_of("docs/faults.md")) if row[0] != "Row"]
TESTS = sorted({row[4].strip("`") for row in TABLE})
MARK = "pytest.mark.faults"


def modules_with(mark: str) -> set[str]:
    """Return the files of end-to-end tests in which a mark is used."""
    return {path.name for path in FOLDER.glob("test_*.py") if mark in path.read_text(encoding="utf-8")}


def test_every_row_is_in_the_table_in_order() -> None:
    assert list(dict.fromkeys(row[0] for row in TABLE)) == [f"F{number}" for number in range(1, 21)]


@pytest.mark.parametrize("test", TESTS)
def test_the_test_of_a_row_exists_and_make_faults_runs_it(test: str) -> None:
    file, _, name = test.partition("::")
    tree = syntax_tree(FOLDER / file)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert name in functions, "the table names a test that does not exist"
    marks = [ast.unparse(node.value) for node in tree.body if isinstance(node, ast.Assign)]
    assert any(MARK in mark for mark in marks), f"the module has no {MARK}"


def test_every_test_that_make_faults_runs_is_in_a_module_of_the_table() -> None:
    assert modules_with(MARK) == {test.partition("::")[0] for test in TESTS}, "a module without a row needs no mark"


def test_what_make_test_leaves_out_is_run_by_make_faults() -> None:
    assert modules_with("pytest.mark.long") <= modules_with(MARK), "or nothing would run it"
    assert TIERS["faults"][-2:] == ("-m", "faults") and TIERS["test"][-2:] == ("-m", "not long and not swarm")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]} {row[1]:.40}")
def test_a_duration_has_the_unit_the_tests_print(row: list[str]) -> None:
    assert re.fullmatch(r"(\d+(\.\d)?( to \d+(\.\d)?)? s)?", row[3]), row[3]
