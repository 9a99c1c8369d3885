"""Sizes, docstrings and imports, checked by a tool and not by good will."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.chaos.machine import ROOT

PACKAGES = ("datamodel", "reconcilers", "agents", "gateway", "sim", "migrations", "deploy")
LISTS = ("migrations/versions",)  # one statement after the other, as long as the schema is
MODULE_LINES = 320
FUNCTION_LINES = 60
FORBIDDEN_NAMES = {"utils", "common", "helpers", "base", "misc", "manager"}
PURE = (
    "datamodel/rulebook.py",
    "datamodel/state.py",
    "datamodel/audit.py",
    "datamodel/facets.py",
    "datamodel/selectors.py",
    "datamodel/books",
    "datamodel/scheduling",
    "reconcilers/planning",
    "agents/convergence.py",
    "gateway/fronts/credentials.py",
    "gateway/fronts/hades.py",
    "gateway/fronts/jobscheduler.py",
    "gateway/fronts/nexus.py",
    "sim/chaos/checker.py",
)
FIRST_USER = "datamodel/scheduling"
FIRST_USERS_WORDS = re.compile(r"\b(?:jobs?|edges?|chunks?|agents?)\b", re.IGNORECASE)
EFFECTS = {"asyncio", "time", "random", "uuid", "os", "logging", "structlog", "secrets", "socket", "threading"}


def _modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (path for path in sorted((ROOT / package).rglob("*.py")) if not _name(path).startswith(LISTS))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", list(_modules()), ids=_name)
def test_a_module_is_small_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MODULE_LINES, "look for the second noun inside"
    assert path.stem not in FORBIDDEN_NAMES
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "say in a line what it is"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{node.name} has {length} lines"


def _core() -> Iterator[Path]:
    yield from (path for path in sorted((ROOT / "datamodel").rglob("*.py")) if not _name(path).startswith(FIRST_USER))


@pytest.mark.parametrize("path", list(_core()), ids=_name)
def test_the_core_has_no_word_of_its_first_user(path: Path) -> None:
    assert not FIRST_USERS_WORDS.findall(path.read_text())


@pytest.mark.parametrize("path", list(_modules()), ids=_name)
def test_what_is_missing_costs_as_much_as_is_asked_for(path: Path) -> None:
    """`keys - table.keys()` goes through the whole table, however few the keys are, and `keys.difference(table)` does not."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            assert not ast.unparse(node.right).endswith(".keys()"), f"line {node.lineno}"


def _pure_modules() -> Iterator[Path]:
    for place in PURE:
        found = ROOT / place
        yield from sorted(found.rglob("*.py")) if found.is_dir() else [found]


@pytest.mark.parametrize("path", list(_pure_modules()), ids=_name)
def test_decisions_have_no_effects(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not imported & EFFECTS
    assert not any(isinstance(node, ast.AsyncFunctionDef | ast.Await) for node in ast.walk(tree))
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not {call for call in called if call.endswith((".now", ".utcnow", ".today"))}


def test_a_package_imports_no_adapter() -> None:
    for path in _modules():
        if path.name == "__init__.py":
            tree = ast.parse(path.read_text())
            assert not [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], path
