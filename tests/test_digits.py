"""The digits example: the trained network in the repository is as accurate as its README says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snncompile.backends.c.host import compiler
from snncompile.frontends import load
from snncompile.ir.interp import run

FOLDER = Path(__file__).parents[1] / "examples" / "digits"


@pytest.fixture(scope="module")
def split():
    """The training part and the held-out part, as the example itself splits them."""
    pytest.importorskip("sklearn", reason="scikit-learn holds the digits")
    sys.path.insert(0, str(FOLDER))
    try:
        import dataset
    finally:
        sys.path.remove(str(FOLDER))
    yield dataset.digits()
    del sys.modules["dataset"]


@pytest.fixture(scope="module")
def graph():
    return load(FOLDER / "digits.nir")


def test_no_sample_is_both_trained_on_and_held_out(split):
    training, held_out = split
    assert (len(training.x), len(held_out.x)) == (1438, 359)
    frames = {frame.tobytes() for frame in training.x}
    assert sum(frame.tobytes() in frames for frame in held_out.x) == 0


def test_loading_the_network_assumes_nothing(graph):
    assert graph.notes == ()
    layers = [op for name, op in graph.nodes.items() if name not in graph.populations]
    assert sum(a.size for op in layers for a in op.arrays.values()) == 9930


def test_the_float_network_is_as_accurate_and_as_sparse_as_the_readme_says(graph, split):
    text = (FOLDER / "README.md").read_text()
    claimed = int(re.search(r"\((\d+) of 359\)", text)[1])
    rates = [float(r) / 100 for r in re.search(r"In a tick ([\d.]+) %, ([\d.]+) %\s+and ([\d.]+) %", text).groups()]
    _, held_out = split
    traces = run(graph, held_out.over_time(), record=True)
    assert int((traces.outputs["output"].sum(1).argmax(1) == held_out.y).sum()) == claimed
    assert claimed / len(held_out.y) >= 0.97
    for emitted, rate in zip(traces.emitted.values(), rates, strict=True):
        assert np.mean(emitted) == pytest.approx(rate, abs=0.001)


@pytest.mark.slow
@pytest.mark.skipif(compiler() is None, reason="the demo compares emitted C, which needs a C compiler")
def test_the_demo_shows_c_equal_to_the_integer_reference_and_little_accuracy_lost(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn holds the digits")
    root = str(FOLDER.parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    done = subprocess.run([sys.executable, str(FOLDER / "demo.py"), "--output", str(tmp_path / "digits")],
                          env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "C = integer reference" in done.stdout
    exact, integer, emitted = (float(n) for n in re.findall(r"([\d.]+)%", _line(done.stdout, "accuracy")))
    assert integer == emitted >= 97
    assert integer >= exact - 1
    assert float(re.search(r"([\d.]+)%", _line(done.stdout, "spikes"))[1]) > 98
    assert {"c", "golden.npz", "report.html"} <= {p.name for p in (tmp_path / "digits").iterdir()}


def _line(text, start):
    return next(line for line in text.splitlines() if line.strip().startswith(start))
