"""The documentation is true: its code runs and prints what it says, its links lead somewhere, its pages are current."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import snncompile
from snncompile.diagnostics.codes import CODES

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md")) + sorted(ROOT.glob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n*```text\n(.*?)^```\n)?", re.M | re.S)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
MARK = "\x1e"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def with_code(pages: list[Path]) -> list[Path]:
    return [p for p in pages if BLOCK.search(p.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", with_code(PAGES), ids=name_of)
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(page, tmp_path):
    """All blocks of a page are one program; a `text` block after one holds what it prints."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    for package in ("torch", "onnxruntime"):
        if any(f"import {package}" in code for code, _ in blocks):
            pytest.importorskip(package)
    script = tmp_path / "page.py"
    script.write_text("\n".join(f"{code}\nprint({MARK!r}, end='')" for code, _ in blocks), encoding="utf-8")
    for place in (tmp_path, tmp_path / "examples" / "digits"):  # as the pages, and as the README, name it
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "examples" / "digits" / "digits.nir", place)
    run = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False,
                         env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"})
    assert run.returncode == 0, run.stderr
    for (_, expected), printed in zip(blocks, run.stdout.split(MARK), strict=False):
        if expected:
            assert printed.strip() == expected.strip()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_that_exist(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_every_page_is_reached_from_the_index():
    reached, todo = set(), [ROOT / "docs" / "index.md"]
    while todo:
        page = todo.pop().resolve()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            todo += [page.parent / t for t in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in t]
    assert {p.resolve() for p in (ROOT / "docs").rglob("*.md")} <= reached


def test_the_page_of_diagnostics_is_current():
    pages = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]
    for name, make in pages.items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == make(), "run `make docs`"


def test_the_page_of_diagnostics_lists_every_code_once():
    text = (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (SNN\d+):", text, re.M) == sorted(CODES)


def test_codes_that_pages_mention_exist():
    for page in PAGES:
        assert set(re.findall(r"SNN\d{3}", page.read_text(encoding="utf-8"))) <= set(CODES), page


def test_what_is_cited_is_this_version():
    yaml = pytest.importorskip("yaml")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == snncompile.__version__
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["license"] == "Apache-2.0"
