"""quantize: the same spikes where numbers are exact, near ones where not, and a diagnostic where it cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.diagnostics import CompileError
from snncompile.inputs import integers
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Input, Linear, Reshape, Scale, SumPool
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array, Shape, ShapeOnly
from snncompile.passes.quantize.weight_grid import WeightGrid
from tests.backends.exactness import random_case
from tests.passes.chains import both, chain, integer, joined, legal, ones, uncalibrated
from tests.strategies import Features, graphs, inputs_for

UNIT = 2.0**-13
IF = Neuron.of("if")


def exact(out: int, *fan_in: int, seed: int = 0, scale: float = 1.0) -> Array:
    """16-bit weights whose step is 2**-13: whole multiples of it, the largest 32767 in every row."""
    codes = np.random.default_rng(seed).integers(-9000, 9000, (out, *fan_in))
    codes.reshape(out, -1)[:, 0] = 32767
    return codes * UNIT * scale


def spikes(*shape: int, seed: int = 0, samples: int = 2, ticks: int = 20, rate: float = 0.3) -> dict[str, Array]:
    return {"x": (np.random.default_rng(seed).random((samples, ticks, *shape)) < rate).astype(float)}


def population(graph: Graph, name: str) -> Population:
    op = graph.nodes[name]
    assert isinstance(op, Population)
    return op


def kernels(graph: Graph) -> list[Op]:
    return [op for e in graph.edges for op in e.chain if isinstance(op, Layer)]


# --- exact where every number is representable ------------------------------------------------------------

FIRINGS = [Firing(compare, reset, when, most) for compare in (">=", ">") for reset in ("subtract", "value", "none")
           for when in ("same", "before-decay", "after-decay", "drop-input") for most in (1, 3)]


@pytest.mark.parametrize("firing", FIRINGS, ids=lambda f: f"{f.compare}{f.reset}-{f.when}-{f.max_spikes}")
def test_spikes_are_the_same_where_every_number_is_representable(firing: Firing) -> None:
    cell = Neuron.of("if", firing, threshold=3.0, v_reset=0.25, v_min=-4.0, bias=UNIT * 100, initial={"v": 0.5})
    graph = chain(Linear(exact(5, 4)), cell, Linear(exact(3, 5, seed=1)), Neuron.of("if", firing, threshold=2.5))
    wanted, got, _ = both(graph, spikes(4), weight_bits=16)
    assert wanted.outputs["y"].any()
    np.testing.assert_array_equal(wanted.outputs["y"], got.outputs["y"])
    np.testing.assert_array_equal(wanted.states["b"]["v"], got.states["b"]["v"] * UNIT)


@pytest.mark.parametrize("per", ["channel", "layer"])
def test_convolutions_and_pools_keep_exact_numbers(per: str) -> None:
    conv = Conv(exact(3, 2, 2, 2), None, (1, 1), ((1, 0), (0, 1)))
    graph = chain(conv, SumPool((2, 2), (2, 2)), Neuron.of("if", threshold=4.0), Reshape((12,)),
                  Linear(exact(2, 12, seed=2)), IF, shape=(2, 4, 4))
    wanted, got, _ = both(graph, spikes(2, 4, 4), weight_bits=16, per=per)
    assert wanted.outputs["y"].any()
    np.testing.assert_array_equal(wanted.outputs["y"], got.outputs["y"])


@pytest.mark.parametrize("scale", [1.0, 4.0, 2.0**-5])
def test_projections_of_different_steps_meet_exactly(scale: float) -> None:
    nodes = {"a": Linear(exact(3, 4)), "b": Linear(exact(3, 4, seed=1, scale=scale)),
             "n": Neuron.of("if", threshold=2.0)}
    graph = joined(nodes, Edge("x", "a"), Edge("x", "b", 1), Edge("a", "n"), Edge("b", "n"), Edge("n", "y"))
    wanted, got, _ = both(graph, spikes(4), weight_bits=16)
    assert wanted.outputs["y"].any()
    np.testing.assert_array_equal(wanted.outputs["y"], got.outputs["y"])


@pytest.mark.parametrize("bits", ["ternary", 1])
def test_weights_that_are_on_a_coarse_grid_already_stay_exact(bits: Any) -> None:
    low = -1 if bits == 1 else 0
    codes = np.random.default_rng(3).choice([low, 1] if bits == 1 else [-1, 0, 1], (5, 8))
    codes[:, :2] = 1
    wanted, got, graph = both(chain(Linear(codes * 0.375), Neuron.of("if", threshold=1.125), shape=(8,)), spikes(8),
                              weight_bits=bits)
    np.testing.assert_array_equal(kernels(graph)[0].weight, codes)
    assert wanted.outputs["y"].any()
    np.testing.assert_array_equal(wanted.outputs["y"], got.outputs["y"])


@pytest.mark.parametrize("bits", ["ternary", 1, 2])
def test_multipliers_of_channels_keep_their_values_in_narrow_types(bits: Any) -> None:
    """Steps of one to two thresholds take multipliers of 127 and 128, which is one more than 8 signed bits hold."""
    rng, seen = np.random.default_rng(0), set()
    for _ in range(40):
        steps = 2.0 ** rng.uniform(0, 1, (12, 1))
        codes = np.where(rng.random((12, 8)) < 0.5, 1, -1)
        graph = integer(chain(Linear(codes * steps), Neuron.of("if", threshold=1.0), shape=(8,)), weight_bits=bits)
        weight, scale = graph.edges[0].chain
        seen |= set(np.ravel(scale.factor).tolist())
        unit = np.ravel(graph.population("b").unit)[:, None]
        np.testing.assert_allclose(weight.weight * np.reshape(scale.factor, (-1, 1)) * unit, codes * steps, rtol=0.02)
    assert {127, 128} <= seen


# --- near where not ---------------------------------------------------------------------------------------

NORMAL = np.random.default_rng(5).normal(0.1, 0.5, (6, 16))


@pytest.mark.parametrize(("bits", "least"), [(8, 0.97), (4, 0.85), (12, 0.995)])
@pytest.mark.parametrize("rule", ["if", "lif", "cubalif", "alif"])
def test_spikes_agree_the_better_the_wider_the_weights(rule: str, bits: int, least: float) -> None:
    wanted, got, _ = both(chain(Linear(NORMAL), Neuron.of(rule), shape=(16,)), spikes(16, ticks=60), weight_bits=bits)
    assert np.mean(wanted.outputs["y"] == got.outputs["y"]) > least


@given(graphs(Features(layers=3)), st.integers(0, 63))
def test_weights_lie_on_the_grid_and_states_in_their_width(graph: Graph, seed: int) -> None:
    """Of random graphs in random arithmetic."""
    case = random_case(graph, seed)
    for op in kernels(case.graph):
        assert isinstance(op, Layer)
        assert op.bias is None
        assert np.abs(op.weight).max() <= WeightGrid(16).largest
    for name, states in case.wanted.states.items():
        for state, values in states.items():
            bits = population(case.graph, name).states[state].bits
            assert values.min(initial=0) >= -(1 << (bits - 1))
            assert values.max(initial=0) < 1 << (bits - 1)


@pytest.mark.parametrize("bits", [4, 8, 16, 32])
def test_a_membrane_keeps_to_the_width_asked_for(bits: int) -> None:
    graph = integer(chain(Linear(NORMAL), Neuron.of("lif"), shape=(16,)), spikes(16), membrane_bits=bits)
    found = population(graph, "b")
    assert found.states["v"].bits <= bits
    assert np.max(found.params["threshold"]) < 1 << (bits - 1)


def test_a_membrane_is_wide_enough_for_a_threshold_that_calibration_never_reached():
    graph = integer(chain(Linear(np.full((1, 4), 1e-5)), Neuron.of("if", threshold=1.0)), spikes(4), weight_bits=8)
    found = population(graph, "b")
    assert found.params["threshold"] < 1 << (found.states["v"].bits - 1)


def worst(wanted: Any, got: Any, graph: Graph) -> float:
    """The largest error of a graded output, as a share of its peak."""
    (edge,) = graph.edges_into["y"]
    error = got.outputs["y"] * population(graph, edge.src).unit - wanted.outputs["y"]
    return float(np.abs(error).max() / np.abs(wanted.outputs["y"]).max())


@pytest.mark.parametrize(("options", "levels"), [({"membrane_bits": 8}, 100), ({"graded_bits": 8}, 100), ({}, 20_000)])
def test_a_readout_uses_its_width_and_does_not_leave_it(options: dict[str, int], levels: int) -> None:
    wanted, got, graph = both(chain(Linear(NORMAL), Neuron.of("li", decay=0.75), shape=(16,)), spikes(16), **options)
    assert worst(wanted, got, graph) < (0.1 if options else 0.01)
    assert np.abs(got.outputs["y"]).max() < levels


def stream(blocks: int) -> Graph:
    """Sums, each of the one before and of spikes."""
    nodes: dict[str, Op] = {"s0": Linear(NORMAL)}
    edges = [Edge("x", "s0")]
    for k in range(1, blocks + 1):
        weight = np.random.default_rng(k).normal(0, 0.3, (6, 16))
        nodes |= {f"fc{k}": Linear(weight), f"keep{k}": Scale(0.9), f"s{k}": Neuron.of("accumulator")}
        edges += [Edge("x", f"fc{k}"), Edge(f"s{k - 1}", f"keep{k}"), Edge(f"fc{k}", f"s{k}"),
                  Edge(f"keep{k}", f"s{k}")]
    return joined(nodes, *edges, Edge(f"s{blocks}", "y"), shape=(16,))


@pytest.mark.parametrize(("options", "most"), [({}, 0.02), ({"membrane_bits": 16}, 0.02), ({"membrane_bits": 8}, 0.2)])
def test_graded_values_keep_their_precision_from_population_to_population(options: dict[str, int], most: float) -> None:
    """No unit runs away, and no path loses its weight."""
    assert worst(*both(stream(8), spikes(16), **options)) < most


@pytest.mark.parametrize("blocks", [3, 30])
def test_graded_values_keep_their_precision_without_calibration(blocks: int) -> None:
    graph, x = uncalibrated(stream(blocks)), spikes(16)
    wanted, got = run(legal(stream(blocks)), x), run(graph, integers(graph, x))
    assert worst(wanted, got, graph) < 0.02 * blocks


def test_a_leaky_readout_of_real_inputs_is_precise_without_calibration():
    graph = chain(Linear(NORMAL), Neuron.of("li", decay=0.95), shape=(16,), values="real")
    x = {"x": np.random.default_rng(0).uniform(0, 1, (2, 40, 16))}
    whole = uncalibrated(graph)
    assert worst(run(legal(graph), x), run(whole, integers(whole, x)), whole) < 0.02


@pytest.mark.parametrize("bits", [None, 8])
def test_real_inputs_reach_a_narrow_membrane(bits: int | None) -> None:
    x = {"x": np.random.default_rng(0).uniform(0, 1, (2, 40, 16))}
    wanted, got, _ = both(chain(Linear(NORMAL / 4), IF, shape=(16,), values="real"), x, membrane_bits=bits)
    assert wanted.outputs["y"].sum() > 20
    assert np.mean(wanted.outputs["y"] == got.outputs["y"]) > 0.85
    assert abs(got.outputs["y"].sum() / wanted.outputs["y"].sum() - 1) < 0.1


@pytest.mark.parametrize("options", [{}, {"membrane_bits": 16}, {"graded_bits": 16}])
def test_a_loop_through_graded_populations(options: dict[str, int]) -> None:
    nodes = {"fc": Linear(NORMAL[:, :6]), "a": Neuron.of("li", decay=0.5), "b": Neuron.of("li", decay=0.25),
             "back": Scale(-0.5)}
    graph = joined(nodes, Edge("x", "fc"), Edge("fc", "a"), Edge("a", "b"), Edge("b", "back"), Edge("back", "a", 1),
                   Edge("b", "y"), shape=(6,))
    assert worst(*both(graph, spikes(6, ticks=40), **options)) < 0.02


# --- factors and gains ------------------------------------------------------------------------------------

@pytest.mark.parametrize("factor", [
    0.5, np.array([0.5]), np.array([1.0, 0.5, 0.25]), np.array([1.0, 0.5, 0.25, 0.75]).reshape(4, 1),
    np.array([1.0, 0.5]).reshape(2, 1, 1), np.linspace(0.25, 1, 24).reshape(2, 4, 3),
])
@pytest.mark.parametrize("per", ["channel", "layer"])
@pytest.mark.parametrize("as_gain", [True, False])
def test_factors_and_gains_along_any_axis(factor: Any, per: str, as_gain: bool) -> None:
    ops = [Neuron.of("lif", gain=factor)] if as_gain else [Scale(factor), Neuron.of("lif")]
    wanted, got, _ = both(chain(*ops, shape=(2, 4, 3)), spikes(2, 4, 3, rate=0.6), per=per)
    assert wanted.outputs["y"].any()
    assert np.mean(wanted.outputs["y"] == got.outputs["y"]) > 0.97


@pytest.mark.parametrize("gain", [0.0, -0.75, 2.5, np.array([1.0, 0.0, -2.0, 0.5, 1.0, 3.0])])
@pytest.mark.parametrize("bits", [8, "ternary", 1])
def test_gains_of_any_sign_join_the_weights(gain: Any, bits: Any) -> None:
    codes = np.sign(NORMAL) * 0.25
    wanted, got, _ = both(chain(Linear(codes), Neuron.of("if", gain=gain), shape=(16,)), spikes(16), weight_bits=bits)
    assert np.mean(wanted.outputs["y"] == got.outputs["y"]) > 0.97
    assert not got.outputs["y"][..., np.broadcast_to(gain, 6) == 0].any()


def test_a_channel_without_weights_stays_silent_on_every_grid():
    weight = NORMAL.copy()
    weight[2] = 0
    for bits in (1, "ternary", 2, 8):
        _, got, _ = both(chain(Linear(weight), IF, shape=(16,)), spikes(16, ticks=60), weight_bits=bits)
        assert not got.states["b"]["v"][..., 2].any(), bits


def test_a_small_gain_inside_the_rule_is_not_lost():
    cell = Neuron.of("cubalif", gain=1e-4, decay=0.99, threshold=1e-3)
    wanted, got, _ = both(chain(Linear(NORMAL), cell, shape=(16,)), spikes(16, ticks=60))
    assert wanted.outputs["y"].sum() > 50
    assert abs(got.outputs["y"].sum() / wanted.outputs["y"].sum() - 1) < 0.03


# --- inputs -----------------------------------------------------------------------------------------------

def entry(low: float, high: float, values: Any = "spike", declared: tuple[float, float] = (0, 1),
          **options: Any) -> Input:
    x = {"x": np.array([[[low], [high], [0.0]]])}
    graph = integer(chain(IF, shape=(1,), values=values, low=declared[0], high=declared[1]), x, **options)
    return graph.inputs["x"]


@pytest.mark.parametrize(("low", "high", "found"), [
    (0, 1, (0, 1)), (0, 2, (0, 3)), (0, 3, (0, 3)), (0, 4, (0, 7)), (-1, 1, (-2, 1)), (-10, 3, (-16, 3)),
    (0, 0, (0, 1)),
])
def test_counts_get_whole_bits_on_both_sides_of_zero(low, high, found):
    op = entry(low, high, declared=(min(low, 0), max(high, 1)))
    assert (op.low, op.high, op.unit) == (*found, 1.0)


@pytest.mark.parametrize(("low", "high", "bits", "found"), [
    (0, 0.5, 8, (0, 255)), (-0.5, 0.25, 8, (-127, 127)), (0, 1, 1, (0, 1)), (-1, 1, 1, (-1, 1)),
])
def test_real_inputs_use_their_bits(low, high, bits, found):
    op = entry(low, high, "real", (-1, 1), input_bits=bits)
    assert (op.low, op.high) == found
    assert op.unit == pytest.approx(max(high, -low) / found[1])


def test_without_calibration_declared_ranges_hold_and_a_warning_says_so():
    graph = uncalibrated(chain(IF, high=5))
    assert (graph.inputs["x"].low, graph.inputs["x"].high) == (0, 7)
    assert [(n.code, n.severity) for n in graph.notes] == [("SNN405", "warning")]


# --- refusals ---------------------------------------------------------------------------------------------

def refusal(graph: Graph, shape: Shape = (4,), **options: Any) -> tuple[str, str]:
    with pytest.raises(CompileError) as caught:
        integer(graph, ones(1, 4, *shape), **options)
    (found,) = caught.value.diagnostics
    return found.code, found.place


@pytest.mark.parametrize("bits", [8, 16, "ternary", 1])
@pytest.mark.parametrize("threshold", [1e-30, np.array([1e-30, 1.0])])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_weights_out_of_all_proportion_to_their_threshold_are_refused(bits: Any, threshold: Any) -> None:
    graph = chain(Linear(np.array([[1e30] * 4, [1.0] * 4])), Neuron.of("if", threshold=threshold))
    assert refusal(graph, weight_bits=bits) == ("SNN401", 'projection "x -> b"')


@pytest.mark.parametrize(("weight", "threshold"), [(1e-30, 1e30), (1e-300, 1.0), (1.0, 1e300), (1e-38, 1e-38)])
def test_weights_that_vanish_beside_their_threshold_add_nothing(weight: float, threshold: float) -> None:
    wanted, got, _ = both(chain(Linear(np.full((2, 4), weight)), Neuron.of("if", threshold=threshold)), ones(1, 4, 4))
    np.testing.assert_array_equal(wanted.outputs["y"], got.outputs["y"])


def test_a_bias_out_of_all_proportion_is_refused():
    assert refusal(chain(Linear(NORMAL[:4, :4]), Neuron.of("if", bias=1e12))) == ("SNN401", 'population "b", bias')


def test_shapes_without_numbers_are_refused():
    unknown = Neuron.of("if", threshold=ShapeOnly((6,)))
    for ops, place in [((Linear(ShapeOnly((2, 4))), IF), 'projection "x -> b", weight'),
                       ((Linear(NORMAL[:, :4]), unknown), 'population "b", threshold')]:
        with pytest.raises(CompileError) as caught:
            uncalibrated(chain(*ops))
        assert [(d.code, d.place) for d in caught.value.diagnostics] == [("SNN401", place)]


def test_a_graded_loop_needs_calibration():
    graph = joined({"a": Neuron.of("li", decay=0.5)}, Edge("x", "a"), Edge("a", "a", 1), Edge("a", "y"))
    with pytest.raises(CompileError) as caught:
        uncalibrated(graph)
    assert [(d.code, d.place) for d in caught.value.diagnostics] == [("SNN405", 'population "a"')]


def test_a_spiking_loop_does_not():
    graph = joined({"a": IF}, Edge("x", "a"), Edge("a", "a", 1), Edge("a", "y"))
    assert uncalibrated(graph).edges_into["a"][1].delay == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_weights_of_any_type_give_the_same_codes(dtype: Any) -> None:
    weight = np.array([[1, -2, 3, 4], [4, 3, -2, 1]], dtype)
    wanted = kernels(integer(chain(Linear(weight.astype(float)), IF), spikes(4)))[0].weight
    np.testing.assert_array_equal(kernels(integer(chain(Linear(weight), IF), spikes(4)))[0].weight, wanted)


def test_random_inputs_cover_the_declared_range():
    graph = chain(IF, high=3)
    assert inputs_for(graph)["x"].max() <= 3


@pytest.mark.parametrize(("seen", "low", "high"), [([0, 1], 0, 1), ([0, 3], 0, 3), ([0, 4], 0, 7), ([-1, 1], -2, 1),
                                                   ([-3, 0], -4, 1), ([-5, 9], -8, 15)])
def test_counts_have_ranges_of_whole_bits_on_both_sides(seen, low, high):
    graph = joined({"n": Neuron.of("if")}, Edge("x", "n"), Edge("n", "y"), shape=(2,), low=-16, high=16)
    entry = integer(graph, {"x": np.array([[seen]], float)}).inputs["x"]
    assert (entry.low, entry.high, entry.unit) == (low, high, 1.0)
