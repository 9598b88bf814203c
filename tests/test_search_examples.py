"""The searches of the examples: what can be trained is the graph, and both end in a network in C."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.rules import Firing
from snncompile.search import Net

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "search"
MODULES = ("digits", "trainable", "finish", "bcnas", "pareto")


@pytest.fixture(scope="module")
def modules() -> Iterator[Any]:
    """Imports an example's module by name."""
    pytest.importorskip("sklearn", reason="scikit-learn holds the digits")
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module
    sys.path.remove(str(FOLDER))
    for name in MODULES:
        sys.modules.pop(name, None)


def candidate(reset: str) -> sc.Graph:
    """Layers of several widths, a pool, and links of this tick and of the last one."""
    net = Net((1, 8, 8), ticks=4).conv(6, 3, bits=4).norm().lif(0.5, firing=Firing(">=", reset), name="first")
    entry = net.tap()
    net.conv(6, 3, bits=2).norm().add(entry).neuron("if", firing=Firing(">=", reset))
    inner = net.tap()
    net.at(inner).late().conv(6, 1).norm().back(entry, delay=0)
    return net.at(inner).pool(2).linear(10, bits=8, bias=True).graph()


@pytest.mark.parametrize("reset", ["subtract", "value"])
def test_what_was_trained_is_the_graph(modules: Any, reset: str) -> None:
    """Outputs of PyTorch and of the interpreter, after some training, for weights of a width and for plain ones."""
    trainable: ModuleType = modules("trainable")
    rng = np.random.default_rng(0)
    x, y = rng.random((48, 4, 1, 8, 8)).astype(np.float32), rng.integers(0, 10, 48)
    net = trainable.Trainable(candidate(reset))
    before = net.graph()
    trainable.train(net, x, y, epochs=2)
    graph = net.graph()
    assert not np.array_equal(before.nodes["conv3"].weight, graph.nodes["conv3"].weight)
    assert np.unique(graph.nodes["conv2"].weight).tolist() == [-1, 0, 1]
    assert np.abs(graph.nodes["conv1"].weight).max() <= 7
    with torch.no_grad():
        wanted = net(torch.tensor(x)).numpy()
    got = sc.run(graph, x, dtype=np.float32).outputs["output"].sum(1)
    close = np.isclose(wanted, got, atol=1e-3).all(1)
    assert close.mean() > 0.9  # a membrane may land on its threshold, and be rounded to the other side of it


def test_training_is_the_same_every_time(modules: Any) -> None:
    trainable: ModuleType = modules("trainable")
    rng = np.random.default_rng(0)
    x, y = rng.random((32, 4, 1, 8, 8)).astype(np.float32), rng.integers(0, 10, 32)
    texts = []
    for _ in range(2):
        net = trainable.Trainable(candidate("value"), seed=3)
        trainable.train(net, x, y, epochs=1, seed=3)
        texts.append([a.tobytes() for op in net.graph().nodes.values() for a in op.arrays.values()])
    assert texts[0] == texts[1]


def test_the_evolution_proposes_candidates_of_the_space(modules: Any) -> None:
    import random

    from snncompile.search.families.bcnas import candidates

    bcnas: ModuleType = modules("bcnas")
    known, rng = set(map(frozenset, candidates(bcnas.LAYERS))), random.Random(0)
    proposed = [bcnas.drawn(rng) for _ in range(50)]
    for _ in range(200):
        proposed.append(bcnas.child(proposed, rng))
    assert {frozenset(links) for links in proposed} <= known
    assert len(set(proposed)) > 50


def test_both_machines_refuse_candidates_of_the_evolution(modules: Any) -> None:
    bcnas: ModuleType = modules("bcnas")
    some = (((5, 1),), ((5, 5), (5, 4)), ((2, 2),))
    found = [bcnas.reasons_against(bcnas.candidate(links)) for links in some]
    assert found == [{"cycles"}, {"budget-resident_kib"}, set()]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options", "detail"), [
    ("bcnas", ("--iterations", "1", "--epochs", "1"), "cycles"),
    ("pareto", ("--trials", "8", "--epochs", "1", "--more", "1"), "cores"),
])
def test_a_search_ends_in_a_network_in_c(name: str, options: tuple[str, ...], detail: str, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn holds the digits")
    if name == "pareto":
        pytest.importorskip("optuna")
        pytest.importorskip("matplotlib")
    told = subprocess.run([sys.executable, FOLDER / f"{name}.py", *options, "--output", str(tmp_path / name)],
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    rejected, of = map(int, re.search(r"rejected +(\d+) of (\d+)", told.stdout).groups())
    assert 0 < rejected < of
    assert detail in told.stdout
    assert "would have taken" in told.stdout
    assert "C = integer interpreter" in told.stdout or "no C compiler" in told.stdout
    assert (tmp_path / name / "report.html").exists()
    assert name == "bcnas" or (tmp_path / "pareto.png").stat().st_size > 10_000
