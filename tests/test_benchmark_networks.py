"""The networks that the benchmarks run are what their tables say."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from snncompile.ir.interp import run
from snncompile.ir.ops import Conv
from snncompile.ir.verify import verify

FILE = Path(__file__).parents[1] / "benchmarks" / "networks.py"


def module_of(file):
    spec = importlib.util.spec_from_file_location(f"benchmark_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def networks():
    yield from module_of(FILE)


@pytest.fixture(scope="module")
def mapped():
    yield from module_of(FILE.with_name("mapped_networks.py"))


@pytest.mark.parametrize(("name", "weights", "neurons"), [
    ("mlp", 784 * 800 + 800 * 10, 810),
    ("conv", 16 * 2 * 25 + 32 * 16 * 9 + 2048 * 10, 16 * 34 * 34 + 32 * 17 * 17 + 10),
    ("vgg9", 9 * (3 * 64 + 64 * 64 + 64 * 128 + 128 * 128 + 128 * 256 + 2 * 256 * 256) + 4096 * 1024 + 10240,
     2 * 64 * 1024 + 2 * 128 * 256 + 3 * 256 * 64 + 1024 + 10),
])
def test_a_chain_has_its_size_and_fires_at_10_percent_everywhere(networks, name, weights, neurons):
    network = networks.NETWORKS[name]()
    graph = verify(network.graph)
    assert network.weights == weights
    assert sum(int(np.prod(graph.shapes[n])) for n in graph.populations) == neurons
    x = network.spikes(4)
    assert x.shape == (4, network.ticks, *network.shape)
    assert x.mean() == pytest.approx(0.1, abs=0.01)
    rates = {n: v.mean() for n, v in run(graph, x, record=True, dtype=np.float32).emitted.items()}
    assert all(0.06 < rate < 0.14 for rate in rates.values()), rates


def test_resnet19_has_the_published_number_of_weights_and_neurons(networks):
    network = networks.resnet19()
    graph = verify(network.graph)
    convolutions = [op for op in graph.nodes.values() if isinstance(op, Conv)]
    assert sum(op.weight.size for op in convolutions) == 12_553_600
    # A norm has two numbers a channel, of which folding leaves one.
    assert network.weights + sum(op.bias.size for op in convolutions) == 12_569_226
    hidden = [n for n in graph.populations if n != "lif"]
    assert len(hidden) == 17
    assert sum(int(np.prod(graph.shapes[n])) for n in hidden) == 1_441_792


def test_networks_are_the_same_every_time(networks):
    first, second = networks.small_conv(), networks.small_conv()
    assert str(first.graph) == str(second.graph)


@pytest.mark.parametrize(("name", "populations", "neurons", "weights"), [
    ("conv102k", 4, 2 * 8 * 64 * 64 + 32 * 32 * 32 + 16 * 16 * 16, 9 * (8 * 8 + 32 * 8 + 16 * 32)),
    ("pilotnet", 9, 107_033, 251_822),
    ("resnet19", 20, 1_442_570, 12_687_232),
    ("mobilenet", 29, 1_648_616, 4_209_088),
    ("billion", 69, 1_149_239_296, 9 * (68 * 64 * 64 + 32 * 64)),
])
def test_networks_to_be_mapped_have_their_sizes(mapped, name, populations, neurons, weights):
    graph = getattr(mapped, name)()
    found = (len(graph.populations), sum(int(np.prod(graph.shapes[n])) for n in graph.populations),
             sum(int(np.prod(op.weight.shape)) for e in graph.edges for op in e.chain if hasattr(op, "weight")))
    assert found == (populations, neurons, weights)
