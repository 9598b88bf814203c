"""The first steps of four kinds of users: the commands of their pages, as scripts, and three notebooks."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "examples" / "start").glob("*.sh"))
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
NEEDS = {"pytorch": ["torch", "snntorch"], "search": ["pyarrow"]}
MOST_COMMANDS = 5
SHOWS = {"pytorch": ["emitted C = reference", "strongest output"],
         "search": ["feasible on loihi2 chips=2", "candidates of spikenas-bench can run"],
         "firmware": ["emitted C = reference", "selftest"], "file": ["emitted C = reference", "feasible on loihi2"]}
"""What each script prints when it has succeeded."""

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def commands(script: Path) -> list[str]:
    lines = script.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "set "))]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_a_page_shows_the_commands_of_its_script_and_no_more_than_five(script):
    page = (ROOT / "docs" / f"start-{script.stem}.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S)
    assert shown == ["\n".join(commands(script)) + "\n"]
    assert len(commands(script)) <= MOST_COMMANDS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_the_first_command_installs_what_there_is(script):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    first = shlex.split(commands(script)[0])
    assert first[:2] == ["pip", "install"]
    wanted = re.fullmatch(r"\.(?:\[(\w+)\])?", first[2])
    assert wanted
    assert wanted[1] is None or wanted[1] in extras


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_the_commands_of_a_script_succeed(script, tmp_path):
    """All but the first, which installs: this environment has what it would install."""
    for package in NEEDS.get(script.stem, []):
        pytest.importorskip(package)
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    text = "\n".join(["set -euo pipefail", *commands(script)[1:]])
    tools = Path(sys.executable).parent
    run = subprocess.run(["bash", "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False,
                         env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}",
                              "PYTHONPATH": os.environ.get("PYTHONPATH", "")})
    assert run.returncode == 0, run.stdout + run.stderr
    for words in SHOWS[script.stem]:
        assert words in run.stdout


def test_every_kind_of_user_has_a_script_and_each_script_a_page():
    assert {p.stem for p in SCRIPTS} == set(SHOWS)
    assert {p.stem.removeprefix("start-") for p in (ROOT / "docs").glob("start-*.md")} == set(SHOWS)
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_and_is_kept_without_its_outputs(path):
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("sklearn")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    client.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    shown = [kind for cell in code for output in cell.outputs for kind in output.get("data", {"text": 0})]
    assert len(shown) >= 3
    if path.stem != "few-bits":
        assert {"text/html", "image/svg+xml"} & set(shown)
