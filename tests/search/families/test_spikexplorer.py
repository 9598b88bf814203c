"""SpikExplorer: the four kinds of neurons against PyTorch, and the area of a network."""

import numpy as np
import pytest

from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.search.families import spikexplorer
from snncompile.search.numbers import with_random_numbers
from tests.search.families.reference import agree, emits_the_same, first_and_last, presets_hold, refuses, torch

KINDS = tuple(spikexplorer.NEURON_AREA)


def small(kind):
    return with_random_numbers(spikexplorer.network(12, (9, 7), 4, kind, beta=4, alpha=4), seed=2)


def spikes(ticks):
    return (np.random.default_rng(1).random((3, ticks, 12)) < 0.4).astype(np.float64)


def neuron(layers, name, kind, recurrent):
    """snnTorch: the threshold is subtracted a tick after the spike; spikes come back through weights with a bias."""
    def tick(state, x):
        v, current, spike = state or (torch.zeros_like(x),) * 3
        x = x + layers.linear(recurrent, spike) if kind.startswith("r") else x
        current = 0.84 * current + x if kind.endswith("syn") else x
        v = 0.84 * v + current - spike
        fired = (v > 1).double()
        return fired, (v, current, fired)

    return tick


@pytest.mark.parametrize("kind", KINDS)
def test_pytorch_computes_the_same_spikes(kind):
    def tick(layers, x):
        for place in (1, 2, 3):
            x = layers.fire(f"{kind}{place}", layers.linear(f"fc{place}", x),
                            neuron(layers, f"{kind}{place}", kind, f"recurrent{place}"))
        return x

    agree(small(kind), spikes(12), tick)


@pytest.mark.parametrize("kind", KINDS)
def test_emitted_c_computes_what_the_interpreter_computes(kind):
    emits_the_same(small(kind), spikes(8))


@pytest.mark.parametrize(("kind", "expected"), [
    ("lif", 6 * (12 * 9 + 9 * 4) + 2 * 13), ("rlif", 6 * (12 * 9 + 9 * 4 + 81 + 16) + 3 * 13),
    ("syn", 6 * (12 * 9 + 9 * 4) + 4 * 13), ("rsyn", 6 * (12 * 9 + 9 * 4 + 81 + 16) + 6 * 13)])
def test_the_area_is_six_a_weight_and_some_a_neuron(kind, expected):
    assert spikexplorer.area(12, (9,), 4, kind) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_neurons_fire_above_the_threshold_as_in_snntorch(kind):
    firings = {op.firing for op in small(kind).nodes.values() if isinstance(op, Neuron)}
    assert firings == {Firing(">", "subtract", "after-decay")}


def test_presets_and_spaces_build():
    presets_hold(spikexplorer.FAMILY)
    space = spikexplorer.FAMILY.spaces["shd"]()
    assert space.size == 4 * 5 * 5 * 4 * 4 * 4
    first_and_last(space)


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("784:128:10:lif", "4 fields", "5 to 6 fields"),
    ("784:128:10:lap:1", '"lap"', "lif, rlif, syn, rsyn"),
    ("784:128:10:lif:5", '"5"', "1 to 4"),
    ("784:128:10:lif:1:0", '"0"', "1 to 4"),
    ("784::10:lif:1", "0", "1 to 8"),
    ("784:0:10:lif:1", '"0"', "1 to 65,536"),
])
def test_what_names_no_network_is_refused(text, found, expected):
    refuses(lambda: spikexplorer.graph(text), found, expected)
