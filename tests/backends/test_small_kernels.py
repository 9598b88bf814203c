"""Kernels for processors without vector registers: each is exact wherever it applies, and targets choose it."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np
import pytest

from snncompile.backends.c.emit import artifact
from snncompile.backends.c.host import Host, build
from snncompile.backends.c.lower import lower
from snncompile.backends.plan.kernels.linear_bits import as_bits
from snncompile.backends.plan.kernels.linear_words import as_words, width_of
from snncompile.backends.plan.kernels.table import WEIGHTED
from snncompile.backends.plan.plan import plan
from snncompile.ir.ops import Conv, Linear, SumPool
from snncompile.targets.load import kernel_costs, load_target
from snncompile.targets.sections import PROCESSORS
from tests.backends.firmware.running import on_processor, tools
from tests.backends.test_kernels import (
    Case,
    applied,
    integers,
    needs_compiler,
    network,
    quick,
    samples,
    signs,
)

SMALL = ("linear_words", "linear_bits", "conv_pairs")
FORCED = {k.name: {"linear_bits": 0.5}.get(k.name, 1.0) if k.name in SMALL else 1e9 for k in WEIGHTED}


def weights(out: int, into: int, low: int, high: int) -> np.ndarray:
    """Weights in a range, both ends among them."""
    values = np.random.default_rng(out + into).integers(low, high, (out, into), endpoint=True)
    values.flat[:2] = low, high
    return values.astype(np.int16 if high > 127 or low < -128 else np.int8)


def linear(out: int, into: int, low: int, high: int, most: int = 1) -> Case:
    return Case((Linear(weights(out, into, low, high)),), (into,), 0, most)


def conv(out: int, most: int = 1, **window) -> Case:
    return Case((Conv(integers((out, 6, 3, 3)), padding=((1, 2), (0, 1)), **window),), (6, 8, 7), 0, most)


LINEAR = [linear(out, into, low, high, most) for (out, into), (low, high), most in product(
    ((1, 3), (3, 19), (4, 8), (16, 70), (17, 40), (70, 300)), ((-2, 1), (-1, 1), (0, 3), (-8, 7), (3, 18), (-128, 127)),
    (1, 4))]
"""Outputs that fill words, blocks of words, and neither; inputs that overflow the fields of sums."""
WIDE = [linear(9, 1200, -100, 155), linear(5, 30, -128, 127, 3)]
BITS = [Case((Linear(signs((out, into), True)),), (into,), 0, most)
        for (out, into), most in product(((1, 3), (4, 8), (31, 20), (32, 70), (33, 200), (70, 64)), (1, 4))]
CONV = [conv(out, most, **window) for out, most, window in product(
    (4, 8, 12), (1, 3), ({}, {"stride": (2, 3)}, {"dilation": (2, 1)}))]
POOLED = [Case((SumPool((2, 2), (2, 2)), Conv(integers((8, 6, 3, 3)))), (6, 8, 8), 0, 1)]


def outputs(cases, flags=None):
    """The outputs of all cases as one program, and the kernels with weights of each."""
    graph = network(cases)
    planned = plan(graph, {}, FORCED, max_lanes=0)
    files = artifact(graph, lower(planned, "kernels", graph.schedule, 1), None).files
    x = {f"x{k}": samples(case, k) for k, case in enumerate(cases)}
    found, _ = Host.load(graph, build(files, flags or quick())).run(x)
    return x, found, [[k.name for k in j.kernels if k.name in SMALL] for j in planned.projections]


@needs_compiler
@pytest.mark.parametrize(("cases", "kernel"), [
    (LINEAR, "linear_words"), (WIDE, "linear_words"), (BITS, "linear_bits"), (CONV, "conv_pairs")],
    ids=["linear", "wide", "bits", "conv"])
def test_a_kernel_for_small_processors_is_exact(cases, kernel):
    x, found, kernels = outputs(cases)
    assert all(kernel in names or (kernel, *names) == ("linear_words", "linear_bits") for names in kernels)
    for k, case in enumerate(cases):
        np.testing.assert_array_equal(found[f"y{k}"], applied(case, x[f"x{k}"]), f"case {k}: {case}")


@needs_compiler
def test_a_pool_of_spikes_is_added_by_words():
    x, found, (names,) = outputs(POOLED)
    assert names == ["conv_pairs"]
    np.testing.assert_array_equal(found["y0"], applied(POOLED[0], x["x0"]))


@pytest.mark.parametrize("name", [pytest.param(n, marks=tools[n]) for n in ("cortex-m4", "rv32imac")])
def test_kernels_are_exact_on_the_processors_that_have_instructions_for_them_and_on_others(name):
    cases = [*LINEAR[::7], *WIDE, *BITS[::3], *CONV[::4], *POOLED]
    graph = network(cases)
    x = {f"x{k}": samples(case, k) for k, case in enumerate(cases)}
    found = on_processor(graph, x, name, FORCED)
    for k, case in enumerate(cases):
        np.testing.assert_array_equal(found[f"y{k}"], applied(case, x[f"x{k}"]), f"case {k}: {case}")


def test_four_weights_of_8_bits_lie_in_the_order_0_2_1_3():
    words = as_words(np.array([[1, 2, 3, 4, 5]]), 8)
    assert words.tolist() == [[0x04020301, 0x00000005]]


def test_eight_weights_of_4_bits_and_sixteen_of_2_bits_are_two_and_four_sums():
    """Output o is bit field `o % 4` of sum `o // 4`: in 4 bits it stands at bit `8 (o % 4) + 4 (o // 4)`."""
    values = np.arange(8)[None]
    assert as_words(values, 4).tolist() == [[sum(int(v) << 8 * (v % 4) + 4 * (v // 4) for v in range(8))]]
    values = np.arange(16)[None] % 4
    assert as_words(values, 2).tolist() == [[sum((o % 4) << 8 * (o % 4) + 2 * (o // 4) for o in range(16))]]


def test_bits_of_32_outputs_spread_to_bytes():
    for o in range(32):
        assert as_bits(np.arange(32)[None] == o).tolist() == [[1 << 8 * (o % 4) + o // 4]]


def test_hosts_do_not_take_them_and_microcontrollers_do():
    case = [linear(16, 64, -8, 7)]
    taken = {name: [k.name for j in plan(network(case), {"x0": 0.1}, kernel_costs(load_target(name))).projections
                    for k in j.kernels] for name in ("c99", *PROCESSORS)}
    assert taken == {"c99": ["linear_event"], **{name: ["linear_words"] for name in PROCESSORS}}


def test_weights_of_4_bits_take_half_a_byte_of_flash():
    case = network([linear(64, 256, -8, 7)])
    (weights,) = [c for p in plan(case, {}, FORCED).projections for k in p.kernels for c in k.constants]
    assert weights.values.nbytes == 64 * 256 // 2


@pytest.mark.parametrize("case", [
    dataclasses.replace(linear(4, 8, -8, 7), high=5), dataclasses.replace(linear(4, 8, -8, 7), low=-1),
    linear(4, 8, -200, 100), Case((Conv(integers((6, 6, 3, 3))),), (6, 8, 7), 0, 1),
    Case((Conv(integers((8, 6, 3, 3), 16)),), (6, 8, 7), 0, 1)], ids=["many", "negative", "wide", "six", "16 bits"])
def test_where_they_do_not_apply_another_is_taken(case):
    (projection,) = plan(network([case]), {}, FORCED).projections
    assert not {k.name for k in projection.kernels} & set(SMALL)


@pytest.mark.parametrize(("least", "most", "bits"), [(0, 3, 2), (-2, 1, 2), (-2, 2, 4), (0, 15, 4), (-8, 8, 8),
                                                     (-128, 127, 8), (-128, 128, None)])
def test_words_are_as_wide_as_the_difference_of_weights(least, most, bits):
    assert width_of(np.array([[most, 0, least]])) == bits
