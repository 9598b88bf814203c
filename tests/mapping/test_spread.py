"""Cores spread over several chips: limits of a chip, packets between chips, and what rules, costs and drawings say."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

import snncompile as sc
from snncompile.diagnostics import CompileError
from snncompile.mapping.partition import partition
from snncompile.mapping.partitioned import Partition
from snncompile.mapping.place import place
from snncompile.mapping.spread import filled, spread
from snncompile.report.chip_svg import to_svg
from snncompile.report.steps import line
from snncompile.search import Net, Space, screen, variants
from snncompile.targets.load import load_target
from tests.mapping.test_partition import FLAT, chain_net, conv
from tests.mapping.test_place import MESH, NET
from tests.nets import small

FEW = FLAT.with_(cores=6, neurons_per_core=40, columns=3, rows=2, cores_per_tile=1)


def crossing(cut: Partition, chip) -> int:
    flows = cut.traffic
    return sum(int(n) for s, t, n in zip(flows.source, flows.target, flows.packets, strict=True) if chip[s] != chip[t])


def net(width: int, layers: int = 3, side: int = 8):
    built = Net((2, side, side))
    for _ in range(layers):
        built.conv(width, 3).lif(decay=0.5)
    return built.linear(10).lif(decay=0.5).graph()


@pytest.mark.parametrize("figures", [{}, {"neurons": 320}, {"synapses": 4000}, {"neurons": 400, "synapses": 5000}])
def test_no_chip_holds_more_than_it_has(figures):
    target = FEW.with_(chips=None, **figures)
    cut = partition(NET, target)
    assert cut.chips > 1
    synapses = np.bincount(cut.core, cut.tiles.synapses)
    for each, limit in ((np.ones(cut.cores), 6), (cut.used["neurons"], figures.get("neurons")),
                        (synapses, figures.get("synapses"))):
        assert limit is None or np.bincount(cut.chip, each).max() <= limit
    assert sum(cut.packets_between_chips.values()) == crossing(cut, cut.chip)


@pytest.mark.parametrize("chips", [2, 4, 5])
def test_the_search_finds_groups_of_cores_that_only_talk_among_themselves(chips):
    cut = partition(NET, MESH)
    group = np.random.default_rng(0).permutation(np.arange(cut.cores) % chips)
    source, target = np.nonzero(group[:, None] == group)
    flows = dataclasses.replace(cut.traffic, population=0 * source, source=source, target=target,
                                packets=(source != target) + 0)
    found = spread(dataclasses.replace(cut, traffic=flows), MESH.with_(cores=cut.cores // chips, chips=chips),
                   flows.packets)
    assert cut.cores % chips == 0
    assert found.packets_between_chips == dict.fromkeys(cut.populations, 0)


@pytest.mark.parametrize("seed", range(6))
def test_packets_between_chips_are_as_few_as_those_of_the_best_of_all_ways(seed):
    rng = np.random.default_rng(seed)
    cut = partition(chain_net((2, 6, 6), (conv(4, 2),), (conv(4, 4),)), FEW.with_(neurons_per_core=36, cores=8))
    flows, packets = cut.traffic, rng.integers(0, 50, len(cut.traffic.packets))
    assert cut.cores == 8
    ways = (np.isin(np.arange(8), some) for some in itertools.combinations(range(8), 4))
    best = min(packets[way[flows.source] != way[flows.target]].sum() for way in ways)
    chip = spread(cut, FEW.with_(cores=4, chips=2), packets).chip
    assert packets[chip[flows.source] != chip[flows.target]].sum() <= 1.15 * best


def test_a_spread_sends_no_more_than_chips_filled_in_order():
    cut = partition(NET, FEW.with_(chips=None))
    in_order = filled(np.ones((cut.cores, 1), np.int64), np.array([6]))
    assert 2 * sum(cut.packets_between_chips.values()) < crossing(cut, in_order)


def test_cores_lie_on_the_tiles_of_their_chip():
    target = FEW.with_(chips=None)
    cut = partition(NET, target)
    at = place(cut, target)
    assert len(at.corners) >= cut.chips > 2
    corner = at.corners[cut.chip]
    inside = np.stack([at.column, at.row], 1) - corner
    assert ((inside >= 0) & (inside < (3, 2))).all()
    assert len(set(zip(at.column.tolist(), at.row.tolist(), strict=True))) == cut.cores
    flows = cut.traffic
    ways = np.abs(at.column[flows.source] - at.column[flows.target])
    assert sum(at.hops_x.values()) == int(flows.packets @ ways)
    assert at.least_mean_hops <= at.mean_hops


def test_a_mesh_that_is_too_small_for_the_cores_of_a_chip_is_refused():
    target = FEW.with_(chips=None, columns=2)
    with pytest.raises(CompileError, match="4: 2 columns, 2 rows"):
        place(partition(NET, target), target)


def test_too_many_chips_are_refused_with_what_is_needed():
    with pytest.raises(CompileError, match=r"limit: 12 cores of 2 chips"):
        partition(NET, FEW.with_(chips=2))
    with pytest.raises(CompileError, match=r"cores that fill \d+ chips"):
        partition(NET, FEW.with_(chips=2, neurons=400, cores=None, neurons_per_core=150))
    with pytest.raises(CompileError, match="a core that holds more neurons"):
        partition(NET, FEW.with_(chips=None, neurons=30))


def test_rules_count_what_all_chips_have_together():
    graph = net(4)
    one = load_target("loihi1").with_(real_inputs=True, resets=None, neurons_per_core=64)
    need = sc.check(graph, one).cost.cores
    for chips in (2, 3, None):
        cores = -(-need // (chips or 2))
        verdict = sc.check(graph, one.with_(chips=chips, cores=cores))
        assert verdict.ok
        assert verdict.cost.chips == -(-need // cores)
    refused = sc.check(graph, one.with_(chips=2, cores=(need - 1) // 2))
    (violation,) = refused.violations
    assert (violation.rule, violation.used, violation.limit) == ("cores", need, (need - 1) // 2 * 2)
    assert "2 chips" in violation.diagnostic.expected
    neurons = sc.check(graph, one.with_(chips=3, neurons=100)).margins["neurons"]
    assert neurons == 778 / 300 - 1


def test_a_packing_says_how_many_chips_it_takes():
    target = load_target("loihi1").with_(real_inputs=True, resets=None, neurons_per_core=64, cores=6, chips=4)
    verdict = sc.check(net(4), target, packed=True, budget={"chips": 2})
    assert verdict.chips == verdict.cost.chips == -(-verdict.cores // 6) == 3
    assert [v.rule for v in verdict.violations] == ["budget-chips"]


def test_searches_screen_chips_as_check_does():
    space = Space("wide", {"width": (1, 4, 8, 16)}, net)
    targets = variants(load_target("loihi1").with_(real_inputs=True, resets=None, neurons_per_core=64, cores=8),
                       chips=(1, 2, 5, None))
    found = screen(space, targets, budget={"chips": 3})
    for target in targets:
        judged = found.targets[target.name]
        for row in range(space.size):
            verdict = sc.check(space.build(row), target, budget={"chips": 3})
            assert judged.constraints_of(row) == verdict.constraints
            assert judged.costs["chips"][row] == verdict.cost.chips
    assert [int(found.targets[t.name].ok.sum()) for t in targets] == [1, 2, 2, 2]


def test_layers_take_cores_of_several_chips():
    graph = net(2, layers=11, side=4)
    one = load_target("speck2f").with_(rules=None, resets=None, reset_times=None)
    assert [v.rule for v in sc.check(graph, one).violations] == ["cores", "layer-cores"]
    verdict = sc.check(graph, one.with_(chips=2), packed=True)
    assert (verdict.ok, verdict.basis, verdict.cores, verdict.chips) == (True, "packing", 12, 2)
    assert sc.check(graph, one.with_(chips=None), packed=True).ok


def test_messages_between_chips_cost_what_the_profile_says():
    target = FEW.with_(chips=None)
    cut = partition(NET, target)
    rates = dict.fromkeys(cut.populations, 0.5)
    free = sc.estimate(NET, target, rate=0.5, ticks=10, placed=(cut, place(cut, target)))
    assert "chips" in free.uncounted
    assert free.chips == cut.chips
    costs = {name: dataclasses.replace(profile, chip_message_pj=7.0) for name, profile in target.costs.items()}
    paid = sc.estimate(NET, dataclasses.replace(target, costs=costs), rate=0.5, ticks=10,
                       placed=(cut, place(cut, target)))
    assert paid.energy_pj["chips"] == pytest.approx(7 * 10 * sum(
        n * rates[name] for name, n in cut.packets_between_chips.items()))
    assert "chips" not in sc.estimate(NET, MESH, placed=(partition(NET, MESH), None)).uncounted


def test_a_compiled_network_says_on_which_chips_it_lies():
    target = load_target("loihi1").with_(
        resets=None, real_inputs=True, neurons_per_core=2, cores=2, chips=None, columns=2, rows=1, cores_per_tile=1)
    model = sc.compile(small(), target=target)
    assert model.report.cores.chips == -(-model.report.cores.cores // 2) > 1
    assert model.report.cost.chips == model.report.cores.chips
    assert any("to another chip" in step.detail for step in line(model))
    picture = to_svg(*model.chip)
    chips = len(model.chip.placement.corners)
    assert chips >= model.report.cores.chips
    assert picture.count('class="chip"') == chips
    assert picture.count('class="tile"') == 2 * chips
