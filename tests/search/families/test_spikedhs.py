"""SpikeDHS and LitE-SNN: cells along a path against PyTorch, operations that are all one, and damaged genotypes."""

import json
from itertools import pairwise

import pytest

import snncompile as sc
from snncompile.ir.populations import Neuron
from snncompile.search.families import litesnn, spikedhs
from snncompile.search.families.backbones import Data
from snncompile.search.families.family import parameters
from snncompile.search.families.spikedhs import Precision, network
from snncompile.search.numbers import with_random_numbers
from tests.search.families.reference import (
    agree,
    emits_the_same,
    functional,
    images,
    presets_hold,
    refusal,
    torch,
)

DATA = Data((2, 8, 8), 3)
FEW = Precision((1, 2, 4, 2), 4, 0.4, bias=False)


def small(branches, path, precision=Precision()):
    graph = network(branches, path, DATA, channels=3, precision=precision)
    return with_random_numbers(graph, seed=8)


def fire(m, x):
    """`m = m + x; s = m > 0.5; m = 0.2 m (1 - s)`."""
    m = (torch.zeros_like(x) if m is None else m) + x
    spike = (m > 0.5).double()
    return spike, 0.2 * m * (1 - spike)


def reference(branches, path):
    """The forward step of the authors: s0 and s1 are resampled to the size of the cell, nodes are concatenated."""
    def tick(layers, x):
        s0 = s1 = layers.fire("stem.lif", layers.conv("stem", x), fire)
        for cell, (before, level) in enumerate(pairwise((0, *path)), start=1):
            outer = s1
            if level != before:
                s1 = functional.interpolate(s1, scale_factor=2.0 ** (before - level), mode="nearest")
            states = [functional.interpolate(s0, s1.shape[2:], mode="nearest"), s1]
            offset = 0
            for node in range(3):
                current = sum(layers.conv(f"cell{cell}.branch{offset + j}", h) for j, h in enumerate(states)
                              if offset + j in branches)
                offset += len(states)
                states.append(layers.fire(f"cell{cell}.lif{node}", current, fire))
            s0, s1 = outer, torch.cat(states[-3:], 1)
        y = layers.fire("last.lif", s1.mean((2, 3), keepdim=True), fire)
        return layers.norm("classes.norm", layers.linear("classes", y))

    return tick


CASES = [([0, 1, 2, 3, 7, 8], (0, 0, 1, 1)), ([1, 4, 6, 7, 8], (0, 1, 2, 1)), ([0, 1, 3, 4, 5, 6], (1, 0, 0))]


@pytest.mark.parametrize(("branches", "path"), CASES)
def test_pytorch_computes_the_same_spikes(branches, path):
    agree(small(branches, path), images(DATA.shape, 6, samples=6), reference(branches, path))


def test_pytorch_computes_the_same_with_few_weights_of_few_bits():
    branches, path = [0, 1, 3, 4, 6, 7], (0, 0, 1, 1)
    agree(small(branches, path, FEW), images(DATA.shape, 6, samples=6), reference(branches, path))


@pytest.mark.parametrize("precision", [Precision(), FEW])
def test_emitted_c_computes_what_the_interpreter_computes(precision):
    emits_the_same(small([0, 1, 2, 3, 7, 8], (0, 0, 1, 1), precision), images(DATA.shape, 5, samples=2))


@pytest.mark.parametrize("family", [spikedhs.FAMILY, litesnn.FAMILY])
def test_presets_build(family):
    presets_hold(family)


def test_the_network_has_the_shapes_of_the_authors():
    graph = spikedhs.graph(spikedhs.FAMILY.presets["cifar10"].text)
    shapes = [graph.shapes[f"cell{i}"] for i in range(1, 9)]
    assert shapes == [(144, 32, 32)] * 2 + [(288, 16, 16)] * 3 + [(576, 8, 8)] * 3
    neurons = [op for op in graph.nodes.values() if isinstance(op, Neuron)]
    assert len(neurons) == 8 * 3 + 2
    assert {(op.params["decay"], op.params["threshold"], op.firing.compare) for op in neurons} == {(0.2, 0.5, ">")}
    assert graph.nodes["classes"].weight.shape == (10, 576)


def test_only_the_set_of_branches_matters():
    pairs = [[1, 1], [0, 1], [3, 2], [2, 1], [7, 1], [8, 1]]
    skips = json.dumps([[branch, 0] for branch, _ in reversed(pairs)])
    graphs = [spikedhs.graph(text) for text in (json.dumps(pairs), skips, "8,7,3,2,1,0")]
    assert len({str(list(g.nodes.items())) for g in graphs}) == 1


def test_bits_and_density_are_those_of_each_cell():
    graph = litesnn.graph(litesnn.FAMILY.presets["readme"].text)
    weights = {n: op.weight for n, op in graph.nodes.items() if hasattr(op, "weight")}
    assert {w.density for w in weights.values()} == {0.2}
    assert [{w.bits for n, w in weights.items() if n.startswith(f"cell{i}.")} for i in range(1, 9)] == [
        {1}, {4}, {2}, {2}, {2}, {2}, {1}, {4}]
    assert (weights["stem"].bits, weights["classes"].bits) == (4, 4)
    assert parameters(graph) < parameters(spikedhs.graph("0,1,2,3,5,7"))
    assert sc.check(graph, "c99", cost=False).ok


@pytest.mark.parametrize(("build", "found", "expected"), [
    (lambda: spikedhs.graph("0,1,7,8"), "none of node 1", "one of 2 to 4"),
    (lambda: spikedhs.graph("0,9,3,7"), '"9"', "0 to 8"),
    (lambda: spikedhs.graph("0,3"), "2", "3 to 9"),
    (lambda: spikedhs.graph("[[0,1],[3,1],[9,1]]"), "[9, 1]", "branch 0 to 8"),
    (lambda: spikedhs.graph("[[0,1],[3,1],[true,1]]"), "[True, 1]", "branch 0 to 8"),
    (lambda: spikedhs.graph("[[0,1],[3,1],{}]"), "{}", "branch 0 to 8"),
    (lambda: spikedhs.graph("[0,1"), "[0,1", "JSON"),
    (lambda: spikedhs.graph("[" * 2000), "2000 deep", "at most 8"),
    (lambda: spikedhs.graph("0,3,7:02"), "level 2 behind level 0", "one level"),
    (lambda: spikedhs.graph("0,3,7:012345"), '"4"', "0 to 3"),
    (lambda: spikedhs.graph("0,3,7:0:mnist"), '"mnist"', "cifar10"),
    (lambda: litesnn.graph("0,3,7:001:11"), "2 digits", "expected 3, found 2"),
    (lambda: litesnn.graph("0,3,7:001:113"), '"3"', "1, 2, 4"),
    (lambda: litesnn.graph("0,3,7:001"), "2 fields", "CELL:PATH:BITS"),
])
def test_what_is_no_cell_is_refused(build, found, expected):
    diagnostic = refusal(build)
    assert diagnostic.code == "SNN404"
    assert found in diagnostic.found
    assert expected in diagnostic.expected


def test_a_path_that_halves_a_map_to_nothing_is_refused():
    path = "0" + "123" + "3" * 3
    assert spikedhs.graph(f"0,3,7:{path}").shapes["cell7"][1:] == (4, 4)
    assert "1 rows" in refusal(lambda: network([0, 3, 7], (0, 1, 2), Data((2, 2, 2), 3))).found
    assert "7 rows" in refusal(lambda: network([0, 3, 7], (1,), Data((2, 7, 7), 3))).found
