"""Q-SNN: few bits in both orders of operations against PyTorch, and the bits that hardware sees."""


import pytest

import snncompile as sc
from snncompile.search.families import qsnn
from snncompile.search.families.backbones import Data, residual, whole
from snncompile.search.numbers import with_random_numbers
from tests.search.families.reference import (
    agree,
    emits_the_same,
    first_and_last,
    images,
    presets_hold,
    refuses,
    torch,
)

DATA = Data((2, 6, 6), 3)
ALPHA = 1.5
SHAPE = whole(residual(stem=5, stages=((5, 1), (6, 1))))


def small(bits, order):
    return with_random_numbers(qsnn.network(SHAPE, 1, bits, DATA, order=order, alpha=ALPHA), seed=7)


def quantized(u, bits):
    """The nearest of the levels between -ALPHA and ALPHA; halves go up."""
    levels = 2 ** (bits - 1) - 1
    step = ALPHA / levels
    return torch.floor(u / step + 0.5).clamp(-levels, levels) * step


def neuron(bits, order):
    """Paper, algorithm 1: integrate, quantize, compare, reset. Code: integrate, compare, reset, quantize."""
    def tick(u, x):
        u = x if u is None else 0.5 * u + x
        if order == "paper":
            u = quantized(u, bits)
            spike = (u >= 1).double()
            return spike, u * (1 - spike)
        spike = (u - 1 > 0).double()
        return spike, quantized(u * (1 - spike), bits)

    return tick


def reference(bits, order):
    lif = neuron(bits, order)

    def tick(layers, x):
        y = layers.fire("lif1", layers.conv("stem", x), lif)
        inner = layers.fire("lif2", layers.conv("stage1.block1.conv1", y), lif)
        y = layers.fire("lif3", layers.conv("stage1.block1.conv2", inner) + y, lif)
        inner = layers.fire("lif4", layers.conv("stage2.block1.conv1", y, stride=2), lif)
        y = layers.conv("stage2.block1.conv2", inner) + layers.conv("stage2.block1.shortcut", y, stride=2)
        return layers.linear("classes", layers.fire("lif5", y, lif).mean((2, 3)))

    return tick


@pytest.mark.parametrize("order", qsnn.ORDERS)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_pytorch_computes_the_same_spikes(bits, order):
    agree(small(bits, order), images(DATA.shape, 6), reference(bits, order))


def test_the_orders_differ():
    x = images(DATA.shape, 6)
    paper, code = (sc.run(small(4, order), x, record=True).emitted["lif2"] for order in ("paper", "code"))
    assert (paper != code).any()


@pytest.mark.parametrize("order", qsnn.ORDERS)
def test_emitted_c_computes_what_the_interpreter_computes(order):
    model = emits_the_same(small(4, order), images(DATA.shape, 5))
    assert [p.weight_bits for p in model.report.populations if p.name.startswith("lif")] == [8, 1, 1, 1, 1]
    assert all(model.graph.populations[f"lif{i}"].states["q"].bits <= 4 for i in range(1, 6))


def test_presets_build():
    presets_hold(qsnn.FAMILY)
    assert len(qsnn.FAMILY.presets) == 9


def test_bits_stand_where_the_notation_says():
    graph = qsnn.graph("vggsnn:1w2u:cifar10:code")
    bits = {n: op.weight.bits for n, op in graph.nodes.items() if hasattr(op, "weight")}
    assert (bits["conv1"], bits["conv2"], bits["conv8"], bits["classes"]) == (8, 1, 1, 8)
    assert {op.params["levels"] for op in graph.populations.values()} == {1}
    assert {op.firing.compare for op in graph.populations.values()} == {">"}
    plain = qsnn.graph("vggsnn:32w32u")
    assert plain.nodes["conv1"].weight.bits is None
    assert {op.rule.name for op in plain.populations.values()} == {"lif"}


def test_the_space_is_whole():
    space = qsnn.FAMILY.spaces["paper"]()
    assert space.size == 3 * 4 * 4
    first_and_last(space)


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("resnet19:1w", "1w", "1w2u"), ("resnet19:1w2u3", "1w2u3", "1w2u"), ("resnet19:0w2u", '"0"', "1 to 32"),
    ("resnet19:1w1u", '"1"', "2 to 32"), ("resnet19:17w2u", "17w2u", "up to 16"), ("resnet1:1w2u", "resnet1", "vgg16"),
    ("resnet19:1w2u:cifar10:text", '"text"', "paper, code"), ("resnet19", "1 fields", "BACKBONE:BITS")])
def test_bits_that_cannot_be_are_refused(text, found, expected):
    refuses(lambda: qsnn.graph(text), found, expected)
