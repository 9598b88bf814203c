"""Every node type of every version of NIR becomes the right operator."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snncompile.frontends import load
from snncompile.ir.interp import run
from snncompile.ir.ops import AvgPool, Conv, Linear, Reshape, Scale, SumPool
from snncompile.ir.populations import Neuron
from tests.frontends.nir.files import affine, canonical, chain, codes, if_, inner, lif, node, refusal, spikes, write

CUBA = {"tau_syn": 5e-4, "tau_mem": 1e-3, "r": 1.0, "v_leak": 0.0}


def only(path: Path, **options: Any) -> Any:
    """The operator of node n0."""
    return load(path, **options).nodes["n0"]


def full(kind: str, n: int, **values: float) -> dict[str, Any]:
    return node(kind, **{k: np.full(n, v) for k, v in values.items()})


def conv(weight: tuple[int, ...], **changes: Any) -> dict[str, Any]:
    kind = "Conv1d" if len(weight) == 3 else "Conv2d"
    rng = np.random.default_rng(1)
    fields = {"weight": rng.standard_normal(weight).astype(np.float32), "bias": np.zeros(weight[0], np.float32),
              "stride": 1, "padding": 0, "dilation": 1, "groups": 1, **changes}
    return node(kind, **fields)


# --- linear nodes ----------------------------------------------------------------------------------------


def test_linear_and_affine(tmp_path: Path) -> None:
    w = np.arange(6, dtype=np.float32).reshape(3, 2)
    op = only(chain(tmp_path / "x.nir", (2,), affine(w)))
    assert isinstance(op, Linear)
    assert op.bias is None
    assert np.array_equal(np.asarray(op.weight), w)
    op = only(chain(tmp_path / "x.nir", (2,), affine(w, [1, 2, 3])))
    assert np.array_equal(op.bias, [1, 2, 3])


def test_weights_keep_the_dtype_of_the_file(tmp_path: Path) -> None:
    for dtype in ("int8", "float16", "float64", ">f4"):
        op = only(chain(tmp_path / "x.nir", (2,), node("Linear", weight=np.eye(2).astype(dtype))))
        assert op.weight.dtype == np.dtype(dtype).newbyteorder("=")
        assert not op.weight.flags.writeable


def test_a_bias_of_zeros_is_no_bias(tmp_path: Path) -> None:
    assert only(chain(tmp_path / "x.nir", (2,), affine(np.eye(2), [0, 0]))).bias is None


def test_leading_axes_of_one_are_dropped_from_weights(tmp_path: Path) -> None:
    assert only(chain(tmp_path / "x.nir", (2,), node("Linear", weight=np.ones((1, 1, 3, 2))))).weight.shape == (3, 2)


@pytest.mark.parametrize(("scale", "factor"), [
    (np.full((2, 3, 3), 2.0), 2.0),
    (np.arange(2.0).reshape(2, 1, 1) * np.ones((2, 3, 3)), np.array([[[0.0]], [[1.0]]])),
    (np.arange(18.0).reshape(2, 3, 3), np.arange(18.0).reshape(2, 3, 3)),
    (np.float32(3), 3.0),
])
def test_scale_is_collapsed_as_far_as_it_is_constant(tmp_path: Path, scale: Any, factor: Any) -> None:
    op = only(chain(tmp_path / "x.nir", (2, 3, 3), node("Scale", scale=scale)))
    assert type(op) is Scale
    assert np.shape(op.factor) == np.shape(factor)
    assert np.array_equal(np.asarray(op.factor), factor)


@pytest.mark.parametrize("value", [2, [2], [2, 2]])
def test_convolution_takes_numbers_and_pairs(tmp_path: Path, value: Any) -> None:
    op = only(chain(tmp_path / "x.nir", (1, 9, 9), conv((1, 1, 3, 3), stride=value, padding=value, dilation=value)))
    assert isinstance(op, Conv)
    assert (op.stride, op.padding, op.dilation) == ((2, 2), ((2, 2), (2, 2)), (2, 2))


@pytest.mark.parametrize("extra", [{}, {"input_shape": [12, 12]}])
def test_a_kernel_that_is_not_square(tmp_path: Path, extra: dict[str, Any]) -> None:
    graph = load(chain(tmp_path / "x.nir", (1, 12, 12), conv((4, 1, 3, 5), **extra), if_(4, 10, 8)))
    assert graph.shapes["n0"] == (4, 10, 8)


def test_grouped_convolutions(tmp_path: Path) -> None:
    graph = load(chain(tmp_path / "x.nir", (4, 5, 5), conv((6, 2, 3, 3), groups=2)))
    assert graph.shapes["n0"] == (6, 3, 3)
    assert codes(chain(tmp_path / "x.nir", (4, 5, 5), conv((5, 2, 3, 3), groups=2))) == ["SNN203"]


def test_convolution_over_one_axis(tmp_path: Path) -> None:
    graph = load(chain(tmp_path / "x.nir", (2, 10), conv((3, 2, 4), stride=2, padding=1, input_shape=10)))
    assert graph.shapes["n0"] == (3, 5)


# What torch.nn.functional.conv2d(padding="same") of PyTorch 2.13 pads, before and after each axis.
SAME = [((3, 3), 1, ((1, 1), (1, 1))), ((2, 4), 1, ((0, 1), (1, 2))), ((3, 2), 2, ((2, 2), (1, 1))),
        ((1, 5), 3, ((0, 0), (6, 6))), ((4, 4), 3, ((4, 5), (4, 5)))]


@pytest.mark.parametrize(("kernel", "dilation", "pads"), SAME)
def test_same_padding(tmp_path: Path, kernel: tuple[int, int], dilation: int, pads: Any) -> None:
    graph = load(chain(tmp_path / "x.nir", (1, 14, 13), conv((1, 1, *kernel), padding="same", dilation=dilation)))
    op = graph.nodes["n0"]
    assert isinstance(op, Conv)
    assert op.padding == pads
    assert graph.shapes["n0"] == (1, 14, 13)


@pytest.mark.parametrize("size", [7, 8])
def test_same_padding_with_a_stride_gives_the_quotient_rounded_up(tmp_path: Path, size: int) -> None:
    graph = load(chain(tmp_path / "x.nir", (1, size, size), conv((1, 1, 3, 3), padding="same", stride=2)))
    assert graph.shapes["n0"] == (1, 4, 4)


def test_valid_and_unknown_padding(tmp_path: Path) -> None:
    assert load(chain(tmp_path / "x.nir", (1, 5, 5), conv((1, 1, 3, 3), padding="valid"))).shapes["n0"] == (1, 3, 3)
    assert codes(chain(tmp_path / "x.nir", (1, 5, 5), conv((1, 1, 3, 3), padding="circular"))) == ["SNN102"]


@pytest.mark.parametrize("change", [{"stride": 0}, {"stride": -1}, {"stride": [1, 2, 3]}, {"stride": 1.5},
                                    {"dilation": 0}, {"groups": 0}, {"padding": -1}, {"padding": 1 << 40}])
def test_numbers_of_a_convolution_that_cannot_be(tmp_path: Path, change: dict[str, Any]) -> None:
    assert codes(chain(tmp_path / "x.nir", (1, 5, 5), conv((1, 1, 3, 3), **change))) in (["SNN203"], ["SNN102"])


@pytest.mark.parametrize("kind", [SumPool, AvgPool])
def test_pools(tmp_path: Path, kind: type[SumPool] | type[AvgPool]) -> None:
    pool = node(f"{kind.__name__}2d", kernel_size=[2, 3], stride=[2, 1], padding=[1, 0])
    op = only(chain(tmp_path / "x.nir", (2, 6, 6), pool))
    assert type(op) is kind
    assert (op.kernel, op.stride, op.padding) == ((2, 3), (2, 1), ((1, 1), (0, 0)))


@pytest.mark.parametrize(("shape", "start", "end", "own", "result"), [
    ((2, 3, 4), 0, -1, None, (24,)),
    ((2, 3, 4), 1, -1, [2, 3, 4], (2, 12)),
    ((2, 3, 4), 0, 1, [2, 3, 4], (6, 4)),
    ((2, 3, 4), -2, -1, None, (2, 12)),
    ((2, 3, 4), 1, 2, [1, 2, 3, 4], (6, 4)),
    ((2, 3, 4), 1, -1, [0, 0, 0, 0], (24,)),
])
def test_flatten(tmp_path: Path, shape: Any, start: int, end: int, own: Any, result: Any) -> None:
    fields = {"start_dim": start, "end_dim": end, **({} if own is None else {"input_type": own})}
    op = only(chain(tmp_path / "x.nir", shape, node("Flatten", **fields)))
    assert isinstance(op, Reshape)
    assert op.shape == result


@pytest.mark.parametrize(("start", "end"), [(4, -1), (2, 1), (-5, -1), (0, 7)])
def test_flatten_of_axes_that_do_not_exist(tmp_path: Path, start: int, end: int) -> None:
    assert codes(chain(tmp_path / "x.nir", (2, 3, 4), node("Flatten", start_dim=start, end_dim=end))) == ["SNN203"]


# --- batch axes ------------------------------------------------------------------------------------------


def test_a_batch_axis_is_dropped_with_a_note(tmp_path: Path) -> None:
    nodes = (conv((4, 2, 3, 3)), if_(1, 4, 4, 4), node("Flatten", start_dim=1, end_dim=-1), affine(np.ones((3, 64))),
             if_(1, 3))
    graph = load(chain(tmp_path / "x.nir", (1, 2, 6, 6), *nodes, out=(1, 3)))
    assert graph.inputs["input"].shape == (2, 6, 6)
    assert graph.shapes["output"] == (3,)
    notes = [n for n in graph.notes if n.severity == "note"]
    assert len(notes) == 1
    assert '"input"' in notes[0].place


def test_one_channel_is_no_batch_axis(tmp_path: Path) -> None:
    graph = load(chain(tmp_path / "x.nir", (1, 6, 6), conv((4, 1, 3, 3))))
    assert graph.inputs["input"].shape == (1, 6, 6)
    assert not graph.notes


def test_a_network_that_fits_neither_way_is_refused_as_it_stands(tmp_path: Path) -> None:
    assert "shape [1, 2, 6, 6]" in refusal(chain(tmp_path / "x.nir", (1, 2, 6, 6), conv((4, 3, 3, 3))))


# --- neurons ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fields", "rule", "params"), [
    (full("IF", 3, r=1.0, v_threshold=2.0), "if", {"gain": 1, "threshold": 2}),
    (full("IF", 3, r=1e4, v_threshold=2.0), "if", {"gain": 1, "threshold": 2}),
    (full("IF", 3, r=2e4, v_threshold=2.0), "if", {"gain": 2, "threshold": 2}),
    (full("I", 3, r=1e4), "integrator", {"gain": 1}),
    (full("LIF", 3, tau=1e-3, r=5.0, v_leak=0.0, v_threshold=2.0), "lif", {"decay": 0.9, "gain": 0.5, "threshold": 2}),
    (full("LI", 3, tau=1e-3, r=10.0, v_leak=0.0), "li", {"decay": 0.9, "gain": 1}),
    (full("CubaLIF", 3, **CUBA, v_threshold=2.0), "cubalif",
     {"decay": 0.9, "decay_syn": 0.8, "gain": 0.1, "gain_syn": 0.2, "threshold": 2}),
    (full("CubaLIF", 3, **CUBA, v_threshold=2.0, w_in=5.0), "cubalif",
     {"decay": 0.9, "decay_syn": 0.8, "gain": 0.1, "gain_syn": 1, "threshold": 2}),
    (full("CubaLI", 3, **CUBA), "cubali", {"decay": 0.9, "decay_syn": 0.8, "gain": 0.1, "gain_syn": 0.2}),
    (full("Threshold", 3, threshold=2.0), "threshold", {"gain": 1, "threshold": 2}),
])
def test_every_neuron_under_forward_euler(tmp_path: Path, fields: Any, rule: str, params: dict[str, float]) -> None:
    op = only(chain(tmp_path / "x.nir", (3,), fields))
    assert isinstance(op, Neuron)
    assert op.rule.name == rule
    assert dict(op.params) == pytest.approx(params)


def test_parameters_without_axes(tmp_path: Path) -> None:
    op = only(chain(tmp_path / "x.nir", (3,), lif(tau=np.float64(1e-3), r=np.float64(10), v_leak=np.float64(0),
                                                  v_threshold=np.float64(1))))
    assert dict(op.params) == pytest.approx({"decay": 0.9, "gain": 1, "threshold": 1})


def test_parameters_are_collapsed_as_far_as_they_are_constant(tmp_path: Path) -> None:
    per_channel = np.array([1.0, 2.0]).reshape(2, 1, 1) * np.ones((2, 3, 3))
    per_neuron = 1 + np.arange(18.0).reshape(2, 3, 3)
    op = only(chain(tmp_path / "x.nir", (2, 3, 3), if_(2, 3, 3, v_reset=np.zeros((2, 3, 3)))))
    assert op.params["threshold"] == 1
    path = chain(tmp_path / "x.nir", (2, 3, 3), node("IF", r=np.ones((2, 3, 3)), v_threshold=per_channel))
    assert only(path).params["threshold"].tolist() == [[[1.0]], [[2.0]]]
    path = chain(tmp_path / "x.nir", (2, 3, 3), node("IF", r=np.ones((2, 3, 3)), v_threshold=per_neuron))
    assert np.array_equal(only(path).params["threshold"], per_neuron)


def test_parameters_of_another_shape_are_refused(tmp_path: Path) -> None:
    assert codes(chain(tmp_path / "x.nir", (4, 12), lif(12))) == ["SNN202"]


def test_a_leak_potential_is_a_constant_drive(tmp_path: Path) -> None:
    graph = load(chain(tmp_path / "x.nir", (1,), lif(r=5.0, v_leak=0.8)))
    v = run(graph, np.zeros((1, 300, 1)), record=True, states=True).states["n0"]["v"][0, :, 0]
    expected = 0.8 * (1 - 0.9 ** np.arange(1, 301))
    assert np.allclose(v, expected)


@pytest.mark.parametrize("order", ["decay-first", "add-first"])
def test_a_leak_potential_does_not_pass_the_synaptic_filter(tmp_path: Path, order: str) -> None:
    fields = full("CubaLI", 1, **{**CUBA, "v_leak": 0.8, "r": 3.0}, w_in=2.0)
    graph = load(chain(tmp_path / "x.nir", (1,), fields), filter=order)
    assert np.allclose(run(graph, np.zeros((1, 300, 1))).outputs["output"][0, :, 0],
                       0.8 * (1 - 0.9 ** np.arange(1, 301)))


def test_a_leak_with_no_input_gain_is_refused(tmp_path: Path) -> None:
    assert codes(chain(tmp_path / "x.nir", (1,), lif(r=0.0, v_leak=0.8))) == ["SNN203"]


@pytest.mark.parametrize(("tau", "options", "what"), [
    (0.0, {}, "above 0"), (-1e-3, {}, "above 0"), (-1e-3, {"discretization": "exp"}, "above 0"),
    (5e-5, {}, "no longer than the time constant"), (np.inf, {}, "finite numbers"),
])
def test_time_constants_that_cannot_be_discretized(tmp_path: Path, tau: float, options: Any, what: str) -> None:
    text = refusal(chain(tmp_path / "x.nir", (1,), lif(tau=tau)), **options)
    assert "SNN203" in text
    assert what in text
    assert '"n0", tau' in text


def test_a_step_as_long_as_the_time_constant_has_no_memory(tmp_path: Path) -> None:
    assert only(chain(tmp_path / "x.nir", (1,), lif(tau=1e-4))).params["decay"] == 0


def test_a_huge_constant_does_not_escape(tmp_path: Path) -> None:
    assert codes(chain(tmp_path / "x.nir", (1,), lif(r=1e308, tau=1e-4, v_leak=1e308, v_threshold=1e-308)),
                 gain="rockpool", discretization="exp") in ([], ["SNN203"], ["SNN203", "SNN203"])


# --- structure -------------------------------------------------------------------------------------------


def test_a_delay_node_becomes_the_delay_of_an_edge(tmp_path: Path) -> None:
    graph = load(chain(tmp_path / "x.nir", (2,), node("Delay", delay=np.full(2, 3e-4, np.float32)), lif(2)))
    assert [(e.src, e.dst, e.delay) for e in graph.edges] == [("input", "n1", 3), ("n1", "output", 0)]


@pytest.mark.parametrize(("delay", "options"), [
    ([2.5e-4, 2.5e-4], {}), ([1e-4, 2e-4], {}), ([-1e-4, -1e-4], {}), ([np.nan, np.nan], {}), ([1e9, 1e9], {}),
    ([3e-4, 3e-4], {"dt": 2e-4}),
])
def test_delays_that_are_no_whole_number_of_steps(tmp_path: Path, delay: Any, options: Any) -> None:
    assert codes(chain(tmp_path / "x.nir", (2,), node("Delay", delay=np.array(delay)), lif(2)), **options) == ["SNN203"]


def recurrent(*between: tuple[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    nodes = {"in": node("Input", shape=[2]), "a": lif(2), "w": affine([[0, 1], [1, 0]], [0.5, 0]),
             "out": node("Output", shape=[2]), **dict(between)}
    back = ["w", *(n for n, _ in between), "a"]
    return nodes, [("in", "a"), ("a", "w"), ("a", "out"), *itertools.pairwise(back)]


def test_a_recurrent_connection_is_delayed_by_a_step_and_says_so(tmp_path: Path) -> None:
    graph = load(write(tmp_path / "x.nir", *recurrent()))
    assert {(e.src, e.dst): e.delay for e in graph.edges} == {
        ("in", "a"): 0, ("a", "w"): 1, ("w", "a"): 0, ("a", "out"): 0}
    assert any("delay of 1 step" in n.found and '"a -> w"' in n.place for n in graph.notes)


def test_a_delay_in_a_loop_is_taken_as_it_is(tmp_path: Path) -> None:
    nodes = recurrent(("d", node("Delay", delay=np.full(2, 2e-4))))
    graph = load(write(tmp_path / "x.nir", *nodes))
    assert {(e.src, e.dst): e.delay for e in graph.edges}["w", "a"] == 2
    assert not any("delay of 1 step" in n.found for n in graph.notes)


def test_a_delay_of_nothing_in_a_loop_is_refused(tmp_path: Path) -> None:
    assert codes(write(tmp_path / "x.nir", *recurrent(("d", node("Delay", delay=np.zeros(2)))))) == ["SNN301"]


def test_a_flat_and_a_nested_network_are_the_same(tmp_path: Path) -> None:
    nodes, edges = recurrent()
    flat = load(write(tmp_path / "flat.nir", nodes, edges))
    ends = {"input": node("Input", shape=[2]), "output": node("Output", shape=[2])}
    layer = inner({**ends, "lif": nodes["a"], "lin": nodes["w"]},
                  [("input", "lif"), ("lif", "lin"), ("lin", "lif"), ("lif", "output")])
    nested = load(write(tmp_path / "x.nir", {"in": nodes["in"], "layer": layer, "out": nodes["out"]},
                        [("in", "layer"), ("layer", "out")]))
    assert list(nested.nodes) == ["in", "layer.lin", "layer.lif", "out"]
    assert canonical(nested) == canonical(flat)


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    nodes = {"i1": node("Input", shape=[2]), "i2": node("Input", shape=[2]), "a": if_(2), "b": if_(2),
             "o1": node("Output", shape=[2]), "o2": node("Output", shape=[2])}
    edges = [("i1", "a"), ("i2", "a"), ("i2", "b"), ("a", "o1"), ("b", "o2")]
    graph = load(write(tmp_path / "x.nir", nodes, edges))
    assert (list(graph.inputs), list(graph.outputs)) == (["i1", "i2"], ["o1", "o2"])
    x = {"i1": spikes(5, 2), "i2": spikes(5, 2, seed=1)}
    assert run(graph, x).outputs["o1"].max() >= 1


def test_ends_are_added_where_a_file_has_none(tmp_path: Path) -> None:
    graph = load(write(tmp_path / "x.nir", {"w": affine(np.ones((3, 2))), "a": if_(3)}, [("w", "a")]))
    assert list(graph.nodes) == ["input_w", "w", "a", "output_a"]
    assert graph.inputs["input_w"].shape == (2,)


def test_the_order_of_nodes_and_edges_is_that_of_the_data(tmp_path: Path) -> None:
    graph = load(chain(tmp_path / "x.nir", (2,), *[affine(np.eye(2)) for _ in range(12)]))
    assert list(graph.nodes) == ["input", *(f"n{i}" for i in range(12)), "output"]
    assert [e.dst for e in graph.edges] == list(graph.nodes)[1:]


def test_an_output_of_another_size_is_only_a_warning(tmp_path: Path) -> None:
    graph = load(chain(tmp_path / "x.nir", (2,), affine(np.ones((3, 2))), out=(7,)))
    assert [n.code for n in graph.notes] == ["SNN202"]


def test_a_node_that_nothing_reaches(tmp_path: Path) -> None:
    nodes = {"i": node("Input", shape=[2]), "a": if_(2), "b": if_(2), "c": if_(2), "o": node("Output", shape=[2])}
    path = write(tmp_path / "x.nir", nodes, [("i", "a"), ("a", "o"), ("b", "c"), ("c", "b")])
    assert codes(path) == ["SNN201", "SNN201"]


def tonic(**more: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """A neuron in a loop with weights of 1 and a bias of 3: 0.3 a tick, and a tenth of its last spike."""
    nodes = {"l": lif(2), "w": affine(np.eye(2), [3, 3]), "o": node("Output", shape=[2]), **more}
    return nodes, [("l", "w"), ("w", "l"), ("l", "o")]


def by_hand(ticks: int) -> list[list[float]]:
    """The loop of `tonic`, with the defaults of NIR files: Euler steps, a reset to 0, spikes above the threshold."""
    v, spike, out = 0.0, 0.0, []
    for _ in range(ticks):
        v += 0.1 * (3 + spike - v)
        spike = float(v > 1)
        v = 0.0 if spike else v
        out.append([spike, spike])
    return out


@pytest.mark.parametrize("extra", [{}, {"i": node("Input", shape=[5])}, {"i": node("Input", shape=[2, 3, 3])}],
                         ids=["no input", "an input of values", "an input of frames"])
def test_a_loop_that_its_biases_drive_runs_without_input(tmp_path: Path, extra: dict[str, Any]) -> None:
    graph = load(write(tmp_path / "x.nir", *tonic(**extra)))
    ((_, shape),) = [(n, graph.shapes[n]) for n in graph.inputs]
    (found,) = run(graph, np.ones((1, 30, *shape))).outputs.values()
    assert found[0].tolist() == by_hand(30)
    assert found.any()
    assert any("biases alone" in n.found for n in graph.notes) == (not extra)


def test_a_loop_that_nothing_drives_is_refused(tmp_path: Path) -> None:
    nodes, edges = tonic(i=node("Input", shape=[2]), w=affine(np.eye(2)))
    assert codes(write(tmp_path / "x.nir", nodes, edges))[:1] == ["SNN201"]


@pytest.mark.parametrize(("weights", "advice"), [((3, 5), True), ((5, 4), False), ((4, 4), False)], ids=str)
def test_transposed_weights_are_told(tmp_path: Path, weights: tuple[int, int], advice: bool) -> None:
    told = refusal(chain(tmp_path / "x.nir", (3,), affine(np.ones(weights))))
    assert ("write them transposed" in told) == advice


def test_weights_of_a_convolution_in_another_order_are_told(tmp_path: Path) -> None:
    conv = node("Conv2d", weight=np.ones((2, 5, 3, 3)), bias=np.zeros(2), stride=1, padding=0, dilation=1, groups=1,
                input_shape=[6, 6])
    assert "write them transposed" in refusal(chain(tmp_path / "x.nir", (2, 6, 6), conv))


def test_edges_to_a_nested_graph_that_is_not_there_are_one_problem(tmp_path: Path) -> None:
    nodes = {"i": node("Input", shape=[2]), "a": if_(2), "o": node("Output", shape=[2])}
    told = refusal(write(tmp_path / "x.nir", nodes, [("i", "rnn.input"), ("rnn.lif", "a"), ("a", "o")]))
    assert told.count("SNN201") == 1
    assert 'edges name "rnn.input", "rnn.lif", but there is no nested graph "rnn"' in told


def test_a_name_that_is_nearly_right_is_suggested(tmp_path: Path) -> None:
    nodes = {"i": node("Input", shape=[2]), "lif1": if_(2), "lif2": if_(2), "o": node("Output", shape=[2])}
    told = refusal(write(tmp_path / "x.nir", nodes, [("i", "lfi1"), ("lif2", "o"), ("lif1", "lif3")]))
    assert "did you mean lif1" in told


def test_the_second_attempt_without_a_batch_axis_hides_nothing(tmp_path: Path) -> None:
    """Both errors are told where both fail, and the first one where the second attempt fits."""
    told = refusal(chain(tmp_path / "x.nir", (1, 3), affine(np.ones((4, 3))), lif(5)))
    assert "an input of the shape [1, 3]\n" in told
    assert 'with the first axis taken for a batch axis, node "n1", tau: the shape [5]' in told
    graph = load(chain(tmp_path / "x.nir", (1, 3), affine(np.ones((4, 3))), lif(4)))
    (note,) = [n for n in graph.notes if "batch axis" in n.found]
    assert note.help == 'as the shapes stand, node "n0": an input of the shape [1, 3] (expects [3])'


def test_all_problems_of_a_network_are_reported_together(tmp_path: Path) -> None:
    path = chain(tmp_path / "x.nir", (2,), affine([[np.nan, 0], [0, 0]]), lif(2), affine([[np.inf, 0]]))
    assert codes(path) == ["SNN203", "SNN203"]


def test_loading_twice_gives_the_same_text(tmp_path: Path) -> None:
    path = write(tmp_path / "x.nir", *recurrent())
    assert str(load(path)) == str(load(path))
