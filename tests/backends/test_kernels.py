"""Kernels: the right one is chosen for each operator, and each computes what the operator computes on any source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest

from snncompile.backends.c.host import Host, compiler
from snncompile.backends.plan.kernels.packed import MAX_PLANES
from snncompile.backends.plan.plan import plan
from snncompile.ir.expr import Expr, flatten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import (
    Conv,
    Input,
    Linear,
    MaxPool,
    Output,
    Pad,
    Rectify,
    Reshape,
    Scale,
    SumPool,
    Upsample,
)
from snncompile.ir.populations import Population
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, Shape, Stage
from snncompile.passes.pipeline import run_passes
from snncompile.passes.quantize.prove_ranges import ProveRanges
from tests.backends.exactness import families, flags

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
EVENTS, DENSE = 0.05, 0.9
DENSE_LINEAR_RATE, DENSE_CONV_RATE, DENSE_MIX_RATE = 0.5, 0.35, 1 / 16
TICKS = 4

# Spikes, counts that repeat in a list of events, values below and above what four products in 16 bits allow, and
# every type: uint8, int8, uint16, int16, int32, int64.
RANGES = [(0, 1), (0, 4), (0, 5), (0, 63), (0, 64), (0, 255), (-1, 1), (-63, 3), (-128, 127), (0, 65535),
          (-32768, 32767), (-(1 << 20), 1 << 20), (-(1 << 33), 1 << 33)]
NARROW = [(0, 1), (0, 3), (0, 255), (-1, 0), (-1, 4), (-8, 7), (-5, 100), (-128, 127)]


PASSING = Population(flatten(Expr("input"), {}), {}, {}, 1.0, -(1 << 62), 1 << 62, True)
"""Neurons that emit the sum that reaches them."""


@dataclass(frozen=True)
class Case:
    """A chain of operators on a source of a shape and range, and the share of its elements that are active."""

    ops: tuple[Op, ...]
    shape: Shape
    low: int
    high: int
    rate: float = EVENTS


def integers(shape: Sequence[int], bits: int = 8, seed: int = 0) -> Array:
    """Weights of a symmetric grid, about a fifth of them zeros."""
    rng = np.random.default_rng(seed)
    largest = (1 << (bits - 1)) - 1
    return (rng.integers(-largest, largest + 1, shape) * (rng.random(shape) < 0.8)).astype(
        np.int8 if bits <= 8 else np.int16)


def signs(shape: Sequence[int], bipolar: bool, seed: int = 0) -> Array:
    return np.random.default_rng(seed).choice([-1, 1] if bipolar else [-1, 0, 0, 1], shape).astype(np.int8)


def quick() -> tuple[str, ...]:
    """Strict flags that compile fast."""
    return tuple(f.replace("-O1", "-O0") for f in flags())


def network(cases: Sequence[Case]) -> Graph:
    """One INT graph with an input, a population that emits what reaches it, and an output for each case."""
    nodes: dict[str, Op] = {}
    edges: list[Edge] = []
    for k, case in enumerate(cases):
        nodes |= {f"x{k}": Input(case.shape, "spike" if k % 2 and case.high else "real", case.low, case.high),
                  f"n{k}": PASSING, f"y{k}": Output()}
        edges += [Edge(f"x{k}", f"n{k}", 0, case.ops), Edge(f"n{k}", f"y{k}")]
    return run_passes(Graph("kernels", nodes, tuple(edges), Stage.INT), [ProveRanges()])


def rates(cases: Sequence[Case]) -> dict[str, float]:
    return {f"x{k}": case.rate for k, case in enumerate(cases)}


COSTS = {"linear_dense": 1.0, "linear_event": 2.0, "conv_dense": 1.0, "conv_runs": 1 / 0.35, "conv_taps": 1 / 0.35,
         "conv_table": 99.0}
"""Costs of a target that lists kernels by the activity of their source alone."""


def chosen(case: Case, costs: dict[str, float] = COSTS) -> list[str]:
    """The names of the kernels that are chosen for the only projection of a case."""
    (population,) = plan(network([case]), rates([case]), costs).populations
    return [type(k).__name__ for k in population.projections[0].kernels]


def samples(case: Case, seed: int) -> Array:
    """Values in range, many of them zeros and ends; the last tick repeats the one before."""
    rng = np.random.default_rng(seed)
    shape = (2, TICKS, *case.shape)
    drawn = np.where(rng.random(shape) < 0.5, rng.integers(case.low, case.high, shape, endpoint=True),
                     rng.choice([case.low, case.high, 0], shape))
    values = np.where(rng.random(shape) < 0.6, drawn, 0)
    values[:, -1] = values[:, -2]
    return np.asarray(values)


def applied(case: Case, x: Array) -> Array:
    y = x.reshape(-1, *case.shape).astype(np.int64)
    for op in case.ops:
        y = op.apply(y)
    return y.reshape(*x.shape[:2], *y.shape[1:])


def check(cases: Sequence[Case], kernel: str = "", vectors: tuple[str, ...] = ()) -> None:
    """Emit all cases as one program, built with strict flags and the undefined-behaviour sanitizer, and compare it.

    Args:
        kernel: the name of a kernel that is taken wherever it applies.
        vectors: flags for a family of vector instructions.
    """
    graph = network(cases)
    x = {f"x{k}": samples(case, k) for k, case in enumerate(cases)}
    outputs, _ = Host.of(graph, rates(cases), (*quick(), *vectors), costs={kernel: 0.0} if kernel else None).run(x)
    for k, case in enumerate(cases):
        np.testing.assert_array_equal(outputs[f"y{k}"], applied(case, x[f"x{k}"]), f"case {k}: {case}")


# --- fully connected ---------------------------------------------------------------------------------------

def linear(low: int, high: int, rate: float = EVENTS, bits: int = 8) -> Case:
    return Case((Linear(integers((5, 19), bits)),), (19,), low, high, rate)


def test_quiet_sources_are_listed_and_busy_ones_multiplied():
    assert chosen(linear(0, 1)) == ["LinearEvent"]
    assert chosen(linear(0, 1, DENSE_LINEAR_RATE)) == ["LinearEvent"]
    assert chosen(linear(0, 1, DENSE_LINEAR_RATE + 0.01)) == ["LinearDense"]


def wide(outputs: int, rate: float, inputs: int = 784) -> Case:
    return Case((Linear(integers((outputs, inputs))),), (inputs,), 0, 1, rate)


@pytest.mark.parametrize(("outputs", "rate", "kernel"), [
    (800, 0.01, "LinearEvent"), (800, 0.5, "LinearEvent"), (800, 1.0, "LinearDense"),
    (10, 0.01, "LinearWords"), (10, 0.1, "LinearDense"), (10, 0.9, "LinearDense")])
def test_quiet_sources_are_listed_and_busy_ones_or_few_outputs_multiplied(outputs, rate, kernel):
    assert chosen(wide(outputs, rate), {}) == [kernel]


@needs_compiler
@pytest.mark.parametrize("vectors", families(), ids="".join)
@pytest.mark.parametrize("kernel", ["linear_event", "linear_dense"])
def test_rows_of_any_width_are_exact_with_any_vectors(kernel, vectors):
    """Widths below, at and above each number of sums that stay in registers: 16, 32, 64, 128."""
    sources = [(0, 1), (0, 4), (0, 5), (0, 31), (0, 32), (0, 127), (0, 128), (-1, 1)]
    check([Case((Linear(integers((out, 150))),), (150,), *r, 0.02 if out % 2 else 0.3)
           for r, out in product(sources, (15, 16, 37, 64, 129, 208))], kernel, vectors)


@needs_compiler
@pytest.mark.parametrize("vectors", families(), ids="".join)
def test_sums_of_pairs_are_flushed_before_they_leave_16_bits(vectors):
    """2,000 events of the largest weight of either sign: a sum of 16 bits holds 127 pairs of them."""
    weight = np.repeat(np.array([[127], [-127]], np.int8), 2000, 1).repeat(16, 0)
    for high in (1, 4, 31):
        graph = network([Case((Linear(weight),), (2000,), 0, high, 0.01)])
        x = {"x0": np.full((1, 1, 2000), high)}
        y = Host.of(graph, {"x0": 0.01}, (*quick(), *vectors), costs={"linear_event": 0.0}).run(x)[0]["y0"]
        np.testing.assert_array_equal(y.reshape(2, 16), [[127 * 2000 * high] * 16, [-127 * 2000 * high] * 16])


@needs_compiler
def test_fully_connected_layers_are_exact_on_every_source():
    check([linear(*r, rate, bits) for r, rate, bits in product(RANGES, (EVENTS, DENSE), (8, 16))])


# --- convolutions --------------------------------------------------------------------------------------------

def conv(low: int, high: int, rate: float = EVENTS, bits: int = 8, groups: int = 1, out: int = 6,
         **window: Any) -> Case:
    pads = window.pop("padding", ((1, 2), (0, 1)))
    ones = (1,) * len(pads)
    kernel = window.pop("kernel", (3,) * len(pads))
    op = Conv(integers((out, 6 // groups, *kernel), bits), None, window.pop("stride", ones), pads,
              window.pop("dilation", ones), groups)
    return Case((op,), (6, *(8, 7)[:len(pads)]), low, high, rate)


@pytest.mark.parametrize(("case", "kernel"), [
    (conv(0, 1), "ConvRuns"),
    (conv(0, 1, DENSE_CONV_RATE + 0.01), "ConvDense"),
    (conv(0, 1, stride=(2, 3)), "ConvRuns"),
    (conv(0, 1, dilation=(2, 1)), "ConvRuns"),
    (conv(0, 1, dilation=(1, 2)), "ConvTaps"),
    (conv(0, 1, groups=2), "ConvTaps"),
    (conv(0, 1, DENSE, groups=2), "ConvTaps"),
    (conv(0, 1, groups=6), "ConvDepthwise"),
    (conv(0, 1, DENSE, groups=6), "ConvDepthwise"),
    (conv(0, 1, groups=6, out=12), "ConvTaps"),
    (conv(0, 1, padding=((1, 1),)), "ConvRuns"),
], ids=lambda c: c if isinstance(c, str) else "")
def test_which_convolution_is_chosen(case: Case, kernel: str) -> None:
    assert chosen(case) == [kernel]


WINDOWS: list[dict[str, Any]] = [
    {"kernel": (3, 3), "stride": (1, 1), "padding": ((1, 1), (1, 1))},
    {"kernel": (3, 5), "stride": (2, 3), "padding": ((0, 2), (3, 1))},
    {"kernel": (2, 3), "stride": (1, 2), "padding": ((2, 2), (0, 1)), "dilation": (2, 1)},
]


@needs_compiler
@pytest.mark.parametrize("vectors", families(), ids="".join)
def test_runs_of_any_width_are_exact_with_any_vectors(vectors):
    check([conv(*r, out=out, **window) for r in [(0, 1), (0, 4), (0, 127), (-5, 5)] for out in (6, 16, 48, 80)
           for window in WINDOWS], "conv_runs", vectors)


def spikes_conv(channels: int, out: int, size: Shape, **window: Any) -> Case:
    window = dict(window)
    kernel = window.pop("kernel")
    op = Conv(integers((out, channels, *kernel)), None, window.pop("stride"), window.pop("padding"),
              window.pop("dilation", (1, 1)))
    return Case((op,), (channels, *size), 0, 1, 0.3)


def test_convolutions_of_few_inputs_are_looked_up():
    small = WINDOWS[0]
    assert chosen(spikes_conv(2, 16, (34, 34), **small), {}) == ["ConvTable"]
    assert chosen(spikes_conv(10, 16, (34, 34), **small), {"conv_table": 0.0}) == ["ConvTable"]  # 30 inputs in a row
    assert chosen(spikes_conv(11, 16, (34, 34), **small), {"conv_table": 0.0}) == ["ConvRuns"]  # 33
    # 3 kernel rows of 32 + 16 patterns, 4 bytes for each sum: 113 outputs take 65,088 bytes, 114 take 65,664.
    assert chosen(spikes_conv(3, 113, (34, 34), **small), {"conv_table": 0.0}) == ["ConvTable"]
    assert chosen(spikes_conv(3, 114, (34, 34), **small), {"conv_table": 0.0}) == ["ConvRuns"]
    counts = Case(spikes_conv(2, 16, (34, 34), **small).ops, (2, 34, 34), 0, 2, 0.3)
    assert "ConvTable" not in chosen(counts, {"conv_table": 0.0})


@needs_compiler
def test_tables_are_exact_for_windows_of_any_shape():
    """Rows of 1 to 32 inputs, in one part or several; images narrower than a word, and wider."""
    wide = {"kernel": (2, 7), "stride": (3, 1), "padding": ((0, 0), (2, 2))}
    check([spikes_conv(c, out, size, **window) for c in (1, 2, 4) for out in (5, 16) for size in ((9, 11), (7, 40))
           for window in (*WINDOWS, wide)], "conv_table")


@needs_compiler
@pytest.mark.parametrize(("rate", "groups"), [(EVENTS, 1), (DENSE, 1), (EVENTS, 2), (EVENTS, 6)])
def test_convolutions_are_exact_on_every_source(rate: float, groups: int) -> None:
    check([conv(*r, rate, bits, groups) for r, bits in product(RANGES, (8, 12))])


@needs_compiler
@pytest.mark.parametrize(("rate", "groups"), [(EVENTS, 1), (DENSE, 1), (EVENTS, 3), (EVENTS, 6)])
def test_windows_of_every_kind_are_exact(rate: float, groups: int) -> None:
    """Strides of 1 to 3, kernels narrower than their stride, paddings that differ, dilations, one axis and two."""
    two = [conv(0, 2, rate, groups=groups, stride=(s, t), kernel=kernel, dilation=dilation, padding=padding)
           for s, t in product((1, 2, 3), repeat=2) for kernel, dilation in [((1, 1), (1, 1)), ((3, 2), (1, 1)),
                                                                              ((2, 3), (2, 2)), ((2, 2), (1, 3))]
           for padding in [((0, 0), (0, 0)), ((2, 0), (1, 3))]]
    one = [conv(0, 2, rate, groups=groups, stride=(s,), kernel=(k,), dilation=(d,), padding=((2, 1),))
           for s, k, d in product((1, 2, 3), (1, 3), (1, 2))]
    check([*two[::2], *one])


# --- token mixing --------------------------------------------------------------------------------------------

def mixing(low: int, high: int, rate: float = EVENTS, bits: int = 8, heads: int = 2) -> Case:
    return Case((TokenMix(integers((heads, 5, 7), bits)),), (6, 7), low, high, rate)


def test_quiet_tokens_are_listed_and_busy_ones_multiplied():
    assert chosen(mixing(0, 1)) == ["MixEvent"]
    assert chosen(mixing(0, 1, DENSE_MIX_RATE + 0.01)) == ["MixDense"]
    rows = (Reshape((6, 8)), TokenMix(integers((3, 5, 8))))
    assert chosen(Case(rows, (6, 2, 4), 0, 1)) == ["MixEvent"]  # pixels lie as tokens do


def test_one_bit_weights_of_a_token_mixing_are_not_packed():
    assert chosen(Case((TokenMix(signs((2, 5, 7), True)),), (6, 7), 0, 1)) == ["MixEvent"]


@needs_compiler
@pytest.mark.parametrize("heads", [1, 2, 6])
def test_token_mixing_is_exact_on_every_source(heads: int) -> None:
    check([mixing(*r, rate, bits, heads) for r, rate, bits in product(RANGES, (EVENTS, DENSE), (8, 16))])


# --- packed weights ------------------------------------------------------------------------------------------

def packed(low: int, high: int, bipolar: bool, channels: int = 35, flat: bool = False) -> Case:
    if flat:
        return Case((Linear(signs((7, channels), bipolar)),), (channels,), low, high)
    op = Conv(signs((5, channels, 2, 3), bipolar), None, (2, 1), ((1, 0), (1, 1)))
    return Case((op,), (channels, 5, 4), low, high)


def test_weights_of_one_unit_are_packed_where_the_source_has_few_bits():
    for low, high in NARROW:
        assert chosen(packed(low, high, True, flat=True)) == ["Packed"]
        assert chosen(packed(low, high, False)) == ["Packed"]
    assert chosen(packed(0, 1 << MAX_PLANES, True, flat=True)) == ["LinearEvent"]
    assert chosen(packed(-(1 << MAX_PLANES), 0, False)) == ["ConvRuns"]
    assert chosen(Case((Conv(signs((6, 3, 3, 3), True), groups=2),), (6, 5, 5), 0, 1)) == ["ConvTaps"]


@needs_compiler
def test_packed_weights_are_exact_on_every_narrow_source():
    check([packed(*r, bipolar, channels, flat) for r in NARROW for bipolar in (True, False)
           for channels, flat in [(1, True), (32, True), (70, True), (3, False), (33, False)]])


@needs_compiler
@pytest.mark.parametrize("bipolar", [True, False])
def test_planes_of_signed_sources_may_leave_the_range_of_the_sum_on_the_way(bipolar):
    """-1 is 1 + 2 + 4 - 8: the first three planes of 5,000 of them add 35,000 to a sum that is near its type's end."""
    weight = np.ones((1, 5000), np.int8)
    weight[0, 0] = -1 if bipolar else 0
    graph = network([Case((Linear(weight),), (5000,), -5, 0), Case((), (1,), -1, (1 << 31) - 10)])
    nodes = {n: op for n, op in graph.nodes.items() if n not in ("n1", "y1")} | {"n0": PASSING}
    edges = (Edge("x1", "n0"), *(e for e in graph.edges if e.dst in nodes))
    graph = run_passes(Graph("planes", nodes, edges, Stage.INT), [ProveRanges()])
    x = {"x0": np.full((1, 1, 5000), -1), "x1": np.full((1, 1, 1), (1 << 31) - 10)}
    outputs, _ = Host.of(graph, {}, quick()).run(x)
    assert outputs["y0"].item() == (1 << 31) - 10 - int(weight.sum())


