"""How packages are run: in this Python or another, and what is said where that fails. No Lava is needed here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.artifact import Artifact
from snncompile.backends.lava.host import host
from snncompile.diagnostics import CompileError
from tests.nets import small
from tests.passes.retimed import SIZE, chain, wired

GRAPH = wired(chain("x", "a", "y"))
X = {"x": np.ones((2, 3, SIZE), np.int64)}
MANIFEST = {"package": "pretended", "emitted": [{"name": "a.relay"}, {"name": "a"}],
            "states": [{"population": "a", "state": "v"}], "inputs": [], "outputs": [{"name": "y", "delay": 0}]}
INSIDE = """
import pretended

def run(manifest, inputs, states, progress):
    values = pretended.times * inputs[0]
    if progress:
        progress(1, 2)
    return {"emitted0": 0 * values, "emitted1": values, "output0": values, **({"state0": -values} if states else {})}
"""


def package(run: str, times: int = 3) -> Artifact:
    return Artifact({"run.py": run, "manifest.json": json.dumps(MANIFEST),
                     "pretended/__init__.py": f"times = {times}\n"})


def another(folder: Path, script: str) -> str:
    """A stand-in for a Python: a shell script."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNC_LAVA_PYTHON", sys.executable)


def test_a_package_runs_inside_a_python_that_has_lava(here: None) -> None:
    done: list[tuple[int, int]] = []
    outputs, counts = host(GRAPH, package(INSIDE)).run(X, lambda *step: done.append(step))
    assert np.array_equal(outputs["y"], 3 * X["x"])
    assert {n: v.tolist() for n, v in counts.items()} == {"a": [3 * 3 * SIZE] * 2}
    assert done == [(1, 2)]


def test_what_it_holds_is_told_by_population_and_state(here: None) -> None:
    traces = host(GRAPH, package(INSIDE)).trace(X)
    assert set(traces.emitted) == {"a"}
    assert np.array_equal(traces.states["a"]["v"], -3 * X["x"])


def test_packages_of_the_same_name_do_not_meet(here: None) -> None:
    before = list(sys.path)
    for times in (3, 4):
        assert host(GRAPH, package(INSIDE, times)).run(X)[0]["y"].max() == times
    assert sys.path == before
    assert "pretended" not in sys.modules


def test_a_failure_inside_is_a_diagnostic(here: None) -> None:
    with pytest.raises(CompileError, match=r"(?s)SNN606.*No module named 'absent'"):
        host(GRAPH, package("import absent\n")).run(X)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")
class TestOutside:
    def test_the_last_words_of_a_program_that_fails_are_shown(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                              ) -> None:
        monkeypatch.setenv("SNNC_LAVA_PYTHON", another(tmp_path, "echo 1/2; echo out of luck >&2; exit 3"))
        done: list[tuple[int, int]] = []
        with pytest.raises(CompileError, match=r"(?s)SNN606.*out of luck"):
            host(GRAPH, package("")).run(X, lambda *step: done.append(step))
        assert done == [(1, 2)]

    def test_one_that_does_nothing_is_no_lava(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SNNC_LAVA_PYTHON", another(tmp_path, "exit 0"))
        with pytest.raises(CompileError, match=r"(?s)SNN606.*it ended without results"):
            host(GRAPH, package("")).run(X)

    def test_nothing_that_it_started_outlives_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script = f"sleep 60 > /dev/null 2>&1 &\necho $! > {tmp_path}/child\nexit 1"
        monkeypatch.setenv("SNNC_LAVA_PYTHON", another(tmp_path, script))
        with pytest.raises(CompileError, match="SNN606"):
            host(GRAPH, package("")).run(X)
        child = int((tmp_path / "child").read_text())
        assert _gone(child)

    def test_it_ends_when_the_program_is_told_to(self, tmp_path: Path) -> None:
        sc.compile(small(), "loihi2").save(tmp_path / "build")
        np.save(tmp_path / "x.npy", np.zeros((1, 3, *next(iter(small().inputs.values())).shape)))
        stand_in = another(tmp_path, f"echo $$ > {tmp_path}/child\nsleep 60")
        running = subprocess.Popen([sys.executable, "-m", "snncompile", "run", tmp_path / "build", tmp_path / "x.npy"],
                                   env={**os.environ, "SNNC_LAVA_PYTHON": stand_in})
        child = _written(tmp_path / "child")
        running.terminate()
        assert running.wait(20) == 128 + signal.SIGTERM
        assert _gone(child)

    def test_this_pythons_own_packages_are_kept_from_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONPATH", "/elsewhere")
        monkeypatch.setenv("SNNC_LAVA_PYTHON", another(tmp_path, 'echo "path is <$PYTHONPATH>" >&2; exit 1'))
        with pytest.raises(CompileError, match="path is <>"):
            host(GRAPH, package("")).run(X)


def _written(path: Path) -> int:
    """The number in a file that is yet to be written."""
    for _ in range(200):
        if path.exists() and path.read_text().endswith("\n"):
            return int(path.read_text())
        time.sleep(0.1)
    raise AssertionError(f"{path.name} was not written")


def _gone(process: int) -> bool:
    """Whether a process has ended, or is about to be collected."""
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{process}/stat")
        if state.exists() and state.read_text().split()[2] == "Z":
            return True
        time.sleep(0.1)
    return False
