"""The backbones have the layers and the numbers that are printed, and compute what PyTorch computes."""


import numpy as np
import pytest

from snncompile.search.families.backbones import (
    BACKBONES,
    DATA,
    FAMILY,
    LAYERS,
    Bits,
    Data,
    build,
    plain,
    residual,
    whole,
)
from snncompile.search.families.family import parameters
from snncompile.search.numbers import with_random_numbers
from tests.search.families.reference import (
    Layers,
    agree,
    emits_the_same,
    functional,
    images,
    lif,
    presets_hold,
    refuses,
)

SMALL = Data((3, 8, 8), 4)
TET = lif(0.5, strict=True)


def test_all_have_the_parameters_that_are_printed():
    presets_hold(FAMILY)


@pytest.mark.parametrize("name", BACKBONES)
def test_layers_of_neurons_are_counted(name):
    built = build(name, BACKBONES[name], DATA["cifar10"])
    assert len(built.ports) == LAYERS[name]
    shapes = built.net.graph().shapes
    assert [shapes[p.spikes.name] for p in built.ports] == [p.current.shape for p in built.ports]


@pytest.mark.parametrize(("name", "neurons", "largest"), [
    ("resnet18", 557_056, 65_536), ("resnet19", 1_441_792, 131_072), ("vgg16", 276_480, 65_536),
    ("vggsnn", 409_600, 131_072)])
def test_neurons_are_those_of_table_2(name, neurons, largest):
    sizes = [int(np.prod(p.spikes.shape)) for p in build(name, BACKBONES[name], DATA["cifar10"]).ports]
    assert (sum(sizes), max(sizes)) == (neurons, largest)


def block(layers: Layers, name, x, numbers, stride, shortcut):
    inner = layers.fire(f"lif{numbers[0]}", layers.conv(f"{name}.conv1", x, stride=stride), TET)
    inner = layers.conv(f"{name}.conv2", inner)
    aside = layers.conv(f"{name}.shortcut", x, stride=stride) if shortcut else x
    return layers.fire(f"lif{numbers[1]}", inner + aside, TET)


def residual_tick(layers: Layers, x):
    """A residual network of two stages with two fully connected layers."""
    y = layers.fire("lif1", layers.conv("stem", x), TET)
    y = block(layers, "stage1.block1", y, (2, 3), 1, shortcut=False)
    y = block(layers, "stage2.block1", y, (4, 5), 2, shortcut=True)
    y = block(layers, "stage2.block2", y, (6, 7), 1, shortcut=False)
    y = layers.linear("hidden", y.mean((2, 3)))
    return layers.linear("classes", layers.fire("lif8", y, TET))


def plain_tick(layers: Layers, x):
    y = layers.fire("lif1", layers.conv("conv1", x), TET)
    y = functional.avg_pool2d(layers.fire("lif2", layers.conv("conv2", y), TET), 2)
    y = functional.avg_pool2d(layers.fire("lif3", layers.conv("conv3", y), TET), 2)
    return layers.linear("classes", y.mean((2, 3)))


SHAPES = {"residual": (whole(residual(stem=6, stages=((6, 1), (8, 2)), hidden=12)), residual_tick),
          "plain": (whole(plain(layers=(6, 8, 0, 8, 0))), plain_tick)}


@pytest.mark.parametrize("bits", [Bits(), Bits(1, 8)])
@pytest.mark.parametrize("kind", SHAPES)
def test_pytorch_computes_the_same_spikes(kind, bits):
    shape, tick = SHAPES[kind]
    graph = with_random_numbers(build("small", shape, SMALL, bits=bits).net.graph(), seed=1)
    agree(graph, images(SMALL.shape, 5), tick)


@pytest.mark.parametrize("kind", SHAPES)
def test_emitted_c_computes_what_the_interpreter_computes(kind):
    graph = with_random_numbers(build("small", SHAPES[kind][0], SMALL).net.graph(), seed=1)
    emits_the_same(graph, images(SMALL.shape, 5))


def test_bits_are_those_of_the_ends_and_of_the_layers_between():
    graph = build("small", SHAPES["residual"][0], SMALL, bits=Bits(1, 8)).net.graph()
    bits = {name: op.weight.bits for name, op in graph.nodes.items() if hasattr(op, "weight")}
    assert {n for n, b in bits.items() if b == 8} == {"stem", "classes"}
    assert {bits[n] for n in set(bits) - {"stem", "classes"}} == {1}


def test_data_choose_the_input_and_the_classes():
    graph = FAMILY.graph("vgg11:cifar10-dvs")
    assert graph.shapes["input"] == (2, 48, 48)
    assert graph.nodes["input"].values == "spike"
    assert parameters(FAMILY.graph("resnet18:cifar100")) - parameters(FAMILY.graph("resnet18")) == 90 * 513


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("resnet20", "resnet20", "resnet18"), ("resnet18:mnist", "mnist", "cifar10"), ("", '""', "resnet18"),
    ("resnet18:cifar10:x", "3 fields", "1 to 2 fields"), ("x" * 5000, "5,000", "4,096")])
def test_what_names_no_backbone_is_refused(text, found, expected):
    refuses(lambda: FAMILY.graph(text), found, expected)