# --- operators without weights -----------------------------------------------------------------------------------

PLAIN: list[tuple[tuple[Op, ...], Shape, list[str]]] = [
    ((), (5,), ["AddKernel"]),
    ((), (3, 4, 5), ["AddKernel"]),
    ((Reshape((60,)),), (3, 4, 5), ["Gather"]),
    ((Reshape((5, 4, 3)),), (3, 4, 5), ["Gather"]),
    ((Reshape((1, 12, 5)),), (3, 4, 5), ["Gather"]),
    ((Reshape((2, 3, 2, 5)),), (3, 4, 5), ["Gather"]),
    ((SumPool((2, 2), (2, 2)),), (3, 4, 5), ["PoolKernel", "AddKernel"]),
    ((SumPool((3, 2), (1, 3), ((2, 4), (0, 3))),), (3, 4, 5), ["PoolKernel", "AddKernel"]),
    ((MaxPool((3, 2), (2, 1), ((2, 1), (1, 0))),), (3, 4, 5), ["PoolKernel", "AddKernel"]),
    ((MaxPool((2,), (2,), ((0, 1),)),), (3, 5), ["PoolKernel", "AddKernel"]),
    ((SumPool((2, 2), (2, 2)), MaxPool((2, 1), (1, 1))), (3, 4, 5), ["PoolKernel", "PoolKernel", "AddKernel"]),
    ((Upsample((2, 3)),), (3, 4, 5), ["UpsampleKernel", "AddKernel"]),
    ((Upsample((2,)),), (3, 5), ["UpsampleKernel", "AddKernel"]),
    ((Upsample((2, 2)), SumPool((3, 3), (2, 2))), (3, 4, 5), ["UpsampleKernel", "PoolKernel", "AddKernel"]),
    ((Pad(((1, 0), (0, 2), (1, 1))),), (3, 4, 5), ["Gather", "AddKernel"]),
    ((Pad(((1, 2),)),), (5,), ["Gather", "AddKernel"]),
    ((Rectify(),), (3, 4, 5), ["RectifyKernel", "AddKernel"]),
    ((Rectify(-1),), (3, 4, 5), ["RectifyKernel", "AddKernel"]),
    ((Scale(-3), Rectify()), (3, 4, 5), ["ScaleKernel", "RectifyKernel", "AddKernel"]),
    ((Scale(0), Rectify()), (3, 4, 5), ["ScaleKernel", "RectifyKernel", "AddKernel"]),
    ((Scale(np.array([1, -2, 300]).reshape(3, 1, 1)), Rectify()), (3, 4, 5),
     ["ScaleKernel", "RectifyKernel", "AddKernel"]),
    ((Scale(np.array([1, -2, 300])), Rectify()), (3, 4, 3), ["ScaleKernel", "RectifyKernel", "AddKernel"]),
    ((Scale(np.arange(60).reshape(3, 4, 5)), Rectify(-1)), (3, 4, 5), ["ScaleKernel", "RectifyKernel", "AddKernel"]),
    ((Scale(7),), (3, 4, 5), ["AddKernel"]),
    ((Scale(np.array([5, -2, 300]).reshape(3, 1, 1)),), (3, 4, 5), ["AddKernel"]),
    ((Scale(np.array([5, -2, 300])),), (3, 4, 3), ["AddKernel"]),
    ((Scale(np.arange(60).reshape(3, 4, 5)),), (3, 4, 5), ["AddKernel"]),
    ((Reshape((60,)), Linear(integers((4, 60)))), (3, 4, 5), ["LinearEvent"]),
    ((Reshape((4, 3, 5)), Conv(integers((2, 4, 2, 2)))), (3, 4, 5), ["Gather", "ConvRuns"]),
    ((Reshape((60,)), Linear(integers((12, 60))), Reshape((3, 2, 2))), (3, 4, 5), ["LinearEvent", "Gather"]),
    ((Linear(integers((6, 5))), Linear(integers((3, 6), 8, 1))), (5,), ["LinearEvent", "LinearDense"]),
    ((Conv(integers((4, 3, 2, 2))), SumPool((2, 2), (1, 1)), Scale(3)), (3, 4, 5),
     ["ConvRuns", "PoolKernel", "AddKernel"]),
    ((Conv(integers((4, 3, 2, 2))), Conv(integers((2, 4, 2, 2), 8, 1))), (3, 4, 5), ["ConvRuns", "ConvDense"]),
    ((Linear(integers((1, 1))),), (1,), ["LinearEvent"]),
    ((Conv(integers((1, 1, 1, 1))),), (1, 1, 1), ["ConvDepthwise"]),
    ((Conv(integers((2, 3, 1, 1))),), (3, 1, 1), ["ConvRuns"]),
]


