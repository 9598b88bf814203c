"""ST-DANO: the published strings, the three kinds of neurons against PyTorch, and the damaged strings."""

import math

import pytest

from snncompile.ir.populations import Neuron
from snncompile.search import screen
from snncompile.search.families import stdano
from snncompile.search.families.backbones import Data, residual, whole
from snncompile.search.numbers import with_random_numbers
from tests.search.families.reference import (
    agree,
    emits_the_same,
    first_and_last,
    images,
    lif,
    presets_hold,
    refusal,
    refuses,
    torch,
)

DATA = Data((2, 6, 6), 3)
SHAPE = whole(residual(stem=5, stages=((5, 1), (6, 1))))
KINDS = (2, 0, 1, 2, 1)


def small():
    return with_random_numbers(stdano.network(SHAPE, KINDS, DATA), seed=2)


def llif(state, x):
    """`V = V exp(-1/tau) (1 - S) + X`, with a threshold that moves by `gamma tanh(relu(X) - X)` of the last tick."""
    v, theta, inhibition = state or (torch.zeros_like(x), torch.ones_like(x), torch.zeros_like(x))
    theta = theta + 0.1 * torch.tanh(inhibition)
    v = math.exp(-1 / 2) * v + x
    spike = (v >= theta).double()
    return spike, (v * (1 - spike), theta, torch.relu(x) - x)


def slif(state, x):
    """A decay of `exp(-1 / max(1.05, 2 - 0.1 tanh(V_p)))`, and a reset by subtraction."""
    v, excess = state or (torch.zeros_like(x), torch.zeros_like(x))
    v = torch.exp(-1 / (2 - 0.1 * torch.tanh(excess)).clamp(min=1.05)) * v + x
    spike = (v >= 1).double()
    return spike, (v - spike, spike * (v - 1))


def tick(layers, x):
    y = layers.fire("slif1", layers.conv("stem", x), slif)
    inner = layers.fire("lif2", layers.conv("stage1.block1.conv1", y), lif(math.exp(-1 / 2)))
    y = layers.fire("llif3", layers.conv("stage1.block1.conv2", inner) + y, llif)
    inner = layers.fire("slif4", layers.conv("stage2.block1.conv1", y, stride=2), slif)
    y = layers.conv("stage2.block1.conv2", inner) + layers.conv("stage2.block1.shortcut", y, stride=2)
    return layers.linear("classes", layers.fire("llif5", y, llif).mean((2, 3)))


def test_pytorch_computes_the_same_spikes():
    agree(small(), images(DATA.shape, 8), tick)


def test_emitted_c_computes_what_the_interpreter_computes():
    emits_the_same(small(), images(DATA.shape, 6))


def test_presets_build():
    presets_hold(stdano.FAMILY)
    assert len({preset.text.rpartition(":")[0] for preset in stdano.FAMILY.presets.values()}) == 21


def test_digits_stand_from_the_input_to_the_output():
    graph = stdano.graph("resnet18:20002000000001011")
    kinds = [op.rule.name for op in graph.nodes.values() if isinstance(op, Neuron)]
    assert [i for i, k in enumerate(kinds) if k == "slif"] == [0, 4]
    assert [i for i, k in enumerate(kinds) if k == "llif"] == [13, 15, 16]
    assert {op.firing.reset for op in graph.nodes.values() if isinstance(op, Neuron) and op.rule.name != "slif"} == {
        "value"}


@pytest.mark.parametrize(("backbone", "size"), [("resnet18", 3 ** 17), ("vgg16", 3 ** 13), ("vgg13", 3 ** 10)])
def test_spaces_are_whole(backbone, size):
    space = stdano.FAMILY.spaces[backbone]()
    assert space.size == size
    first_and_last(space)
    digits = "20002000000001001"[:len(space.choices)]
    built = space.build(space.index({f"layer{i + 1}": int(d) for i, d in enumerate(digits)}))
    assert list(built.nodes) == list(stdano.graph(f"{backbone}:{digits}").nodes)


@pytest.mark.parametrize("damaged", ["200000000110", "201100000000", "001100000020", "001100000000"])
def test_the_damaged_strings_of_the_paper_are_refused(damaged):
    diagnostic = refusal(lambda: stdano.graph(f"vgg16:{damaged}"))
    assert diagnostic.code == "SNN404"
    assert diagnostic.expected == "expected 13, found 12"
    assert damaged in diagnostic.found
    assert "vgg16" in diagnostic.place


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("resnet18:2000200000001001", "16 characters", "expected 17, found 16"),
    ("vgg11:00013000", '"3"', "0 to 2"),
    ("vgg12:00011000", '"vgg12"', "vgg11"),
    ("vgg11:00011000:mnist", '"mnist"', "cifar10"),
    ("vgg11", "1 fields", "BACKBONE:DIGITS:DATA"),
    ("", "1 fields", "BACKBONE:DIGITS:DATA"),
])
def test_what_names_no_network_is_refused(text, found, expected):
    refuses(lambda: stdano.graph(text), found, expected)


@pytest.mark.parametrize("backbone", ["resnet18", "vgg13"])
def test_whole_spaces_are_judged_by_tables(backbone):
    found = screen(stdano.space(backbone), ["loihi2", "speck2f"], sample=200, margins=False, cost=False, checked=3)
    assert found.why_slow == ""
    assert found.targets["loihi2"].ok.all() == (backbone == "resnet18")
    assert not found.targets["speck2f"].ok.any()
