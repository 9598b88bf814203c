import dataclasses

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.ops import Input
from snncompile.ir.rules import Firing
from snncompile.search.chain import Chain
from snncompile.search.layered import skeleton_of
from snncompile.search.net import Net
from snncompile.search.screening import judge_graphs, screen
from snncompile.search.space import Space
from snncompile.search.terms import Terms

TARGETS = ("c99", "loihi1", "loihi2", "speck2f", "truenorth", "xylo-a2")
LATE = Firing(reset="value", when="after-decay")


def plain(net, width=(4, 9), kernel=(1, 3), neuron=("lif", "if"), bits=(None, 3)):
    net.conv(width, kernel, bits=bits).norm().neuron(neuron)


def strided(net, width=(3, 8), stride=(1, 2, 5), bias=(False, True), late=(False, True)):
    net.conv(width, 3, stride=stride, bias=bias).neuron("lif", firing=LATE if late else Firing())


def pooling(net, kind=("avg", "max", "sum"), side=(1, 2, 3), width=(0, 5)):
    net.pool(side, kind=kind)
    if width:
        net.conv(width, 3).lif(0.5)


def residual(net, width=(4, 6), density=(None, 0.25), delay=(0, 2)):
    entry = net.tap()
    net.conv(width, 3, density=density).norm().lif(0.5).conv(width, 3).norm()
    here = net.tap()
    short = net.at(entry).conv(width, 1).tap()
    net.at(here).add(short, delay=delay).lif(0.5)


def recurrent(net, width=(5, 7), delay=(1, 3)):
    net.conv(width, 1)
    entry = net.tap()
    net.lif(0.5).conv(width, 1).back(entry, delay).at(entry).lif(0.8)


def twice_read(net, width=(4, 6)):
    net.conv(width, 3)
    entry = net.tap()
    one = net.lif(0.5).tap()
    other = net.at(entry).neuron("if").tap()
    net.at(one).concat(other).conv(width, 1).neuron("qlif", levels=7)


def flat(net, outputs=(10, 20), density=(None, 0.1)):
    net.linear(outputs, density=density).lif(0.5)


def waiting(net, factor=(1, 2), kernel=(1, 3)):
    net.conv(4, kernel, bias=True)
    net.upsample(factor)


def head(net, neuron=("lif", "li")):
    net.linear(10).neuron(neuron)


def readout(net):
    net.global_pool().linear(5, bias=True).lif(0.5)


CHAINS = [
    Chain(Input((2, 8, 8)), [plain] * 3, head),
    Chain(Input((2, 9, 9)), [strided, plain, strided], readout),
    Chain(Input((3, 12, 12), "real", -1, 1), [plain, pooling, plain, pooling], readout),
    Chain(Input((2, 6, 6)), [residual, pooling, residual], readout),
    Chain(Input((2, 6, 6)), [recurrent, plain, recurrent], readout, ticks=7),
    Chain(Input((2, 6, 6)), [twice_read, twice_read, plain], head),
    Chain(Input((2, 6, 6)), [waiting, plain, waiting, residual], head),
    Chain(Input((30,)), [flat, flat, flat], head),
    Chain(Input((2, 6, 6)), [pooling, pooling, pooling], readout),
    Chain(Input((2, 7, 7)), [plain, strided, pooling, recurrent, residual]),
    Chain(Input((2, 6, 6)), [plain, residual], readout),  # only the second layer reads what it enters twice
]


LOOSE = {"neurons": ("neurons", 1 << 30), "synapses": ("synapses", 1 << 40), "fan_in": ("fan-in", 1 << 30),
         "state_bits": ("state-width", 30)}
"""Figures of targets, each with the rule that compares it and a limit that nothing reaches."""


def tight(target, space, seed):
    """The target with limits that lie on what one of the candidates uses, or just below."""
    rng = np.random.default_rng(seed)
    loose = target.with_(**{figure: limit for figure, (_, limit) in LOOSE.items()})
    limits = LOOSE | ({"cores": ("cores", target.limits.cores)} if target.limits.cores else {})
    for index in rng.integers(0, space.size, 20).tolist():
        try:
            found = sc.check(space.build(index), loose).constraints
        except sc.CompileError:
            continue
        chosen = {figure: round((found[rule] + 1) * limit) - int(rng.integers(2))
                  for figure, (rule, limit) in limits.items() if rule in found and rng.random() < 0.6}
        return target.with_(**{figure: max(limit, 1) for figure, limit in chosen.items()})
    return target


