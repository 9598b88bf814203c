"""Filling cores: every way gives each tile to one core, and keeps within what cores have."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.mapping.fill_cores import Resource, Shared, TileTooLarge, fill, fill_mixed
from snncompile.mapping.patterns import fewest_cores, fill_by_patterns
from snncompile.mapping.tile_shapes import SHARES
from snncompile.targets.load import load_target

FILLED = {
    "in order": fill,
    "mixed": fill_mixed,
    "paired": partial(fill_mixed, paired=True),
    "patterns": fill_by_patterns,
}


@st.composite
def cores_to_fill(draw: st.DrawFn) -> tuple[list[np.ndarray], tuple[Resource, ...]]:
    """Layers of tiles, and resources of which some are shared by tiles; every tile fits on a core of its own."""
    counts = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    layer = np.repeat(np.arange(len(counts)), counts)
    tiles, things = len(layer), 6
    own = rng.integers(0, 5, (2, len(counts)))[:, layer]
    pairs = np.unique(rng.integers(0, [[things], [tiles]], (2, 2 * tiles)), axis=1)
    shared = Resource("lists", None, own[1], Shared(pairs[0], pairs[1], rng.integers(1, 9, things)))
    most = int(shared.used(np.arange(tiles), tiles).max()) + draw(st.integers(0, 20))
    return np.split(np.arange(tiles), np.cumsum(counts)[:-1]), (
        Resource("neurons", draw(st.integers(6, 20)), 1 + own[0]), Resource("unlimited", None, own[1]),
        Resource("lists", most, own[1], shared.shared))


@pytest.mark.parametrize("way", FILLED)
@given(cores_to_fill())
def test_no_core_is_fuller_than_full(way, given_cores):
    queues, resources = given_cores
    core = FILLED[way](queues, resources)
    cores = int(core.max()) + 1
    assert set(core) == set(range(cores))
    for resource in resources:
        assert resource.limit is None or resource.used(core, cores).max() <= resource.limit


@pytest.mark.parametrize("way", FILLED)
def test_a_tile_that_is_too_large_is_named(way):
    resources = Resource("neurons", 8, np.array([3, 9, 3])), Resource("axons", 9, np.array([1, 1, 1]))
    with pytest.raises(TileTooLarge) as refusal:
        FILLED[way]([np.array([0]), np.array([1, 2])], resources)
    assert (refusal.value.tile, refusal.value.resource.name, refusal.value.used) == (1, "neurons", 9)


def test_layers_that_use_up_different_resources_share_cores():
    neurons, axons = np.array([8] * 30 + [1] * 30), np.array([0] * 30 + [10] * 30)
    queues, resources = [np.arange(30), np.arange(30, 60)], (Resource("neurons", 9, neurons),
                                                             Resource("axons", 10, axons))
    assert fill(queues, resources).max() + 1 == 59
    for way in ("mixed", "paired", "patterns"):
        assert FILLED[way](queues, resources).max() + 1 == 30


def test_patterns_take_as_few_cores_as_a_whole_number_of_them_can():
    """Pieces of 5, 4 and 3 of rolls of 9: 5 + 4 six times, 3 + 3 + 3 twice; filled in order, they take 10."""
    pieces = np.array([5] * 6 + [4] * 6 + [3] * 6)
    queues = [np.arange(6), np.arange(6, 12), np.arange(12, 18)]
    assert fill_by_patterns(queues, (Resource("neurons", 9, pieces),)).max() + 1 == 8
    assert fill(queues, (Resource("neurons", 9, pieces),)).max() + 1 == 11


def test_boxes_are_chosen_for_all_layers_together():
    """The first layer uses up neurons. The second has room beside it if it is cut into boxes of little memory."""
    limits = load_target("loihi2").limits
    most = np.array([limits.neurons_per_core, 0, limits.synapse_bits_per_core])
    few, many = np.array([0.9, 0, 0.1]), {(8, 1, 1): [0.1, 0, 1.0], (4, 1, 1): [0.05, 0, 0.45]}
    options = {1: {(8, 4, 4): (few * most).astype(int)},
               2: {box: (np.array(used) * most).astype(int) for box, used in many.items()}}
    assert fewest_cores(options, [(1, 1, 1), (8, 8, 8), (8, 4, 1)], limits) == {1: (8, 4, 4), 2: (4, 1, 1)}
    assert max(SHARES) == 1
