"""Connection matrices of any size: cells of two to five nodes against PyTorch and in C, and what is no matrix."""

from functools import partial

import numpy as np
import pytest

from snncompile.search.families import matrices, snasnet
from snncompile.search.families.backbones import Data
from snncompile.search.families.cells import Skeleton, network, read_matrix
from snncompile.search.families.family import parameters
from snncompile.search.families.table import candidate
from snncompile.search.numbers import with_random_numbers
from tests.search.families.reference import (
    agree,
    emits_the_same,
    first_and_last,
    functional,
    images,
    lif,
    presets_hold,
    refusal,
    refuses,
)
from tests.search.families.test_snasnet import of_two_cells

SMALL, SKELETON, TAU = Data((2, 8, 8), 3), Skeleton(4, 2, 12, 2), 4 / 3
LIF = lif(1 - 1 / TAU, gain=1 / TAU)
CASES = [("03000-00300-00030-00003-20000", (3, 5), "avg"), ("02314-00023-40002-00003-03000", (1, 3), "max"),
         ("032-003-000", (5, 3), "avg"), ("03-00", (3, 1), "avg")]


def small(rows, sides, pool):
    operate = partial(snasnet.operate, pool=pool, sides=sides)
    graph = network(read_matrix("t", rows, nodes=None), operate, SMALL, SKELETON, name="small")
    return with_random_numbers(graph, seed=4, gain=1.5)


class Cell:
    """Node j is the sum of operations on the nodes before it, and of those on later nodes in the last tick."""

    def __init__(self, name, rows, pool):
        self.name, self.pool = name, pool
        self.matrix = [[int(digit) for digit in row] for row in rows.split("-")]
        self.late = [0.0] * len(self.matrix)

    def operation(self, layers, i, j, x):
        match self.matrix[i][j]:
            case 1:
                return x
            case 4:
                pool = functional.avg_pool2d if self.pool == "avg" else functional.max_pool2d
                return pool(x, 3, 1, 1)
        return layers.conv(f"conv{i}{j}.{self.name}", layers.fire(f"lif{i}{j}.{self.name}", x, LIF))

    def summed(self, layers, nodes, j, sources):
        return sum(self.operation(layers, i, j, nodes[i]) for i in sources if self.matrix[i][j])

    def __call__(self, layers, x):
        count = len(self.matrix)
        nodes = [x + self.late[0]]
        for j in range(1, count):
            nodes.append(self.summed(layers, nodes, j, range(j)) + self.late[j])
        self.late = [self.summed(layers, nodes, j, range(j + 1, count)) for j in range(count)]
        return nodes[-1]


def reference(rows, pool):
    return of_two_cells([Cell(name, rows, pool) for name in ("cell1", "cell2")], LIF)


@pytest.mark.parametrize(("rows", "sides", "pool"), CASES)
def test_pytorch_computes_the_same_spikes(rows, sides, pool):
    agree(small(rows, sides, pool), images(SMALL.shape, 5, moving=False), reference(rows, pool))


def test_emitted_c_computes_what_the_interpreter_computes():
    emits_the_same(small(*CASES[0]), images(SMALL.shape, 5, moving=False))


def test_presets_build():
    presets_hold(matrices.FAMILY)


@pytest.mark.parametrize("name", ["spikernel", "sstnas", "nijenhuis"])
def test_the_sides_and_matrix_of_snasnet_are_its_network(name):
    ours, theirs = candidate(f"{name}:0303-0030-2002-0200"), candidate("snasnet:cifar10-bw")
    assert ours.nodes.keys() == theirs.nodes.keys()
    assert parameters(ours) == parameters(theirs)
    larger = candidate(f"{name}:0303-0030-2002-0200:3,5")
    assert larger.nodes["conv01.cell1"].kernel == (5, 5)
    assert larger.nodes["conv20.cell2"].kernel == (3, 3)
    assert parameters(larger) - parameters(ours) == 3 * (256 ** 2 + 512 ** 2) * ((25 - 9) + (9 - 1))


def test_spaces_choose_the_sides_too():
    for name, choices in (("kernels-forward", 5), ("kernels-backward", 9)):
        space = matrices.FAMILY.spaces[name]()
        assert space.size == len(matrices.SIDES) * 4 * choices ** 5
        first_and_last(space)


def test_a_way_is_one_to_the_last_node():
    diagnostic = refusal(lambda: matrices.graph("03000-00000-00030-00003-00000"))
    assert diagnostic.code == "SNN201"
    assert diagnostic.expected == "a way from node 0 to node 4"


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("0", "1", "2 to 10 rows"),
    ("-".join(["0" * 11] * 11), "11", "2 to 10 rows"),
    ("03-0", "1 characters", "expected 2, found 1"),
    ("35-00", '"5"', "0 to 4"),
    ("30-00", "3", "no node leads to itself"),
    ("03-00:3", "1", "2"),
    ("03-00:2,3", "2", "odd sides"),
    ("03-00:33,3", '"33"', "1 to 31"),
    ("03-00:1,3:sum", '"sum"', "avg, max"),
    ("03-00:1,3:avg:mnist", '"mnist"', "cifar10"),
])
def test_what_is_no_matrix_is_refused(text, found, expected):
    refuses(lambda: matrices.graph(text), found, expected)


def test_random_matrices_of_five_nodes_agree():
    rng = np.random.default_rng(3)
    for _ in range(4):
        drawn = np.triu(np.where(rng.random((5, 5)) < 0.7, rng.integers(1, 5, (5, 5)), 0), 1)
        drawn[0, 1:], drawn[1:4, 4] = 3, 2
        rows = "-".join("".join(map(str, row)) for row in drawn)
        x = images(SMALL.shape, 3, samples=2, moving=False)
        agree(small(rows, (1, 3), "avg"), x, reference(rows, "avg"), least=-1)
