"""Figures of a cost that follow from others."""

from __future__ import annotations

import pytest

import snncompile as sc
from snncompile.mapping.partition import partition
from snncompile.passes.pipeline import run_passes
from snncompile.passes.table import Choices, passes_of
from snncompile.search import Net
from tests.nets import small, spikes


def test_without_a_partition_the_cores_are_the_largest_of_the_lower_bounds():
    """11 neurons take 3 cores of 4; the synapses of the network take less than one."""
    target = sc.load_target("loihi1").with_(neurons_per_core=4)
    cost = sc.estimate(small(), target, spikes(2, 5))
    legal = run_passes(small(), passes_of(Choices(target), "legalize"))
    assert cost.cores == 3 == partition(legal, target).lower_bound[0]
    whole = sc.estimate(small(), target.with_(neurons_per_core=1024), spikes(2, 5))
    assert whole.cores == 1
    barrier = cost.ticks * target.costs["davies2018"].tick_ns
    assert (cost.time_ns - barrier) * 3 == pytest.approx(whole.time_ns - barrier)


def test_without_limits_there_is_one_core():
    assert sc.estimate(small(), "c99", spikes(2, 5)).cores == 1


def test_synaptic_operations_are_accumulations_and_multiplications():
    x = spikes(2, 5)
    x[:, :2] *= 3
    cost = sc.estimate(small(), "c99", x)
    assert min(cost.accumulations, cost.multiplications) > 0
    assert cost.synaptic_operations == cost.accumulations + cost.multiplications
    assert str(cost).startswith(f"{cost.synaptic_operations:.3g} SynOps")


@pytest.mark.parametrize(("density", "kept"), [(None, 72), (0.25, 18), (0.5, 36)])
def test_kept_bits_are_those_of_weights_that_are_not_zero(density, kept):
    net = Net((2, 5, 5)).conv(4, 3, bits=4, density=density).lif(decay=0.5)
    verdict = sc.check(net.linear(10, bits=8).lif(decay=0.5).graph(), "c99", budget={"kept_kib": 1})
    assert verdict.cost.kept_bits == 4 * kept + 8 * 1000
    assert verdict.cost.weight_bits == 4 * 72 + 8 * 1000
    assert verdict.margins["budget-kept_kib"] == verdict.cost.kept_bits / 8192 - 1
