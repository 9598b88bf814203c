"""Layers of a chain that cannot be judged by themselves: such a space is built graph by graph, and says why."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.ops import Input
from snncompile.search.chain import Chain
from snncompile.search.layered import skeleton_of
from snncompile.search.net import Net
from snncompile.search.screening import Screener, judge_graphs, screen
from snncompile.search.space import Space
from snncompile.search.terms import Terms

ENTRY = Input((2, 6, 6))
PLACES = {}


def layer(net, width=(3, 4)):
    net.conv(width, 3).norm().lif(0.5)


def head(net):
    net.linear(10).lif(0.5)


def without_neurons(net, side=(1, 2)):
    net.pool(side)


def too_large(net, kernel=(9,)):
    net.conv(3, kernel, padding=0).lif(0.5)


def named(net, width=(3, 4)):
    net.conv(width, 3, name="first").lif(0.5)


def named_as_others(net, width=(3, 4)):
    net.conv(width, 3, name="conv1").lif(0.5)


def shown(net, width=(3, 4)):
    net.conv(width, 3).lif(0.5).output()


def remembering(net, width=(3, 4)):
    net.conv(3, width).lif(0.5)
    PLACES["first"] = net.tap()


def reminded(net, width=(3, 4)):
    net.conv(3, width).add(PLACES["first"]).lif(0.5)


def timed(net, ticks=(3, 4)):
    net.conv(3, 3).lif(0.5)
    net.meta["ticks"] = ticks


def large(net, factor=(1, 2500)):
    net.upsample(factor).lif(0.5).pool(factor)


@pytest.mark.parametrize(("layers", "end", "why"), [
    ([layer, layer], without_neurons, "show the neurons"),
    ([layer, too_large, layer], head, "layer 2 cannot be built"),
    ([named, named], head, "a name that is given"),
    ([layer, named_as_others], head, "a name that is given"),
    ([shown, layer], head, "an output of the network"),
    ([remembering, layer, reminded], head, "a place of another layer"),
    ([timed, layer], head, "the whole network"),
    ([large] * 3, head, "too large"),
])
def test_layers_that_are_tied_together_get_the_verdicts_of_whole_networks(layers, end, why):
    space = Chain(ENTRY, layers, end)
    for margins in (True, False):
        found = screen(space, ["c99", "loihi1", "xylo-a2"], margins=margins, cost=margins, checked=space.size)
        assert why in found.why_slow


def test_names_of_their_own_keep_layers_apart():
    def first(net, width=(3, 4)):
        net.conv(width, 3, name="a1").lif(0.5, name="spikes1")

    def second(net, width=(3, 4)):
        net.conv(width, 3, name="b").lif(0.5)

    skeleton_of(Chain(ENTRY, [first, second, layer], head))


def test_a_layer_may_be_an_object_that_cannot_be_looked_up():
    @dataclasses.dataclass
    class Layer:
        widths: list

        def __call__(self, net, width=(3, 4)):
            net.conv(width, 3).lif(0.5)

    skeleton_of(Chain(ENTRY, [Layer([3])] * 2, head))


@pytest.mark.parametrize("ticks", [0, 2.5, True])
def test_ticks_that_no_network_has_are_refused(ticks):
    with pytest.raises(sc.CompileError, match="ticks"):
        Chain(ENTRY, [layer], head, ticks=ticks)


def test_the_number_of_a_candidate_may_be_of_any_size():
    def tiny(net, width=tuple(range(1, 11))):
        net.linear(width).lif(0.5)

    space = Chain(Input((4,)), [tiny] * 20)
    for indices in (range(2**63 - 2, 2**63 + 2), range(10**20 - 3, 10**20), [3, 2**63 + 1]):
        for margins in (True, False):
            screen(space, "loihi2", indices=indices, margins=margins, cost=margins)
    assert len(screen(space, "loihi2", sample=30).targets["loihi2"].ok) == 30


def test_targets_of_one_screener_may_have_ticks_of_their_own():
    space = Space("one", {"a": (1,)}, lambda a: Net((3,)).linear(2).lif(0.5).graph())
    terms = [Terms(dataclasses.replace(sc.load_target("loihi2"), name=f"{n}"), ticks=n) for n in (5, 10)]
    by_graphs = judge_graphs(space, terms, np.array([0]))
    assert [j.costs["ticks"].tolist() for j in by_graphs] == [[6], [11]]
    assert list(Screener(space, terms).judge(range(1))) == ["5", "10"]
