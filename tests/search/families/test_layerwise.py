"""Bits and densities of each layer: where they land, against PyTorch, and in C."""


import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.layer import Layer
from snncompile.search.families import layerwise
from snncompile.search.families.backbones import Data, residual, whole
from snncompile.search.footprint import kept
from snncompile.search.net import Net
from snncompile.search.numbers import with_random_numbers
from tests.search.families.reference import agree, emits_the_same, images, lif, presets_hold, refuses

DATA = Data((2, 6, 6), 3)
SHAPE = whole(residual(stem=5, stages=((5, 1), (6, 1))))
BITS, PERCENT = (8, 4, 32, 3, 4, 6), (100, 50, 100, 50, 25, 100)
LIF = lif(0.5, strict=True)


def small():
    return with_random_numbers(layerwise.network(SHAPE, BITS, PERCENT, DATA), seed=1)


def tick(layers, x):
    y = layers.fire("lif1", layers.conv("stem", x), LIF)
    inner = layers.fire("lif2", layers.conv("stage1.block1.conv1", y), LIF)
    y = layers.fire("lif3", layers.conv("stage1.block1.conv2", inner) + y, LIF)
    inner = layers.fire("lif4", layers.conv("stage2.block1.conv1", y, stride=2), LIF)
    y = layers.conv("stage2.block1.conv2", inner) + layers.conv("stage2.block1.shortcut", y, stride=2)
    return layers.linear("classes", layers.fire("lif5", y, LIF).mean((2, 3)))


def test_pytorch_computes_the_same_spikes():
    agree(small(), images(DATA.shape, 8), tick)


def test_emitted_c_computes_what_the_interpreter_computes():
    emits_the_same(small(), images(DATA.shape, 4))


def test_each_layer_has_its_bits_and_density():
    bare = layerwise.network(SHAPE, BITS, PERCENT, DATA)
    weights = {name: op.weight for name, op in bare.nodes.items() if hasattr(op, "weight")}
    assert {name: w.bits for name, w in weights.items()} == {
        "stem": 8, "stage1.block1.conv1": 4, "stage1.block1.conv2": None, "stage2.block1.conv1": 3,
        "stage2.block1.conv2": 4, "stage2.block1.shortcut": 4, "classes": 6}
    assert {name: w.density for name, w in weights.items()} == {
        "stem": None, "stage1.block1.conv1": 0.5, "stage1.block1.conv2": None, "stage2.block1.conv1": 0.5,
        "stage2.block1.conv2": 0.25, "stage2.block1.shortcut": 0.25, "classes": None}
    kept = np.count_nonzero(small().nodes["stage1.block1.conv1"].weight)
    assert kept == bare.nodes["stage1.block1.conv1"].weight.nonzero == 113


def test_fewer_bits_and_weights_take_less_memory():
    def bits(text):
        return sc.check(layerwise.graph(text), "c99").cost.weight_bits

    assert bits("vgg11:4:100") < bits("vgg11:8:100")
    assert bits("vgg11:8,4,4,4,4,4,4,4,8") < bits("vgg11:8,8,4,4,4,4,4,4,8")


def test_density_is_in_synaptic_operations_and_in_the_memory_of_what_is_kept():
    """A fifth of the weights of every layer: SPEAR counts operations, ESL-SNNs count connections."""
    whole, sparse = (layerwise.graph(f"vgg11:8:{percent}:cifar10-spikes") for percent in (100, 20))
    costs = [sc.check(graph, "loihi2").cost for graph in (whole, sparse)]
    assert costs[1].synaptic_operations / costs[0].synaptic_operations == pytest.approx(0.2, rel=1e-3)
    assert costs[1].bit_operations / costs[0].bit_operations == pytest.approx(0.2, rel=1e-3)
    weights = sum(op.weight.size for op in whole.nodes.values() if isinstance(op, Layer))
    assert kept(whole) == 8 * weights
    assert kept(sparse) == pytest.approx(0.2 * 8 * weights, rel=1e-3)
    assert kept(sparse, index_bits=4) == pytest.approx(1.5 * kept(sparse))
    filled = with_random_numbers(layerwise.network(SHAPE, (32,) * 6, (25,) * 6, DATA))
    assert kept(filled, 32) == kept(layerwise.network(SHAPE, (32,) * 6, (25,) * 6, DATA), 32)


def test_layers_between_few_neurons_need_fewer_cores_where_they_are_sparse():
    """A dense layer of which most weights are zero is stored as a list of those that are not."""
    whole, sparse = (sc.check(Net((4096,)).linear(4096, density=density).lif(0.5).graph(), "loihi1").margins
                     for density in (None, 0.05))
    assert 1 + sparse["synapse-memory"] < (1 + whole["synapse-memory"]) / 4
    assert sparse["cores"] < 0 < whole["cores"]


def test_presets_build():
    presets_hold(layerwise.FAMILY)


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("vgg11", "1 fields", "2 to 4 fields"),
    ("vgg12:8", '"vgg12"', "vgg11"),
    ("vgg11:8,8", "2", "9"),
    ("vgg11:0", '"0"', "1 to 32"),
    ("vgg11:17", '"17"', "1 to 16"),
    ("vgg11:8:0", '"0"', "1 to 100"),
    ("vgg11:8:50,50", "2", "9"),
    ("vgg11:8:50:mnist", '"mnist"', "cifar10"),
])
def test_what_names_no_network_is_refused(text, found, expected):
    refuses(lambda: layerwise.graph(text), found, expected)
