"""The memory of quantized networks as Q-SNN counts it, on the three networks of its table 2."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import AvgPool, Conv, Identity, Input, Linear, Output, Reshape, Scale
from snncompile.ir.populations import Neuron
from snncompile.ir.types import ShapeOnly, Stage
from snncompile.search.footprint import kept, qsnn


def conv(into: int, out: int, kernel: int = 3, stride: int = 1) -> Conv:
    pad = kernel // 2
    return Conv(ShapeOnly((out, into, kernel, kernel)), None, (stride, stride), ((pad, pad), (pad, pad)))


def norm(channels: int) -> Scale:
    return Scale(ShapeOnly((channels, 1, 1)), ShapeOnly((channels, 1, 1)))


def lif() -> Neuron:
    return Neuron.of("lif", decay=0.5)


def linear(into: int, out: int) -> Linear:
    return Linear(ShapeOnly((out, into)), ShapeOnly((out,)))


def vgg(*plan: int | str) -> Graph:
    """Convolutions of so many channels with batch norms and neurons, and "P" for a pool of 2x2; inputs of 3x32x32."""
    ops: list[Op] = [Input((3, 32, 32))]
    channels, side = 3, 32
    for step in plan:
        if isinstance(step, str):
            ops.append(AvgPool((2, 2), (2, 2)))
            side //= 2
        else:
            ops += [conv(channels, step), norm(step), lif()]
            channels = step
    ops += [AvgPool((side, side), (side, side)), Reshape((channels,)), linear(channels, 10), Output()]
    nodes = {f"{i}": op for i, op in enumerate(ops)}
    return Graph("vgg", nodes, tuple(Edge(a, b) for a, b in pairwise(nodes)))


def vgg16() -> Graph:
    return vgg(64, 64, "P", 128, 128, "P", 256, 256, 256, "P", 512, 512, 512, "P", 512, 512, 512, "P")


def vggsnn() -> Graph:
    return vgg(64, 128, "P", 256, 256, "P", 512, 512, "P", 512, 512, "P")


def resnet19() -> Graph:
    """A stem of 128 channels, then blocks of 128, 256 and 512; 1x1 convolutions where the shape changes."""
    nodes: dict[str, Op] = {"input": Input((3, 32, 32))}
    edges: list[Edge] = []

    def add(op: Op, *sources: str) -> str:
        name = f"{len(nodes)}"
        nodes[name] = op
        edges.extend(Edge(s, name) for s in sources)
        return name

    def layer(source: str, into: int, out: int, kernel: int = 3, stride: int = 1) -> str:
        return add(norm(out), add(conv(into, out, kernel, stride), source))

    last, channels = add(lif(), layer("input", 3, 128)), 128
    for out, blocks in ((128, 3), (256, 3), (512, 2)):
        for _ in range(blocks):
            stride = 2 if out != channels else 1
            inner = layer(add(lif(), layer(last, channels, out, 3, stride)), out, out)
            short = last if stride == 1 else layer(last, channels, out, 1, 2)
            last, channels = add(lif(), add(Identity(), inner, short)), out
    add(Output(), add(linear(512, 10), add(Reshape((512,)), add(AvgPool((8, 8), (8, 8)), last))))
    return Graph("resnet19", nodes, tuple(edges))


@pytest.mark.parametrize(("make", "parameters", "largest", "every"), [
    (resnet19, 12_569_226, 131_072, 1_441_792), (vgg16, 14_724_042, 65_536, 276_480),
    (vggsnn, 9_228_362, 131_072, 409_600)])
def test_without_quantization_it_is_all_parameters_and_the_membranes_of_the_largest_layer(
        make, parameters, largest, every):
    graph = make()
    neurons = [math.prod(graph.shapes[n]) for n in graph.populations]
    assert (max(neurons), sum(neurons)) == (largest, every)
    assert qsnn(graph, 32, 32, 3) == pytest.approx((parameters + 3 * largest) * 4 / 1e6)


def test_the_printed_numbers_of_resnet_19_that_are_at_hand():
    """184.49 MB for batches of 256, 83.83 MB for 64, in full; 10.0 and 10.01 for two rows that have the same bits."""
    graph = resnet19()
    assert qsnn(graph, 32, 32, 256) == pytest.approx(184.49, abs=0.005)
    assert qsnn(graph, 32, 32, 64) == pytest.approx(83.83, abs=0.005)
    assert qsnn(graph, 1, 8, 64) == qsnn(graph, 1, 2, 256)
    assert qsnn(graph, 1, 8, 64) == pytest.approx(10.0, abs=0.0081)
    assert qsnn(graph, 1, 2, 256) == pytest.approx(10.01, abs=0.005)


def test_a_sample_more_takes_the_membranes_of_the_largest_layer():
    assert qsnn(resnet19(), 1, 32, 2) - qsnn(resnet19(), 1, 32, 1) == pytest.approx(0.52427, abs=2e-5)
    assert qsnn(vgg16(), 1, 32, 2) - qsnn(vgg16(), 1, 32, 1) == pytest.approx(0.26219, abs=5e-5)


@pytest.mark.parametrize("make", [resnet19, vgg16, vggsnn])
@pytest.mark.parametrize("bits", [(1, 2, 64, 8), (1, 8, 64, 8), (2, 4, 256, 32)])
def test_it_is_the_formula_with_each_part_counted_by_name(make, bits):
    """The counts are taken from the lists of layers: convolutions in their order, channels of norms, ten classes."""
    weight_bits, membrane_bits, batch, last_bits = bits
    graph = make()
    layers = [op.weight.size for op in graph.nodes.values() if isinstance(op, Conv)]
    channels = sum(op.weight.shape[0] for op in graph.nodes.values() if isinstance(op, Conv))
    largest = max(math.prod(graph.shapes[n]) for n in graph.populations)
    total = (weight_bits * sum(layers[1:]) + 8 * layers[0] + last_bits * 512 * 10 + 32 * (2 * channels + 10)
             + batch * membrane_bits * largest)
    assert qsnn(graph, weight_bits, membrane_bits, batch, last_bits) == pytest.approx(total / 8e6)


def test_numbers_count_as_their_shapes():
    def numbers(op):
        return Linear(np.ones(op.weight.shape), np.ones(op.bias.shape)) if isinstance(op, Linear) else op

    graph = resnet19()
    assert qsnn(graph.replace(nodes={n: numbers(op) for n, op in graph.nodes.items()}), 1, 2) == qsnn(graph, 1, 2)


def test_a_recurrence_is_between_the_first_layer_and_the_last():
    nodes = {"in": Input((3,)), "a": linear(3, 4), "lif": lif(), "back": linear(4, 4), "b": linear(4, 2),
             "out": Output()}
    edges = [Edge(*ends) for ends in (("in", "a"), ("a", "lif"), ("lif", "b"), ("b", "out"), ("back", "lif"))]
    graph = Graph("loop", nodes, (*edges, Edge("lif", "back", 1)))
    assert qsnn(graph, 1, 2) * 8e6 == pytest.approx(8 * 12 + 1 * 16 + 8 * 8 + 32 * (4 + 4 + 2) + 2 * 4)


def test_graphs_and_options_that_do_not_fit_are_refused():
    with pytest.raises(sc.CompileError, match="SNN204"):
        qsnn(vgg16().replace(stage=Stage.LEGAL), 1, 2)
    for options in ({"weight_bits": 0}, {"membrane_bits": 1.5}, {"batch": 0}, {"last_bits": -1}):
        with pytest.raises(sc.CompileError, match="SNN404"):
            qsnn(vgg16(), **{"weight_bits": 1, "membrane_bits": 2, **options})
    with pytest.raises(sc.CompileError, match="SNN204"):
        kept(vgg16().replace(stage=Stage.LEGAL))
    for options in ({"weight_bits": 0}, {"index_bits": -1}):
        with pytest.raises(sc.CompileError, match="SNN404"):
            kept(vgg16(), **options)


def test_weights_that_are_kept_have_their_own_bits():
    nodes = {"in": Input((3,)), "a": Linear(ShapeOnly((4, 3), bits=4, density=0.5)),
             "b": Linear(np.array([[1, 0, 2, 0]])), "out": Output()}
    graph = Graph("kept", nodes, tuple(Edge(*ends) for ends in (("in", "a"), ("a", "b"), ("b", "out"))))
    assert kept(graph, 8, 2) == 6 * (4 + 2) + 2 * (8 + 2)