@pytest.mark.parametrize(("ops", "shape", "kernels"), PLAIN, ids=lambda v: "-".join(v) if isinstance(v, list) else "")
def test_which_kernels_a_chain_becomes(ops: tuple[Op, ...], shape: Shape, kernels: list[str]) -> None:
    assert chosen(Case(ops, shape, 0, 1)) == kernels


@needs_compiler
@pytest.mark.parametrize("part", range(2))
def test_operators_without_weights_are_exact_on_sources_of_every_type(part: int) -> None:
    check([Case(ops, shape, *r) for r in (*RANGES[:1], *RANGES[-5:])[part::2] for ops, shape, _ in PLAIN])


@needs_compiler
def test_several_projections_of_different_kinds_add_up():
    """Projections from two sources into one population, with different delays and factors."""
    x = Expr("input")
    nodes = {"x": Input((3, 2, 2), high=4), "z": Input((4,), "real", -7, 7),
             "n": Population(flatten(x, {}), {}, {}, 1.0, -(1 << 62), 1 << 62, True), "y": Output(), "late": Output()}
    chains: list[tuple[str, int, tuple[Op, ...]]] = [
        ("x", 0, (Conv(integers((2, 3, 1, 1))), Scale(3))), ("x", 2, (Conv(integers((2, 3, 1, 1), 8, 1)), Scale(3))),
        ("x", 1, (SumPool((1, 1), (1, 1)), Conv(integers((2, 3, 1, 1), 16)),
                  Scale(np.array([2, -5]).reshape(2, 1, 1)))),
        ("z", 3, (Linear(integers((8, 4))), Reshape((2, 2, 2)))), ("x", 0, (Conv(integers((2, 3, 1, 1), 8, 2)),)),
    ]
    edges = [Edge(src, "n", delay, ops) for src, delay, ops in chains]
    graph = run_passes(Graph("sums", nodes, (*edges, Edge("n", "y"), Edge("n", "late", 5)), Stage.INT), [ProveRanges()])
    rng = np.random.default_rng(0)
    given = {"x": rng.integers(0, 5, (2, 9, 3, 2, 2)), "z": rng.integers(-7, 8, (2, 9, 4))}
    wanted = np.zeros((2, 9, 2, 2, 2), np.int64)
    for src, delay, ops in chains:
        case = Case(ops, given[src].shape[2:], 0, 0)
        wanted[:, delay:] += applied(case, given[src][:, :9 - delay])
    outputs, _ = Host.of(graph, {}, quick()).run(given)
    np.testing.assert_array_equal(outputs["y"], wanted)
    np.testing.assert_array_equal(outputs["late"][:, 5:], wanted[:, :4])
    assert not outputs["late"][:, :5].any()


@needs_compiler
def test_inputs_beyond_their_range_do_not_leave_the_list_of_events():
    """A caller in C may pass values out of range: results are wrong then, but no memory behind the list is written."""
    graph = network([linear(0, 3)])
    host = Host.of(graph, {"x0": EVENTS}, quick())
    broken, sound = np.full((1, 1, 19), 255), samples(linear(0, 3), 0)[:1, :1]
    outputs, _ = host.run({"x0": np.concatenate([broken, sound], 1)})
    np.testing.assert_array_equal(outputs["y0"][:, 1:], applied(linear(0, 3), sound))
