"""A spiking MLP-Mixer: from PyTorch to C, and as a candidate on hardware."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.c.host import compiler
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Input, Output, Reshape
from snncompile.ir.populations import Neuron
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import ShapeOnly

CHANNELS, SIDE, HEADS, CLASSES = 8, 4, 2, 3


def pointwise(out: int, into: int) -> Conv:
    return Conv(ShapeOnly((out, into, 1)), None, (1,), ((0, 0),), (1,))


def candidate(channels: int, side: int, heads: int) -> Graph:
    """A block that mixes tokens and then channels, behind pixels of two channels; its weights are bare shapes."""
    tokens = side * side
    nodes: dict[str, Op] = {
        "x": Input((2, side, side)), "patch": Conv(ShapeOnly((channels, 2, 1, 1))), "n1": Neuron.of("lif"),
        "tokens": Reshape((channels, tokens)), "mix": TokenMix(ShapeOnly((heads, tokens, tokens))),
        "n2": Neuron.of("lif"), "wide": pointwise(2 * channels, channels), "n3": Neuron.of("lif"), "y": Output()}
    return Graph("mixer", nodes, tuple(Edge(a, b) for a, b in pairwise(nodes)))


def test_a_candidate_of_many_channels_is_counted_without_one_large_matrix():
    graph = candidate(384, 8, 16)
    assert sc.check(graph, "loihi2").diagnostics == ()
    mixing = 384 * 64 * 64
    assert sc.estimate(graph, "loihi2").synapses == mixing + 384 * 2 * 64 + 768 * 384 * 64
    assert graph.nodes["mix"].weight.size == 16 * 64 * 64


def test_a_target_without_token_mixing_multiplies_a_small_one_out():
    assert [d.code for d in sc.check(candidate(4, 3, 2), "xylo-a2").diagnostics if d.code == "SNN410"] == []
    assert "SNN410" in [d.code for d in sc.check(candidate(384, 8, 16), "xylo-a2").diagnostics]


@pytest.fixture(scope="module")
def mixer():
    """A mixer with snnTorch neurons, whose weights are dyadic so that its sums are exact."""
    torch = pytest.importorskip("torch")
    snn = pytest.importorskip("snntorch")
    torch.manual_seed(0)

    class Mixer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = torch.nn.Conv2d(1, CHANNELS, 2, 2)
            self.heads = torch.nn.Parameter(torch.randn(HEADS, SIDE, SIDE))
            self.channels = torch.nn.Conv1d(CHANNELS, CHANNELS, 1)
            self.tokens = torch.nn.Linear(SIDE, SIDE)
            self.classes = torch.nn.Linear(CHANNELS * SIDE, CLASSES)
            self.lifs = torch.nn.ModuleList(snn.Leaky(0.5, threshold=0.25) for _ in range(5))

        def forward(self, x):
            states, results = [lif.init_leaky() for lif in self.lifs], []
            for frame in x:
                y, states[0] = self.lifs[0](self.patches(frame), states[0])
                y = y.flatten(2).reshape(-1, HEADS, CHANNELS // HEADS, SIDE)
                y, states[1] = self.lifs[1]((y @ self.heads).flatten(1, 2), states[1])
                y, states[2] = self.lifs[2](self.channels(y), states[2])
                y, states[3] = self.lifs[3](self.tokens(y), states[3])
                y, states[4] = self.lifs[4](self.classes(y.flatten(1)), states[4])
                results.append(y)
            return torch.stack(results)

    network = Mixer()
    for p in network.parameters():
        p.data = torch.round(p.data * 48) / 16
    x = np.random.default_rng(0).integers(0, 2, (6, 10, 1, 4, 4)).astype(float)
    given = torch.from_numpy(x).float().transpose(0, 1)
    with torch.no_grad():
        wanted = network(given).transpose(0, 1).numpy()
    return sc.load(network, example_input=given), x, wanted


def test_a_spiking_mixer_gives_the_spikes_of_pytorch(mixer):
    graph, x, wanted = mixer
    assert [op.heads for op in graph.nodes.values() if isinstance(op, TokenMix)] == [HEADS, 1]
    np.testing.assert_array_equal(sc.run(graph, x).outputs["output"], wanted)
    assert 0 < wanted.mean() < 1


@pytest.mark.skipif(compiler() is None, reason="no C compiler")
def test_a_spiking_mixer_in_c_has_the_spikes_of_its_integers(mixer):
    graph, x, wanted = mixer
    model = sc.compile(graph, "c99", calibration=x, weight_bits=16)
    assert model.verify().ok
    assert np.mean(model.run(x).outputs == wanted) > 0.9
