"""Imports run one way, and importing the package loads next to nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "snncompile"

MAY_IMPORT = {
    "codes": set(),
    "diagnostics": {"codes"},
    "ir": {"diagnostics"},
    "frontends": {"diagnostics", "ir"},
    "data": {"diagnostics", "ir"},
    "targets": {"diagnostics", "ir"},
    "passes": {"diagnostics", "ir", "targets"},
    "backends": {"diagnostics", "ir", "targets", "passes"},
}
"""What each part may import besides itself; what is not listed (the driver, the command line) stands above."""
ABOVE = {"cli"}


def imported(path: Path) -> Iterator[str]:
    """The parts of the package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (n.split(".")[1] for n in names if n.startswith("snncompile."))


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
    ("ir/x.py", "from snncompile.passes.quantize import Quantize"),
    ("ir/x.py", "import snncompile.frontends.nir"),
    ("frontends/x.py", "from snncompile.passes import canonicalize"),
    ("data/x.py", "from snncompile.frontends import load"),
    ("targets/x.py", "from snncompile import backends"),
    ("passes/x.py", "from snncompile.backends.c import emit"),
    ("passes/deep/x.py", "def f():\n    from snncompile.driver import compile"),
    ("backends/c/x.py", "from snncompile.driver import compile"),
    ("driver.py", "from snncompile.cli import main"),
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
