"""Lower bounds on in-axons: never above what any set of neurons reads, tried exhaustively on small frames."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Input, Linear, Output, Reshape, SumPool, Upsample
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Array, Shape, ShapeOnly, Stage
from snncompile.ir.windows import Window
from snncompile.targets.axons import crowded, fewest_read, least_need, parts_of
from snncompile.targets.layer_table import layer_table
from snncompile.targets.load import load_target
from snncompile.targets.memory import core_needs, least_cores
from snncompile.targets.reach import Axis, reach_of

WINDOWS = [(inputs, outputs, taps, stride, before, dilation)
           for inputs, outputs in ((4, 4), (6, 3), (7, 4), (3, 6)) for taps in (1, 2, 3, 5) for stride in (1, 2, 3)
           for before in (0, 1, 2) for dilation in (1, 2)]
# Padding that is nearly as large as the kernel: the outputs at both ends read less together than any two neighbours.
WINDOWS += [(6, 3, 6, 5, 5, 1), (5, 5, 9, 1, 4, 1), (8, 3, 9, 7, 8, 1)]


def reads(window: Window) -> list[set[int]]:
    return [set(row[row >= 0].tolist()) for row in window.positions()]


@pytest.mark.parametrize("window", [Window(*w) for w in WINDOWS], ids=str)
def test_no_outputs_of_an_axis_read_fewer_inputs(window):
    axis, each = Axis.same(window.inputs).through([window]), reads(window)
    least = fewest_read(axis, range(len(axis)))
    assert len(least) == len(each)
    for size, bound in enumerate(least, 1):
        fewest = min(len(set().union(*chosen)) for chosen in itertools.combinations(each, size))
        assert bound == fewest if axis.is_plain and axis.count.all() else bound <= fewest


@pytest.mark.parametrize(("rows", "columns"), [
    (Window(4, 4, 3, before=1), Window(4, 4, 3, before=1)), (Window(4, 4, 5, before=2), Window(3, 3, 3, before=1)),
    (Window(7, 3, 3, 2), Window(8, 4, 3, 2, 1)), (Window(6, 3, 2, 2), Window(9, 4, 1, 2)),
    (Window(4, 4, 3, 1, 1), Window(4, 2, 2, 2)), (Window(1, 1), Window(6, 6, 5, before=2)),
], ids=str)
def test_no_pixels_read_fewer_pixels(rows, columns):
    y, x = reads(rows), reads(columns)
    pixels = [set(itertools.product(a, b)) for a, b in itertools.product(y, x)]
    whole, *inner = parts_of(*(Axis.same(w.inputs).through([w]) for w in (rows, columns)), len(pixels))
    assert whole.pixels == len(pixels)
    for size, bound in enumerate(whole.read, 1):
        assert bound <= min(len(set().union(*chosen)) for chosen in itertools.combinations(pixels, size))
    for part in inner:
        for size, bound in enumerate(part.read, 1):
            assert size > 3 or bound <= max(len(set().union(*c)) for c in itertools.combinations(pixels, size))
    assert all(part.pixels <= whole.pixels for part in inner)


def packed(chain: tuple[Op, ...], shape: Shape, per_core: int, neurons_per_core: int) -> int:
    """The axons of a packing of single neurons, one after another in a random order, with which a core is filled."""
    size, leaving = int(np.prod(shape)), shape
    y = np.eye(size).reshape(size, *shape)
    for op in chain:
        y, leaving = op.apply(y), op.infer(leaving)
    reads: Array = (y.reshape(size, -1) != 0).T
    best = np.inf
    for order in (np.arange(len(reads)), *(np.random.default_rng(i).permutation(len(reads)) for i in range(5))):
        total, held, axons = 0, 0, np.zeros(size, bool)
        for neuron in order:
            more = axons | reads[neuron]
            if held == neurons_per_core or more.sum() > per_core:
                total, held, more = total + int(axons.sum()), 0, reads[neuron]
            held, axons = held + 1, more
        best = min(best, total + int(axons.sum()))
    return int(best)


@pytest.mark.parametrize("limits", [(1000, 4), (1000, 30), (30, 1000), (18, 7)])
@pytest.mark.parametrize(("chain", "shape"), [
    ((Conv(np.ones((3, 2, 3, 3)), padding=((1, 1), (1, 1))),), (2, 5, 5)),
    ((Conv(np.ones((4, 1, 3, 3)), groups=2),), (2, 5, 5)),
    ((Conv(np.ones((4, 1, 1, 1)), groups=2),), (2, 5, 5)),
    ((SumPool((2, 2), (2, 2)), Conv(np.ones((3, 2, 1, 1)))), (2, 4, 4)),
    ((Conv(np.ones((2, 1, 3, 3)), dilation=(2, 2)),), (1, 7, 7)),
    ((Reshape((18,)), Linear(np.ones((5, 18)))), (2, 3, 3)),
    ((Linear(np.ones((9, 6))),), (6,)),
])
def test_no_packing_takes_fewer_axons(chain, shape, limits):
    per_core, neurons_per_core = limits
    bound = least_need(reach_of(chain, shape), per_core, neurons_per_core, 1000).axons
    assert bound <= packed(chain, shape, per_core, neurons_per_core)
    if limits == (1000, 4):
        assert bound > 0


def test_a_layer_inside_a_frame_takes_more_axons_than_its_corners_would():
    conv = reach_of((Conv(ShapeOnly((128, 128, 5, 5)), padding=((2, 2), (2, 2))),), (128, 32, 32))
    axons, spread = least_need(conv, 4096, 1024, 1000)
    assert spread == 28 * 28 // 2  # two pixels inside of the frame read 30 pixels of 128 channels, three read 34
    assert axons == 30 * 128 * 28 * 28 // 2


def test_of_projections_that_share_a_source_the_one_with_most_axons_counts():
    """Both layers read the same 8 neurons; a core holds 4 neurons, so that the layer of 12 takes 3 x 8 axons."""
    nodes = {"x": Input((8,)), "few": Neuron.of("if"), "many": Neuron.of("if"), "y": Output(), "z": Output()}
    edges = (Edge("x", "few", 0, (Linear(ShapeOnly((4, 8))),)), Edge("x", "many", 0, (Linear(ShapeOnly((12, 8))),)),
             Edge("few", "y"), Edge("many", "z"))
    target = load_target("loihi1").with_(neurons_per_core=4)
    for order in (edges, edges[1::-1] + edges[2:]):
        needs, per_core = core_needs(layer_table(Graph("shared", nodes, order, Stage.LEGAL)), target)["in-axons"]
        assert (needs.tolist(), per_core) == ([0, 0, 24], 4096)


@given(st.integers(1, 60), st.lists(st.integers(0, 60), min_size=1, max_size=8))
def test_what_lies_on_a_core_never_stands_for_more_than_its_axons(per_core, parts):
    kept = [n for n, before in zip(parts, np.cumsum([0, *parts]), strict=False) if before + n <= per_core]
    total = np.cumsum(kept) <= per_core
    assert crowded(np.array(kept)[total], per_core).sum() <= per_core


def test_neurons_that_crowd_a_core_each_take_one():
    """In the inside of the frame, each of 36 pixels reads 25 pixels of 128 channels, and two read 35: too many."""
    conv = reach_of((Conv(ShapeOnly((8, 128, 5, 5)), stride=(2, 2), padding=((2, 2), (2, 2))),), (128, 16, 16))
    assert least_need(conv, 4096, 1024, 1024).axons == 36 * 3200
    assert least_need(conv, 4096, 1024, 1024, crowding=True).axons == 36 * 4096


def test_cores_are_counted_by_axons_that_leave_no_room_for_others():
    nodes = {"x": Input((128, 16, 16)), "n": Neuron.of("if"), "y": Output()}
    conv = Conv(ShapeOnly((8, 128, 5, 5)), stride=(2, 2), padding=((2, 2), (2, 2)))
    table = layer_table(Graph("net", nodes, (Edge("x", "n", 0, (conv,)), Edge("n", "y")), Stage.LEGAL))
    cores = least_cores(table, load_target("loihi1"))
    assert (cores["in-axons"].tolist(), cores["in-axons that leave no room for others"].tolist()) == ([29], [36])


def test_frames_and_kernels_of_any_size_take_little_time_and_memory() -> None:
    large = reach_of((Upsample((5000, 5000)),), (2, 3, 3))
    assert least_need(large, 4096, 1024, 1024).axons > 0
    assert least_need(large, 4096, 1 << 20, 1024) == (0, 1)
    around = Conv(ShapeOnly((4, 4, 101, 101)), padding=((50, 50),) * 2)
    assert least_need(reach_of((around,), (4, 110, 110)), 1 << 20, 1024, 1024).axons > 0
    assert len(parts_of(*reach_of((around,), (4, 110, 110)).axes[1:], 1024)) == 64
