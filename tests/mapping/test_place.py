"""Placements: hops counted one by one, bounds, and curves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from snncompile.diagnostics import CompileError
from snncompile.ir.ops import Linear
from snncompile.ir.types import ShapeOnly
from snncompile.mapping.hilbert import curve, hilbert_key
from snncompile.mapping.partition import partition
from snncompile.mapping.place import place
from snncompile.mapping.swaps import improved
from snncompile.targets.load import load_target
from tests.mapping.test_partition import FLAT, chain_net, conv

MESH = FLAT.with_(neurons_per_core=40, columns=6, rows=6, cores_per_tile=1)
TILES = FLAT.with_(neurons_per_core=40, columns=4, rows=3, cores_per_tile=4)
NET = chain_net((4, 10, 10), (conv(4, 4),), (conv(8, 4, stride=2),), (conv(8, 8),))


@pytest.mark.parametrize("columns", [1, 2, 4, 8, 16])
def test_the_curve_goes_through_every_point_step_by_step(columns):
    for rows in {columns, max(columns // 2, 1), 2 * columns}:
        points = curve(columns, rows)
        assert sorted(map(tuple, points.tolist())) == sorted(itertools.product(range(columns), range(rows)))
        assert np.abs(np.diff(points, axis=0)).sum(1).max(initial=1) == 1


def test_rectangles_of_any_sides_are_covered():
    assert len(np.unique(curve(7, 5), axis=0)) == 35


def test_the_first_points_of_the_curve_are_the_known_ones():
    x, y = np.array([0, 1, 1, 0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 2, 3, 3, 2])
    assert sorted(hilbert_key(x, y, 2).tolist()) == list(range(8))


@pytest.mark.parametrize("target", [MESH, TILES], ids=["one core a tile", "four cores a tile"])
def test_hops_are_those_counted_flow_by_flow(target):
    cut = partition(NET, target)
    at = place(cut, target)
    assert at is not None
    seats = {(c, r): 0 for c in range(at.columns) for r in range(at.rows)}
    for spot in zip(at.column.tolist(), at.row.tolist(), strict=True):
        seats[spot] += 1
    assert max(seats.values()) <= at.cores_per_tile
    hops = {n: [0, 0] for n in cut.populations}
    flows = cut.traffic
    for p, s, t, n in zip(flows.population, flows.source, flows.target, flows.packets, strict=True):
        hops[cut.populations[p]][0] += n * abs(int(at.column[s]) - int(at.column[t]))
        hops[cut.populations[p]][1] += n * abs(int(at.row[s]) - int(at.row[t]))
    assert {n: (at.hops_x[n], at.hops_y[n]) for n in hops} == {n: tuple(v) for n, v in hops.items()}
    total = sum(map(sum, hops.values()))
    assert at.mean_hops == pytest.approx(total / cut.remote_packets)
    assert at.least_mean_hops <= at.mean_hops


def test_placement_is_close_to_its_bound_and_always_alike():
    cut = partition(NET, MESH)
    first, second = place(cut, MESH), place(cut, MESH)
    assert np.array_equal(first.column, second.column)
    assert first.mean_hops <= 1.5 * first.least_mean_hops


def test_swaps_find_the_best_of_all_placements_of_few_cores():
    rng = np.random.default_rng(3)
    points = np.array(list(itertools.product(range(3), range(2))))
    ways = np.abs(points[:, None] - points).sum(2).astype(float)
    for _ in range(10):
        traffic = np.triu(rng.integers(0, 20, (6, 6)), 1).astype(float)
        traffic += traffic.T
        best = min(float((traffic * ways[list(p)][:, list(p)]).sum()) for p in itertools.permutations(range(6)))
        at = improved(traffic, ways, np.arange(6), 6, np.zeros(6, int))
        assert float((traffic * ways[at][:, at]).sum()) == best


def test_rates_pull_busy_cores_together():
    cut = partition(NET, MESH)
    busy = place(cut, MESH, rates={"p0": 1.0})
    assert busy.mean_hops * cut.packets["p0"] == pytest.approx(busy.hops_x["p0"] + busy.hops_y["p0"])


def test_a_target_without_a_mesh_has_no_places():
    target = load_target("speck2f")
    assert place(partition(chain_net((2, 8, 8), (conv(2, 2),)), target), target) is None


def test_a_mesh_that_is_too_small_is_refused():
    cut = partition(NET, MESH)
    with pytest.raises(CompileError) as e:
        place(cut, MESH.with_(columns=2, rows=2))
    diagnostic, = e.value.diagnostics
    assert (diagnostic.code, diagnostic.found) == ("SNN416", f"{cut.cores} cores")


def test_one_core_needs_no_hops():
    target = MESH.with_(neurons_per_core=1000)
    graph = chain_net((8,), (Linear(ShapeOnly((8, 8))),))
    at = place(partition(graph, target), target)
    assert (at.mean_hops, at.least_mean_hops) == (0, 0)
