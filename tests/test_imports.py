"""Imports run one way, and importing the package loads next to nothing."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "snncompile"

STRUCTURE = runpy.run_path(str(ROOT / ".ci" / "structure.py"))
MODULES = {STRUCTURE["module_name"](p) for p in PACKAGE.rglob("*.py")}
MAY_IMPORT = {
    "diagnostics": set(),
    "ir": {"diagnostics"},
    "frontends": {"diagnostics", "ir"},
    "data": {"diagnostics", "ir"},
    "targets": {"diagnostics", "ir"},
    "passes": {"diagnostics", "ir", "targets"},
    "mapping": {"diagnostics", "ir", "targets"},
    "cost": {"diagnostics", "ir", "targets", "mapping"},
    "backends": {"diagnostics", "ir", "targets", "passes", "mapping"},
    "report": {"diagnostics", "ir", "targets", "passes", "mapping", "cost"},
}
"""What each part may import besides itself; what is not listed (the driver, the command line) stands above."""
ABOVE = {"cli", "search"}


def imported(path: Path) -> Iterator[str]:
    """The parts of the package that a file imports, anywhere in it but for type checkers only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.ImportFrom) or node.level == 0, f"{path} uses a relative import"
    yield from (name.split(".")[1] for name in STRUCTURE["imports"](tree, MODULES) if "." in name)


def files_of(part: str) -> list[Path]:
    whole = PACKAGE / part
    return sorted(whole.rglob("*.py")) if whole.is_dir() else [PACKAGE / f"{part}.py"]


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_every_part_imports_only_what_lies_below_it(part):
    for path in files_of(part):
        assert set(imported(path)) <= MAY_IMPORT[part] | {part}, path


def test_every_folder_of_the_package_has_a_direction():
    folders = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()}
    assert folders <= set(MAY_IMPORT) | ABOVE


@pytest.mark.parametrize(("place", "line"), [
    ("ir/x.py", "from snncompile.passes.quantize.quantize import Quantize"),
    ("ir/x.py", "import snncompile.frontends.nir"),
    ("frontends/x.py", "from snncompile.passes import canonicalize"),
    ("data/x.py", "from snncompile.frontends import load"),
    ("targets/x.py", "from snncompile import backends"),
    ("passes/x.py", "from snncompile.backends.c import emit"),
    ("passes/deep/x.py", "def f():\n    from snncompile.driver import compile"),
    ("backends/c/x.py", "from snncompile.driver import compile"),
    ("driver.py", "from snncompile.cli import main"),
    ("driver.py", "from snncompile.search.scores import sahd"),
    ("cost/x.py", "from snncompile import search"),
    ("search/x.py", "from snncompile.cli import main"),
])
def test_the_linter_refuses_an_import_against_the_direction(place, line):
    pytest.importorskip("ruff")
    run = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--stdin-filename", PACKAGE / place, "-"],
        input=line + "\n", capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "TID251" in run.stdout


def test_the_linter_allows_an_import_in_the_direction():
    pytest.importorskip("ruff")
    run = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "TID", "--stdin-filename", PACKAGE / "passes/x.py", "-"],
        input="from snncompile.ir.graph import Graph\n", capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("heavy", ["numpy", "scipy", "h5py", "networkx", "jinja2", "rich", "typer", "torch"])
def test_importing_the_package_loads_nothing_heavy(heavy):
    code = f"import sys, snncompile; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_no_file_or_function_is_too_long_and_no_imports_go_in_a_circle():
    assert list(STRUCTURE["problems"]()) == []


def test_a_circle_of_imports_is_found():
    circles = STRUCTURE["circles"]({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"e2"}, "e2": {"e"}})
    assert sorted(sorted(c) for c in circles) == [["a", "b", "c"], ["e", "e2"]]
