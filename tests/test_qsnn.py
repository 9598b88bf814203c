"""The Q-SNN example: quantized PyTorch layers and membranes, and the same spikes in integers."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.inputs import integers
from snncompile.ir.interp import run
from snncompile.ir.ops import Conv, Linear
from snncompile.ir.populations import Population
from snncompile.model import inside_differences

torch = pytest.importorskip("torch")
training = pytest.importorskip("snncompile.training")
QuantLIF, over_time = training.QuantLIF, training.over_time

FOLDER = Path(__file__).parents[1] / "examples" / "qsnn"
TICKS = 5


@pytest.fixture(scope="module")
def qsnn() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    try:
        module = importlib.import_module("qsnn")
    finally:
        sys.path.remove(str(FOLDER))
    yield module
    del sys.modules["qsnn"]


def lively(qsnn: ModuleType, bits: int, form: Any = "paper", seed: int = 0) -> Any:
    """An untrained network whose weights let every layer fire, and whose grids saw its own membranes."""
    torch.manual_seed(seed)
    net = qsnn.network(bits, form=form)
    with torch.no_grad():
        for at, gain in ((0, 0.3), (2, 6.0), (5, 6.0), (8, 8.0)):
            net[at].weight *= gain
        net.train()
        for _ in range(8):
            over_time(net, ticks(frames(seed).float()))
    return net.double().eval()


def ticks(x: Any) -> list[Any]:
    return [x] * TICKS


def frames(seed: int, samples: int = 12) -> Any:
    return torch.tensor(np.random.default_rng(seed).integers(0, 17, (samples, 1, 8, 8)).astype(float))


def compiled(net: Any) -> sc.CompiledModel:
    return sc.compile(sc.load(net, example_input=torch.full((1, 1, 8, 8), 16.0), values="spike"), table_bits=16)


@pytest.mark.parametrize("form", ["paper", "code"])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_integers_fire_when_pytorch_does(qsnn: ModuleType, bits: int, form: str) -> None:
    """Every spike of every layer, in the graph, in integers, and in C."""
    net = lively(qsnn, bits, form)
    layers = [layer for layer in net if isinstance(layer, QuantLIF)]
    seen: list[list[Any]] = [[] for _ in layers]
    for layer, spikes in zip(layers, seen, strict=True):
        layer.register_forward_hook(lambda _module, _x, out, spikes=spikes: spikes.append(out))
    x = frames(1)
    with torch.no_grad():
        over_time(net, ticks(x))
    wanted = [torch.stack(s, 1).numpy() for s in seen]
    assert all(0.01 < w.mean() < 0.99 for w in wanted)
    model = compiled(net)
    whole = np.repeat(x.numpy()[:, None], TICKS, 1)
    inside = run(model.graph, integers(model.graph, whole), record=True, states=True)
    for emitted, spikes in zip(inside.emitted.values(), wanted, strict=True):
        assert np.count_nonzero(emitted != spikes.reshape(emitted.shape)) == 0
    assert inside_differences(inside, model.trace(whole)) == []


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weights_and_membranes_have_the_bits_that_were_trained(qsnn: ModuleType, bits: int) -> None:
    net = lively(qsnn, bits)
    model = compiled(net)
    assert [p.weight_bits for p in model.report.populations] == [8, 1, 1, 8]
    kept = [op.weight for e in model.graph.edges for op in e.chain if isinstance(op, (Conv, Linear))]
    for weight, at in zip(kept, (0, 2, 5, 8), strict=True):
        assert np.array_equal(np.asarray(weight), net[at].quant_weight().int())
    for op, most in zip(model.graph.populations.values(), (bits, bits, bits, 8), strict=True):
        assert isinstance(op, Population)
        assert op.states["q"].bits <= most


def test_the_loss_falls_with_balanced_signs_and_rates(qsnn: ModuleType) -> None:
    net = qsnn.network(4)
    for layer in net:
        if isinstance(layer, QuantLIF):
            layer.rate = torch.tensor(0.5)
    balanced = float(qsnn.regulation(net).detach())
    net[2].weight.data.abs_()
    assert float(qsnn.regulation(net).detach()) > balanced + 0.5


@pytest.mark.slow
def test_the_example_trains_and_loses_no_spike() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn holds the digits")
    told = subprocess.run([sys.executable, FOLDER / "train.py", "--epochs", "3", "--membrane-bits", "4"],
                          capture_output=True, text=True, check=False, cwd=FOLDER.parents[1])
    assert told.returncode == 0, told.stderr
    assert "spikes that differ: 0 of" in told.stdout
