"""Partitions: closed forms against counting by hand, legality, and bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.diagnostics import CompileError
from snncompile.driver import legalize_passes
from snncompile.ir.cells import Neuron
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Input, Linear, Output, Pad, Reshape, SumPool, Upsample
from snncompile.ir.types import Shape, ShapeOnly, Stage
from snncompile.passes.partition import Partition, has_cores, partition
from snncompile.passes.pipeline import run_passes
from snncompile.targets.target import Target, load_target
from tests.passes.by_hand import ByHand
from tests.random_graphs import Features
from tests.strategies import random_graph

LISTS = load_target("loihi1").with_(neurons_per_core=24, synapse_bits_per_core=60_000, in_axons_per_core=400,
                                    out_axons_per_core=300, cores=4096)
FLAT = load_target("loihi1").with_(model="flat", neurons_per_core=10, synapse_bits_per_core=None,
                                   in_axons_per_core=None, out_axons_per_core=None, cores=4096)
CROSSBAR = load_target("truenorth").with_(neurons_per_core=24, in_axons_per_core=300)
OWN_LISTS = LISTS.with_(shared_kernels=False, synapse_bits_per_core=200_000)
TARGETS = {"lists": LISTS, "flat": FLAT, "crossbar": CROSSBAR, "own lists": OWN_LISTS}


def neuron() -> Neuron:
    return Neuron.of("if", threshold=1.0)


def chain_net(shape: Shape, *chains: tuple[Op, ...], delay: int = 0) -> Graph:
    """Populations one after another, each behind a chain of operators."""
    nodes: dict[str, Op] = {"x": Input(shape)}
    edges = []
    for i, ops in enumerate(chains):
        nodes[f"p{i}"] = neuron()
        edges.append(Edge("x" if i == 0 else f"p{i - 1}", f"p{i}", delay * (i > 0), ops))
    nodes["y"] = Output()
    return Graph("net", nodes, (*edges, Edge(f"p{len(chains) - 1}", "y")), Stage.LEGAL)


def conv(out: int, into: int, kernel: int = 3, stride: int = 1, pad: int = 1, groups: int = 1, dilation: int = 1
         ) -> Conv:
    return Conv(ShapeOnly((out, into // groups, kernel, kernel)), None, (stride, stride), ((pad, pad), (pad, pad)),
                (dilation, dilation), groups)


def assert_counted(graph: Graph, target: Target, found: Partition) -> None:
    """Every figure of a partition is what one counts by hand, and no core is above a limit."""
    by_hand = ByHand(graph, target, found)
    flows = found.traffic
    assert np.array_equal(found.used["neurons"], by_hand.neurons())
    assert np.array_equal(found.used["in-axons"], by_hand.in_axons())
    assert np.array_equal(found.used["out-axons"], by_hand.out_axons())
    assert np.array_equal(found.used["synapse memory"], by_hand.synapse_bits())
    assert by_hand.flows() == {(found.populations[p], s, t): n for p, s, t, n in zip(
        flows.population, flows.source, flows.target, flows.packets, strict=True)}
    assert found.remote_packets >= found.least_packets
    assert found.cores >= found.lower_bound[0]
    assert set(found.core) == set(range(found.cores))
    for name, limit in found.limits.items():
        assert found.used[name].max(initial=0) <= limit
    assert found.tiles.synapses.sum() == sum(m.sum() for m in by_hand.matrices)


@pytest.mark.parametrize("model", TARGETS)
@pytest.mark.parametrize("seed", range(12))
def test_random_networks_are_counted_as_by_hand(seed, model):
    graph = run_passes(random_graph(seed, Features(delays=True)), legalize_passes(TARGETS[model]))
    assert_counted(graph, TARGETS[model], partition(graph, TARGETS[model]))
