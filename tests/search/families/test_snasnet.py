"""SNASNet and LightSNN: links of the last tick against PyTorch, the published matrices, and cells without a way."""

import itertools
from functools import partial

import numpy as np
import pytest

import snncompile as sc
from snncompile.search.families import lightsnn, snasnet
from snncompile.search.families.backbones import Data
from snncompile.search.families.cells import Skeleton, live_links, network, read_matrix
from snncompile.search.families.family import parameters
from snncompile.search.numbers import with_random_numbers
from tests.search.families.reference import (
    agree,
    emits_the_same,
    first_and_last,
    functional,
    images,
    presets_hold,
    refusal,
    refuses,
    torch,
)

SMALL, SKELETON = Data((2, 8, 8), 3), Skeleton(4, 2, 12, 2)


def small(rows, pool="avg"):
    return with_random_numbers(network(read_matrix("t", rows), partial(snasnet.operate, pool=pool), SMALL, SKELETON,
                                       name="small"), seed=4, gain=1.5)


def lif(v, x):
    """`v = v + (x - v) / tau` with tau 4/3, a spike where v >= 1, a reset to 0."""
    v = torch.zeros_like(x) if v is None else v
    v = v + (x - v) / (4 / 3)
    spike = (v >= 1).double()
    return spike, v * (1 - spike)


class Cell:
    """The forward step of the authors: the values that were stored in the last tick are added where nodes are read."""

    def __init__(self, name, rows, pool):
        self.name, self.matrix, self.pool = name, read_matrix("t", rows), pool
        self.stored = [0.0, 0.0, 0.0]

    def operation(self, layers, i, j, x):
        op = self.matrix[i][j]
        if op in (0, 1):
            return x * op
        if op == 4:
            return (functional.avg_pool2d(x, 3, 1, 1) if self.pool == "avg" else functional.max_pool2d(x, 3, 1, 1))
        return layers.conv(f"conv{i}{j}.{self.name}", layers.fire(f"lif{i}{j}.{self.name}", x, lif))

    def __call__(self, layers, x):
        first, second, third = self.stored
        a0 = x + first
        x1 = self.operation(layers, 0, 1, a0)
        x2 = self.operation(layers, 0, 2, a0) + self.operation(layers, 1, 2, x1 + second)
        a1, a2 = x1 + second, x2 + third
        x3 = self.operation(layers, 0, 3, a0) + self.operation(layers, 1, 3, a1) + self.operation(layers, 2, 3, a2)
        self.stored = [self.operation(layers, 1, 0, a1) + self.operation(layers, 2, 0, a2)
                       + self.operation(layers, 3, 0, x3),
                       self.operation(layers, 2, 1, a2) + self.operation(layers, 3, 1, x3),
                       self.operation(layers, 3, 2, x3)]
        return x3


def of_two_cells(cells, neuron):
    """A tick of the network around two cells: a stem, a cell, a layer of half the side, a cell, and a vote."""
    def tick(layers, x):
        y = layers.norm("down.norm", cells[0](layers, layers.conv("stem", x)))
        y = layers.conv("down", layers.fire("down.lif", y, neuron), norm=False)
        y = functional.avg_pool2d(layers.norm("down.conv.norm", y), 2)
        y = layers.fire("last.lif", layers.norm("last.norm", cells[1](layers, y)), neuron)
        y = layers.fire("hidden.lif", layers.linear("hidden", functional.avg_pool2d(y, 2)), neuron)
        return functional.avg_pool1d(layers.linear("votes", y)[:, None], 2)[:, 0]

    return tick


def reference(rows, pool="avg"):
    return of_two_cells([Cell("cell1", rows, pool), Cell("cell2", rows, pool)], lif)


ROWS = ["0303-0030-2002-0200", "0302-0030-3003-0000", "0402-0013-0002-0200", "0203-0001-0300-2040",
        "0003-0000-0000-4010",
        "0030-1000-0304-2000", "0201-0032-0004-0000"]


@pytest.mark.parametrize("rows", ROWS)
def test_pytorch_computes_the_same_spikes(rows):
    agree(small(rows), images(SMALL.shape, 5, moving=False), reference(rows))


@pytest.mark.parametrize("seed", range(8))
def test_pytorch_computes_the_same_spikes_for_random_matrices(seed):
    """Links both ways between all nodes; those on no way from node 0 to node 3 are left out of the reference too."""
    rng = np.random.default_rng(seed)
    drawn = np.where(rng.random((4, 4)) < 0.6, rng.integers(1, 5, (4, 4)), 0)
    drawn[0, 3] = max(drawn[0, 3], 1)
    matrix = [[int(n) if i != j else 0 for j, n in enumerate(row)] for i, row in enumerate(drawn)]
    live = live_links(tuple(map(tuple, matrix)))
    kept = "-".join("".join(str(n if (i, j) in live else 0) for j, n in enumerate(row)) for i, row in enumerate(matrix))
    whole = "-".join("".join(map(str, row)) for row in matrix)
    agree(small(whole), images(SMALL.shape, 4, samples=2, moving=False), reference(kept), least=-1)


