"""A network that goes through PyTorch, NIR and ONNX keeps its populations and its spikes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("torch")
pytest.importorskip("snntorch")

import snntorch
import torch

import snncompile as sc
from snncompile.ir.interp import run

SHAPES = {"lif1.mem": (2, 6, 6), "lif2.mem": (5,)}


class Net(torch.nn.Module):
    """A convolution and a dense layer with two kinds of reset; all weights are multiples of 1/16."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.conv = torch.nn.Conv2d(1, 2, 3, padding=1)
        self.lif1 = snntorch.Leaky(beta=0.5, threshold=0.75, reset_mechanism="subtract")
        self.pool = torch.nn.AvgPool2d(2)
        self.fc = torch.nn.Linear(18, 5)
        self.lif2 = snntorch.Leaky(beta=0.75, threshold=0.5, reset_mechanism="zero", reset_delay=False)
        with torch.no_grad():
            for p in (*self.conv.parameters(), *self.fc.parameters()):
                p.copy_(torch.round(p * 48) / 16)

    def step(self, x, mem1, mem2):
        spk1, mem1 = self.lif1(self.conv(x), mem1)
        spk2, mem2 = self.lif2(self.fc(torch.flatten(self.pool(spk1), 1)), mem2)
        return spk2, mem1, mem2

    def forward(self, x):
        mem1, mem2, out = torch.zeros(len(x[0]), 2, 6, 6), torch.zeros(len(x[0]), 5), []
        for frame in x:
            spikes, mem1, mem2 = self.step(frame, mem1, mem2)
            out.append(spikes)
        return torch.stack(out)


class Plain(Net):
    """The same layers with neurons written in PyTorch's operators, since its newer exporter fails on snnTorch's."""

    @staticmethod
    def lif(x, mem, leak, threshold):
        mem = leak * mem + x
        spikes = (mem > threshold).to(x)
        return spikes, mem - spikes * threshold

    def step(self, x, mem1, mem2):
        spk1, mem1 = self.lif(self.conv(x), mem1, 0.5, 0.75)
        spk2, mem2 = self.lif(self.fc(torch.flatten(self.pool(spk1), 1)), mem2, 0.75, 0.5)
        return spk2, mem1, mem2


class Step(torch.nn.Module):
    """One tick of a network, which takes and returns the membranes."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, mem1, mem2):
        return self.net.step(x, mem1, mem2)


def exported(net, path, dynamo=False):
    """Write one step of a network with one of PyTorch's exporters."""
    example = (torch.zeros(1, 1, 6, 6), *(torch.zeros(1, *s) for s in SHAPES.values()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Step(net), example, path, dynamo=dynamo, input_names=["x", *SHAPES],
                          output_names=["spk", *(f"{n}.next" for n in SHAPES)])
    return path


@pytest.mark.parametrize("seed", range(5))
def test_a_network_is_the_same_through_pytorch_nir_and_onnx(tmp_path, seed):
    net = Net(seed).eval()
    x = np.random.default_rng(seed).integers(0, 2, (1, 12, 1, 6, 6)).astype(float)
    frames = torch.tensor(x[0][:, None], dtype=torch.float32)
    with torch.no_grad():
        wanted = net(frames).numpy()[:, 0]
    graph = sc.load(net, example_input=frames)
    ways = {"pytorch": graph, "nir": sc.load(sc.export_nir(graph, tmp_path / "net.nir")),
            "onnx": sc.load(sc.export_onnx(graph, tmp_path / "net.onnx")),
            "torch.onnx": sc.load(exported(net, tmp_path / "step.onnx"))}
    assert wanted.any()
    for way, loaded in ways.items():
        assert set(loaded.populations) == {"lif1", "lif2"}, way
        (spikes,) = run(loaded, x).outputs.values()
        assert np.array_equal(spikes[0], wanted), way


@pytest.mark.parametrize(("kind", "dynamo"), [(Net, False), (Plain, False), (Plain, True)])
def test_a_step_that_pytorch_exports_compiles(tmp_path, kind, dynamo):
    if dynamo:
        pytest.importorskip("onnxscript")
    net = kind(0).eval()
    graph = sc.load(exported(net, tmp_path / "step.onnx", dynamo))
    x = np.random.default_rng(0).integers(0, 2, (4, 10, 1, 6, 6)).astype(float)
    with torch.no_grad():
        wanted = np.stack([net(torch.tensor(sample[:, None], dtype=torch.float32))[:, 0].numpy() for sample in x])
    (spikes,) = run(graph, x).outputs.values()
    assert wanted.any()
    assert np.array_equal(spikes, wanted)
    model = sc.compile(graph, target="c99", calibration=x)
    assert np.array_equal(model.run(x).outputs, model.reference(x).outputs)
    assert all(n.traced.states[s].dimension == "membrane" for n in graph.populations.values() for s in n.traced.states)
