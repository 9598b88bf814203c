"""Lower bounds are bounds: that of `check` is not above that of `partition`, which is not above the cores used."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import AvgPool, Conv, Input, Linear, Output, Pad, Reshape, SumPool, Upsample
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import ShapeOnly, Stage
from snncompile.mapping.partition import partition
from snncompile.passes.pipeline import run_passes
from snncompile.passes.table import Choices, passes_of
from snncompile.targets.layer_table import layer_table
from snncompile.targets.load import load_target
from snncompile.targets.memory import least_cores, memory_model
from snncompile.targets.target import Target
from snncompile.targets.verdict import judge
from tests.mapping.test_partition import TARGETS, chain_net, conv, convolutions, neuron
from tests.random_graphs import Features
from tests.strategies import random_graph

UNLIMITED = {"neurons_per_core": None, "in_axons_per_core": None, "out_axons_per_core": None, "fan_in": None,
             "cores": None}
TINY = load_target("loihi1").with_(**UNLIMITED, synapse_bits_per_core=1024)
BITWISE = TINY.with_(word_bits=1, list_header_bits=0, index_bits=4)
BOUNDED = {**TARGETS, "loihi1": load_target("loihi1"), "loihi2": load_target("loihi2"),
           "truenorth": load_target("truenorth"), "tiny": TINY, "tiny, own lists": TINY.with_(shared_kernels=False),
           "bitwise": BITWISE, "bitwise, own lists": BITWISE.with_(shared_kernels=False),
           "few neurons": BITWISE.with_(neurons_per_core=7), "few axons": BITWISE.with_(in_axons_per_core=16)}


def assert_bounded(graph: Graph, target: Target) -> None:
    """The bound of `check` <= the bound of `partition` <= the cores that a partition uses, by resource.

    And no rule about what one neuron needs of a core refuses a network that was placed.
    """
    try:
        cut = partition(graph, target)
    except CompileError:
        return
    table = layer_table(graph)
    broken = {v.rule for v in judge(table, target, "net").violations}
    assert not broken & {"cores", "in-axons", "synapse-memory"}
    checked = least_cores(table, target)
    for resource, cores in checked.items():
        assert cores[0] <= cut.least_cores.get(resource, 0) <= cut.cores


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("seed", range(40))
def test_no_bound_is_above_the_cores_of_a_random_network(seed, name):
    graph, target = random_graph(seed, Features(delays=True)), BOUNDED[name]
    assert_bounded(run_passes(graph, passes_of(Choices(target), "legalize")), target)


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.sampled_from(list(BOUNDED)))
def test_no_bound_is_above_the_cores_of_a_network_of_convolutions(graph, name):
    assert_bounded(graph, BOUNDED[name])


SPARSE = (np.random.default_rng(0).random((60, 80)) < 0.05).astype(float)


@pytest.mark.parametrize("name", ["tiny", "tiny, own lists", "bitwise", "bitwise, own lists", "few neurons",
                                  "few axons"])
@pytest.mark.parametrize(("shape", "chain"), [
    ((80,), (Linear(SPARSE),)),                                                   # mostly zeros
    ((2, 9, 9), (conv(4, 2, 1, 3, 0),)),                                          # a stride that leaves inputs out
    ((1, 4, 4), (conv(16, 1), Reshape((256,)), Linear(ShapeOnly((2, 256))))),     # weights of two layers, few synapses
    ((2, 6, 6), (Conv(ShapeOnly((32, 2, 5, 5))), Conv(ShapeOnly((2, 32, 1, 1))))),  # the same, without a dense layer
    ((4, 6, 6), (SumPool((6, 6), (6, 6)),)),                                      # dense without weights
    ((1, 10, 10), (SumPool((10, 10), (10, 10)), Upsample((4, 4)))),               # and all neurons read the same
    ((2, 6, 6), (conv(4, 2, 6, 5, 5),)),                                          # padding nearly as large as a kernel
    ((4, 6, 6), (conv(8, 4, 6, 1, 0),)),                                          # a kernel over the whole frame
    ((4, 6, 6), (SumPool((2, 2), (2, 2)), Reshape((36,)), Linear(ShapeOnly((9, 36))))),
    ((2, 5, 5), (SumPool((1, 1), (2, 2)), Reshape((18,)), Linear(ShapeOnly((9, 18))))),
    ((36,), (Reshape((1, 6, 6)), conv(4, 1))),
    ((4, 6, 6), (conv(4, 4, groups=4, dilation=2, pad=2),)),
    ((1, 1, 1), (Upsample((4, 4)), Reshape((4, 2, 2)), conv(4, 4))),
    ((2, 8, 8), (AvgPool((2, 2), (2, 2)), conv(4, 2))),
    ((4, 9), (TokenMix(ShapeOnly((2, 5, 9))),)),
    ((1, 9), (TokenMix(ShapeOnly((1, 5, 9))),)),                                  # a single channel: all read the same
    ((4, 3, 3), (Reshape((4, 9)), TokenMix(ShapeOnly((1, 9, 9))), Reshape((4, 3, 3)))),
    ((4, 9), (Conv(ShapeOnly((8, 4, 1)), None, (1,), ((0, 0),), (1,)), TokenMix(ShapeOnly((2, 5, 9))))),
    ((6, 6), (Reshape((1, 36)), TokenMix(ShapeOnly((1, 7, 36))))),
    ((6, 6), (Reshape((4, 9)), TokenMix(ShapeOnly((4, 7, 9))), TokenMix(ShapeOnly((1, 2, 7))))),
], ids=lambda value: " ".join(op.kind() for op in value) if value and not isinstance(value[0], int) else str(value))
def test_no_bound_is_above_the_cores_of_chains_whose_synapses_are_hard_to_count(shape, chain, name):
    assert_bounded(chain_net(shape, chain), BOUNDED[name])


def test_neurons_that_read_few_inputs_of_a_large_layer_are_placed():
    """Each of 60 neurons reads at most 9 of 80 inputs, for the other weights are zeros."""
    most = int(np.count_nonzero(SPARSE, 1).max())
    target = BITWISE.with_(in_axons_per_core=most, synapse_bits_per_core=12 * most)
    graph = chain_net((80,), (Linear(SPARSE),))
    assert partition(graph, target).cores > 1
    assert_bounded(graph, target)
    for figure in ({"in_axons_per_core": most - 1}, {"synapse_bits_per_core": 12 * most - 1}):
        with pytest.raises(CompileError, match="for one neuron"):
            partition(graph, target.with_(**figure))


def test_neurons_of_a_concatenation_read_only_one_of_its_parts():
    """Channels 0 and 1 read 18 inputs each, and channels 2 to 4 read 27: no neuron reads 45."""
    nodes = {"x": Input((2, 5, 5)), "y": Input((3, 5, 5)), "p": neuron(), "out": Output()}
    first = (conv(2, 2), Pad(((0, 3), (0, 0), (0, 0))))
    second = (conv(3, 3), Pad(((2, 0), (0, 0), (0, 0))))
    graph = Graph("net", nodes, (Edge("x", "p", 0, first), Edge("y", "p", 0, second), Edge("p", "out")), Stage.LEGAL)
    target = BITWISE.with_(in_axons_per_core=27, synapse_bits_per_core=None, neurons_per_core=1)
    assert partition(graph, target).cores == 5 * 5 * 5
    assert_bounded(graph, target)
    with pytest.raises(CompileError, match="27 for one neuron"):
        partition(graph, target.with_(in_axons_per_core=26))


def test_the_bound_of_partition_is_reached_where_lists_fill_cores():
    """80 lists of 5 synapses of 8 bits, with a header of 20 bits, take 80 words of 64 bits, on each of 4 cores."""
    graph = chain_net((80,), (Linear(ShapeOnly((20, 80))),))
    target = TINY.with_(synapse_bits_per_core=80 * 64, list_header_bits=20)
    cut = partition(graph, target)
    assert cut.cores == cut.least_cores["synapse memory"] == 4
    assert least_cores(layer_table(graph), target)["synapse memory"].tolist() == [3]  # lists of 20 would be cheaper


def test_a_kernel_is_counted_once_for_every_core_over_which_its_channels_are_spread():
    """100 pixels of a channel lie on 10 cores of 10 neurons, and each holds a kernel of 9 synapses of 12 bits."""
    graph = chain_net((1, 10, 10), (conv(1, 1),))
    target = BITWISE.with_(neurons_per_core=10, synapse_bits_per_core=9 * 12)
    assert memory_model(target).synapse_bits(layer_table(graph)).tolist() == [10 * 9 * 12]
    assert partition(graph, target).lower_bound[0] == 10


@given(st.lists(st.integers(1, 300), min_size=1, max_size=20), st.integers(1, 20), st.sampled_from([1, 8, 64]),
       st.sampled_from([0, 20, 70]))
def test_no_lists_take_less_than_the_cheapest(lengths, bits, word, header):
    memory = memory_model(TINY.with_(word_bits=word, list_header_bits=header))
    sizes = memory.list_bits(np.array(lengths), np.asarray(bits))
    least = memory.least_bits(*(np.array([n]) for n in (sum(lengths), bits, max(lengths))))
    assert least[0] <= sizes.sum()
    every = np.arange(1, max(lengths) + 1)
    cheapest = min(map(Fraction, memory.list_bits(every, np.asarray(bits)).tolist(), every.tolist()))
    assert least[0] == -(-sum(lengths) * cheapest // 1)


@given(st.integers(1, 50), st.integers(1, 20), st.integers(1, 5000))
def test_the_longest_list_fits_and_one_more_synapse_does_not(lists, bits, per_core):
    memory = memory_model(TINY.with_(synapse_bits_per_core=per_core))
    longest = memory.longest_list(lists, bits)
    assert longest == 1 or lists * memory.list_bits(np.asarray(longest), np.asarray(bits)) <= per_core
    assert lists * memory.list_bits(np.asarray(longest + 1), np.asarray(bits)) > per_core


def test_cores_are_counted_in_whole_numbers():
    """2^53 + 1 neurons, one a core: sums of floats would lose the last one."""
    nodes = {"x": Input((1,)), "a": neuron(), "b": neuron(), "y": Output()}
    edges = (Edge("x", "a", 0, (Linear(ShapeOnly((1, 1))),)), Edge("a", "b"), Edge("b", "y"))
    table = layer_table(Graph("net", nodes, edges, Stage.LEGAL))
    table.populations.neurons[1] = 1 << 53
    assert least_cores(table, TINY.with_(neurons_per_core=1))["neurons"].tolist() == [(1 << 53) + 1]