@pytest.mark.parametrize("number", range(len(CHAINS)))
@pytest.mark.parametrize("target", TARGETS)
def test_tables_and_graphs_give_the_verdicts_of_check(number, target):
    space = CHAINS[number]
    chosen = tight(sc.load_target(target), space, number)
    if target == "loihi1":
        chosen = dataclasses.replace(chosen.with_(neurons_per_core=50, in_axons_per_core=90), name="small")
    budget = {"cores": 4, "resident_kib": 3, "latency_ticks": 5}
    skeleton_of(space)  # it is in layers
    screening = screen(space, chosen, sample=60, seed=number, budget=budget, checked=25)
    by_tables = screening.targets[chosen.name]
    [by_graphs] = judge_graphs(space, [Terms(chosen, budget=budget)], np.asarray(screening.indices))
    assert by_tables.rules == by_graphs.rules or set(by_tables.rules) == set(by_graphs.rules)
    for row in range(60):
        assert by_tables.constraints_of(row) == by_graphs.constraints_of(row)
        assert by_tables.reasons_of(row) == by_graphs.reasons_of(row)
    assert set(by_tables.costs) == set(by_graphs.costs)
    for name, values in by_tables.costs.items():
        valid = by_tables.valid
        np.testing.assert_array_equal(values[valid], by_graphs.costs[name][valid], name)


@pytest.mark.parametrize("number", [0, 1, 4, 7])
def test_a_range_has_the_reasons_of_its_candidates(number):
    space = CHAINS[number]
    targets = [tight(sc.load_target(t), space, number + 1) for t in TARGETS]
    first, last = space.size // 7, space.size // 7 + 900
    fast = screen(space, targets, indices=range(first, min(last, space.size)), margins=False, cost=False)
    slow = screen(space, targets, indices=list(range(first, min(last, space.size))), cost=False)
    for name in fast.targets:
        np.testing.assert_array_equal(fast.targets[name].reasons, slow.targets[name].reasons)
        assert fast.targets[name].constraints is None


@pytest.mark.parametrize(("margins", "cores", "reason"), [
    (True, 20, "packing"), (False, 20, "packing"), (True, 24, "budget-cores")])
def test_candidates_that_break_no_rule_are_divided_among_cores_if_asked(margins, cores, reason):
    """With 20 cores, one cannot be divided among them; with 24 it can, and takes more than the user allows."""
    space = CHAINS[0]
    small = sc.load_target("loihi2").with_(neurons_per_core=64, in_axons_per_core=600, out_axons_per_core=100,
                                           cores=cores)
    terms = {"sample": 10, "seed": 2, "budget": {"cores": 22}, "margins": margins}
    by_rules = screen(space, small, **terms).targets["loihi2"]
    packed = screen(space, small, packed=True, checked=10, **terms).targets["loihi2"]
    assert packed.rules == (*by_rules.rules, "packing")
    refused = by_rules.ok & ~packed.ok
    assert packed.ok.sum() < by_rules.ok.sum()
    assert all(packed.reasons_of(row) == {reason} for row in np.flatnonzero(refused))
    assert (packed.costs["cores"][packed.ok] >= by_rules.costs["cores"][packed.ok]).all()


def test_neurons_that_cannot_wait_are_told_apart_from_those_that_can():
    space = Space("leaks", {"decay": (1.0, 0.5)}, lambda decay: Net((3,)).linear(4).lif(decay).graph())
    slow = dataclasses.replace(sc.load_target("loihi2").with_(rules=("lif",), dilation=True), name="slow")
    found = screen(space, slow, dilate=2).targets["slow"]
    assert found.constraints[:, found.rules.index("waiting")].tolist() == [0, 1]


@pytest.mark.parametrize("space", [CHAINS[0], Space("one", {"a": (1,)}, lambda a: Net((3,)).lif(0.5).graph())])
def test_no_candidates_give_no_verdicts(space):
    for indices in ([], range(0)):
        for margins in (True, False):
            found = screen(space, "loihi2", indices=indices, margins=margins, cost=margins).targets["loihi2"]
            assert len(found.ok) == 0