@pytest.mark.parametrize("rows", ["0402-0013-0002-0200", "0003-0000-0000-4000"])
def test_pytorch_computes_the_same_maxima(rows):
    agree(small(rows, "max"), images(SMALL.shape, 5, moving=False), reference(rows, "max"))


@pytest.mark.parametrize(("rows", "pool"), [("0303-0030-2002-0200", "avg"), ("0402-0010-0002-0400", "max")])
def test_emitted_c_computes_what_the_interpreter_computes(rows, pool):
    emits_the_same(small(rows, pool), images(SMALL.shape, 5, moving=False))


def test_presets_build():
    presets_hold(snasnet.FAMILY)
    assert snasnet.FAMILY.presets["cifar10-bw"].text == "0303-0030-2002-0200"


def test_the_numbers_are_those_of_the_layers():
    r, cells = 256, 6
    wanted = 3 * r * 9 + 2 * r + 2 * r + r * 2 * r * 9 + 4 * r + 4 * r + 2 * r * 16 * 1024 + 1024 * 100 + 100
    graph = snasnet.graph("0303-0030-2002-0200")
    for width in (r, 2 * r):
        wanted += sum(width * width * side * side + 2 * width for side in (3, 3, 3, 1, 1, 1))
    assert parameters(graph) == wanted
    assert sum("conv" in name and name.endswith(".cell1") for name in graph.nodes) == cells


def test_backward_links_are_late_and_speck_refuses_them():
    graph = snasnet.graph("0303-0030-2002-0200")
    assert {e.dst for e in graph.edges if e.delay} == {f"cell{c}.node{n}" for c in (1, 2) for n in (0, 1)}
    assert "delay" in {v.rule for v in sc.check(graph, "speck2f").violations}
    assert "recurrence" not in {v.rule for v in sc.check(graph, "loihi2", dilate="auto").violations}


def test_tiny_images_are_halved_first():
    graph = snasnet.graph("0303-0030-2002-0200:tiny")
    assert graph.shapes["stem"] == (128, 32, 32)
    assert graph.nodes["hidden"].weight.shape == (4096, 256 * 64)
    assert graph.shapes["output"] == (200,)


def test_lightsnn_takes_maxima():
    kinds = {op.kind() for op in lightsnn.FAMILY.graph("0402-0030-2002-0200").nodes.values()}
    assert "maxpool" in kinds
    first_and_last(lightsnn.FAMILY.spaces["backward"]())


def test_spaces_are_whole():
    forward, backward = (snasnet.FAMILY.spaces[name]() for name in ("forward", "backward"))
    assert (forward.size, backward.size) == (4 * 5 ** 5, 4 * 9 ** 5)
    first_and_last(forward)
    first_and_last(backward)
    links = {"link01": 3, "link02": -2, "link03": 3, "link12": 3, "link13": -2, "link23": 2}
    built = backward.build(backward.index(links))
    assert list(built.nodes) == list(snasnet.graph("0303-0030-2002-0200").nodes)


def test_live_links_are_those_on_a_way():
    """Against the nodes that ways from node 0 to node 3 visit, found by listing all ways."""
    def ways(matrix, path):
        if path[-1] == 3:
            yield path
        for j in range(4):
            if matrix[path[-1]][j] and path.count(j) < 2 and len(path) < 9:
                yield from ways(matrix, (*path, j))

    for bits in itertools.product((0, 1), repeat=12):
        drawn = iter(bits)
        matrix = tuple(tuple(0 if i == j else next(drawn) for j in range(4)) for i in range(4))
        if sum(bits) > 6:
            continue
        wanted = {pair for way in ways(matrix, (0,)) for pair in itertools.pairwise(way)}
        assert set(live_links(matrix)) == wanted


def test_a_cell_without_a_way_is_refused():
    diagnostic = refusal(lambda: snasnet.graph("0300-0000-0003-0300"))
    assert diagnostic.code == "SNN201"
    assert "snasnet:0300-0000-0003-0300" in diagnostic.place
    assert "node 0 to node 3" in diagnostic.expected


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("0303-0030-2002", "3", "4 rows"), ("0303-0030-2002-020", "3 characters", "expected 4, found 3"),
    ("0503-0030-2002-0200", '"5"', "0 to 4"), ("0303-0130-2002-0200", "1", "no node leads to itself"),
    ("0303-0030-2002-0200:mnist", '"mnist"', "cifar10"), ("", "0", "4 rows")])
def test_what_is_no_matrix_is_refused(text, found, expected):
    refuses(lambda: snasnet.graph(text), found, expected)
