"""`screen` never gives another verdict than `check`: a slice of `python -m tests.long_verdicts`."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import snncompile as sc
from snncompile.search.families.table import space_of
from snncompile.search.net import Net
from snncompile.search.screening import screen
from snncompile.search.space import Space
from snncompile.search.terms import Terms
from tests.random_spaces import random_space
from tests.verdicts import compare, differences


@pytest.mark.parametrize("seed", [0, 2, 3, 4])
def test_rules_constraints_and_costs_of_random_candidates_are_those_of_check(seed):
    seen = Counter[str]()
    assert compare(random_space(seed), 6, seed, seen) == []
    assert seen["verdicts"] >= 48


@pytest.mark.parametrize("name", ["spikenas-bench", "bcnas:resnet18"])
def test_rules_constraints_and_costs_of_published_networks_are_those_of_check(name):
    space = space_of("spikenas-bench:cifar10" if name == "spikenas-bench" else name)
    indices = np.linspace(0, space.size - 1, 12).astype(int).tolist()
    terms = [Terms(sc.load_target(target)) for target in ("loihi2", "speck2f")]
    assert list(differences(space, terms, indices, Counter())) == []


def test_a_difference_is_found():
    """A space whose second network is another one each time that it is built."""
    built = []

    def graph(width):
        built.append(width)
        return Net((4,)).linear(width + len(built) % 2).lif(0.5).graph()

    space = Space("unsteady", {"width": (3, 4, 5)}, graph)
    assert list(differences(space, [Terms(sc.load_target("loihi2"))], [0, 1, 2], Counter()))
    with pytest.raises(AssertionError, match="unsteady"):
        screen(space, "loihi2", checked=3)


def test_cores_of_more_kinds_than_can_be_told_apart_are_refused():
    """With 13 kinds of cores, some sets of them would be left out: others for one network than for many together."""
    words = tuple(1 << place for place in range(4, 17))
    speck = sc.load_target("speck2f")
    graph = Net((1, 4, 4)).conv(2, 3).neuron("if").graph()
    assert sc.check(graph, speck.with_(cores=12, kernel_words=words[1:], neuron_words=words[:0:-1])).constraints
    with pytest.raises(sc.CompileError, match="13 kinds of cores"):
        sc.check(graph, speck.with_(cores=13, kernel_words=words, neuron_words=words[::-1]))
    with pytest.raises(sc.CompileError, match="100,000 cores"):
        sc.check(graph, speck.with_(cores=100_000))
