"""Cores that are emptied: what cores use is kept up to date move by move, and networks fit that did not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.diagnostics import CompileError
from snncompile.mapping import partition as partitions
from snncompile.mapping.emptied import emptied
from snncompile.mapping.loads import AWAY, BITS, INTO, NEURONS, OUT, Loads
from snncompile.mapping.partition import partition
from snncompile.mapping.pieces import Pieces
from snncompile.passes.pipeline import run_passes
from snncompile.passes.table import Choices, passes_of
from snncompile.targets.layer_table import layer_table
from snncompile.targets.load import load_target
from snncompile.targets.target import Target
from tests.mapping.test_partition import LISTS, TARGETS, assert_counted, chain_net, conv, convolutions
from tests.random_graphs import Features
from tests.strategies import random_graph

USED = {NEURONS: "neurons", BITS: "synapse memory", INTO: "in-axons", OUT: "out-axons"}


def pieces_of(graph, target: Target) -> tuple[Pieces, np.ndarray]:
    """The tiles of a network, and cores on which they keep within the limits."""
    search = partitions._Search(graph, target, layer_table(graph), {})
    found = next(iter(search._partitions()))
    pieces = next(p for p in search.pieces.values() if p.tiles is found.tiles)
    return pieces, np.unique(found.core, return_inverse=True)[1]


def assert_same(loads: Loads, pieces: Pieces, cores: int) -> None:
    """What is kept up to date is what is counted anew of the same cores."""
    counted = pieces.result(np.append(loads.core, cores - 1)[:-1], "")
    for row, name in USED.items():
        found = np.zeros(cores, np.int64)
        found[:len(counted.used[name])] = counted.used[name]
        assert loads.used[row].tolist() == found.tolist()


@settings(max_examples=20, deadline=None)
@given(graph=convolutions(), model=st.sampled_from(list(TARGETS)), seed=st.integers(0, 99))
def test_moves_are_counted_as_by_counting_all_anew(graph, model, seed):
    target = TARGETS[model].with_(in_axons_per_core=None, out_axons_per_core=None, fan_in=None)
    pieces, core = pieces_of(graph, target)
    _moves_are_counted(pieces, core, seed)


@pytest.mark.parametrize("seed", range(12))
def test_moves_in_networks_with_loops_and_delays_are_counted(seed):
    graph = run_passes(random_graph(seed, Features(delays=True)), passes_of(Choices(LISTS), "legalize"))
    pieces, core = pieces_of(graph, LISTS)
    if len(core):
        _moves_are_counted(pieces, core, seed)


def _moves_are_counted(pieces: Pieces, core: np.ndarray, seed: int) -> None:
    """Random tiles are taken off and put elsewhere; each time, what cores would use more is what they then do."""
    rng, loads = np.random.default_rng(seed), Loads(pieces, core)
    cores = int(core.max()) + 1
    assert_same(loads, pieces, cores)
    for _ in range(10):
        moved = rng.permutation(len(core))[:3]
        for tile in moved.tolist():
            loads.take(tile)
            assert loads.core[tile] == AWAY
        for tile in moved.tolist():
            to, before, more = int(rng.integers(cores)), loads.used.copy(), loads.more(tile)
            loads.put(tile, to)
            assert loads.used[:, to].tolist() == (before[:, to] + more[:, to]).tolist()
        assert_same(loads, pieces, cores)


def test_a_core_is_reached_only_if_those_that_it_reads_have_out_axons_left():
    """A population of one tile that two tiles read: from two other cores, and then from its own and one other."""
    graph = chain_net((2, 1, 1), (conv(4, 2, 1, pad=0),), (conv(4, 4, 1, pad=0),))
    target = load_target("loihi1").with_(neurons_per_core=4, in_axons_per_core=8, cores=8)
    pieces, core = pieces_of(graph, target)
    source, reader = (int(np.flatnonzero(pieces.tiles.population == row)[0]) for row in (1, 2))
    loads = Loads(pieces, np.where(np.arange(len(core)) == source, 0, 1))
    assert loads.used[OUT].tolist() == [4, 0]
    loads.take(reader)
    loads.limits[OUT] = 3
    assert not loads.leaves_room(reader, 1)
    assert loads.leaves_room(reader, 0)


TIGHT = chain_net((2, 8, 8), (conv(16, 2),), (conv(8, 16, 5, pad=2),), (conv(16, 8),))
SMALL = load_target("loihi1").with_(neurons_per_core=64, in_axons_per_core=400, out_axons_per_core=400)


def fewest() -> int:
    """The cores that all other ways to divide TIGHT take at least."""
    search = partitions._Search(TIGHT, SMALL.with_(cores=1 << 12), layer_table(TIGHT), {})
    tried = [*search._partitions(), *search._mixed(), *search._by_strips(), search._by_patterns()]
    return min(p.cores for p in tried)


def test_a_network_fits_once_cores_are_emptied():
    few = SMALL.with_(cores=fewest() - 2)
    found = partition(TIGHT, few)
    assert found.method.endswith("cores emptied")
    assert found.cores <= few.limits.cores
    assert_counted(TIGHT, few, found)
    assert partition(TIGHT, few).core.tolist() == found.core.tolist()


def test_the_search_ends_where_a_network_cannot_fit(monkeypatch):
    monkeypatch.setattr("snncompile.mapping.emptied.MAX_MOVES", 2000)
    least = partition(TIGHT, SMALL).lower_bound[0]  # there is room for no axon more than in the best case
    with pytest.raises(CompileError) as e:
        partition(TIGHT, SMALL.with_(cores=least))
    assert e.value.diagnostics[0].code == "SNN416"


def test_no_core_is_emptied_where_all_are_full(monkeypatch):
    monkeypatch.setattr("snncompile.mapping.emptied.MAX_MOVES", 2000)
    graph = chain_net((2, 4, 4), (conv(8, 2),))
    target = load_target("loihi1").with_(neurons_per_core=16, cores=8)
    pieces, core = pieces_of(graph, target)
    assert (Loads(pieces, core).used[NEURONS] == 16).all()
    assert emptied(Loads(pieces, core), 7) is None
