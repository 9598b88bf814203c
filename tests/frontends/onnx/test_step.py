"""Step functions become graphs: states are paired with their next values, element-wise nodes become neurons."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto

import snncompile as sc
from snncompile.diagnostics import CompileError
from snncompile.ir.interp import run
from snncompile.ir.ops import Linear
from snncompile.ir.text import to_text
from snncompile.ir.verify import verify
from tests.frontends.onnx.models import lif_model, model, node, save
from tests.frontends.onnx.running import steps


def agree(made, path, pairs, ticks=12, initial=None, values="spike"):
    """The graph of a model, after a check that it gives exactly the outputs of ONNX Runtime.

    All numbers are small multiples of powers of two, whose float32 sums are exact.
    """
    graph = sc.load(save(made, path / "net.onnx"), values=values, **({"initial": initial} if initial else {}))
    rng = np.random.default_rng(0)
    x = {n: (rng.integers(0, 2, (2, ticks, *op.shape)) if values == "spike"
             else rng.integers(-16, 17, (2, ticks, *op.shape)) / 16).astype(np.float32)
         for n, op in graph.inputs.items()}
    for sample in range(2):  # the model may require a batch of 1
        single = {n: v[sample:sample + 1] for n, v in x.items()}
        wanted = steps(made, single, {n: (o, (initial or {}).get(n, 0.0)) for n, o in pairs.items()})
        traces = run(graph, single, dtype=np.float32)
        for name, value in traces.outputs.items():
            key = name if name in wanted else name.rsplit("_", 1)[0]
            assert np.array_equal(value, wanted[key]), name
    return graph


@pytest.mark.parametrize("batch", [1, "batch"])
@pytest.mark.parametrize("compare", ["Greater", "GreaterOrEqual"])
def test_a_leaky_neuron_is_found_between_its_states(tmp_path, batch, compare):
    graph = agree(lif_model(batch, compare), tmp_path, {"mem": "mem_out"})
    (neuron,) = graph.populations.values()
    assert neuron.rule.spiking
    assert {n: q.dimension for n, q in neuron.rule.params.items()}["beta"] == "real"
    assert neuron.rule.params["threshold"].dimension == "membrane"
    assert isinstance(graph.nodes["Gemm.current"], Linear)


@pytest.mark.parametrize(("before", "after"), [
    ("mem", "mem_out"), ("v", "v_next"), ("mem_in", "mem_out"), ("state.0", "new_state.0"), ("prev_v", "next_v"),
    ("lif.v", "lif.v.next"), ("h_t", "h_new")])
def test_states_are_paired_by_their_names(tmp_path, before, after):
    made = lif_model()
    for value in (*made.graph.input, *made.graph.output):
        value.name = {"mem": before, "mem_out": after}.get(value.name, value.name)
    for n in made.graph.node:
        n.input[:] = [before if i == "mem" else i for i in n.input]
        n.output[:] = [after if o == "mem_out" else o for o in n.output]
    graph = sc.load(save(made, tmp_path / "net.onnx"))
    assert len(graph.inputs) == len(graph.outputs) == 1


def test_states_are_paired_by_the_option(tmp_path):
    made = lif_model()
    made.graph.input[1].name = made.graph.node[1].input[0] = "before"
    path = save(made, tmp_path / "net.onnx")
    assert len(sc.load(path).inputs) == 2
    assert len(sc.load(path, states={"before": "mem_out"}).inputs) == 1
    assert len(sc.load(path, states="before=mem_out").inputs) == 1
    assert len(sc.load(path, states=" before = mem_out ").inputs) == 1


@pytest.mark.parametrize(("options", "code"), [
    ({"states": {"mem": "nothing"}}, "SNN404"), ({"states": {"x": "mem_out"}}, "SNN102"),
    ({"states": "mem"}, "SNN404"), ({"states": ""}, "SNN404"),
    ({"states": 5}, "SNN404"), ({"states": ["mem"]}, "SNN404"), ({"states": {"mem": ["mem_out"]}}, "SNN404"),
    ({"states": {1: "mem_out"}}, "SNN404"), ({"states": "mem=mem_out,mem=spk"}, "SNN404"),
    ({"states": "mem=mem_out=spk"}, "SNN404"), ({"initial": 5}, "SNN404"), ({"initial": np.ones(4)}, "SNN404"),
    ({"initial": {"mem": "a"}}, "SNN404"), ({"initial": {"mem": None}}, "SNN404"),
    ({"initial": {"mem": [1.0, [2.0]]}}, "SNN404"), ({"initial": {"mem": float("nan")}}, "SNN404"),
    ({"initial": {1: 0.5}}, "SNN404"), ({"values": {"x": "real"}}, "SNN404"), ({"values": 3}, "SNN404"),
    ({"values": ""}, "SNN404"), ({"initial": {"x": 1.0}}, "SNN404"), ({"values": "frames"}, "SNN404"),
    ({"dt": 1.0}, "SNN404")])
def test_options_that_do_not_fit_are_refused(tmp_path, options, code):
    with pytest.raises(CompileError, match=code) as e:
        sc.load(save(lif_model(), tmp_path / "net.onnx"), **options)
    (found,) = e.value.diagnostics
    assert code != "SNN404" or found.place.startswith(f"option {next(iter(options))}") or "dt" in found.place
    assert found.expected


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "ArgMax"])
@pytest.mark.parametrize("after", ["f_out", "g"])
def test_what_a_state_becomes_is_never_left_out(tmp_path, op, after):
    """The next tick reads it, whether the pair is found by its name or given by the option."""
    nodes = [node("Gemm", "x w", "h", transB=1), node("Add", "h f", "y"), node(op, "y", after, axis=1)]
    made = model(nodes, {"x": [1, 3], "f": [1, 4]}, {"y": [1, 4], after: [1, 4]}, {"w": np.eye(4, 3, dtype=np.float32)})
    with pytest.raises(CompileError, match="SNN104") as e:
        sc.load(save(made, tmp_path / "net.onnx"), **({"states": "f=g"} if after == "g" else {}))
    (found,) = e.value.diagnostics
    assert f"{op}.{after}" in found.place
    assert found.found == f'{op} computes the next value of the state "f"'


def test_a_first_value_is_that_of_the_state(tmp_path):
    agree(lif_model(), tmp_path, {"mem": "mem_out"}, initial={"mem": 0.75})


def recurrent_model():
    """Neurons that receive their own spikes of the last tick through weights, all added in one expression."""
    rng = np.random.default_rng(2)
    return model(
        [node("MatMul", "x w", "h"), node("MatMul", "spk_in r", "back"), node("Mul", "mem beta", "kept"),
         node("Add", "kept h", "a"), node("Add", "a back", "v"), node("Sub", "v one", "over"),
         node("GreaterOrEqual", "over zero", "fired"), node("Cast", "fired", "spk_out", to=TensorProto.FLOAT),
         node("Where", "fired zero v", "mem_out"), node("Identity", "spk_out", "y")],
        {"x": [1, 3], "mem": [1, 5], "spk_in": [1, 5]}, {"y": [1, 5], "mem_out": [1, 5], "spk_out": [1, 5]},
        {"w": (rng.integers(-8, 16, (3, 5)) / 8).astype(np.float32), "one": 1.0, "zero": 0.0, "beta": 0.75,
         "r": (rng.integers(-8, 8, (5, 5)) / 8).astype(np.float32)})


def test_a_recurrent_spike_becomes_an_edge_of_one_tick(tmp_path):
    graph = agree(recurrent_model(), tmp_path, {"mem": "mem_out", "spk_in": "spk_out"})
    assert [e.delay for e in graph.edges if e.delay] == [1]
    assert len(graph.populations) == 1


def custom_model():
    """A user's own neuron with a refractory time of two ticks, an adaptive threshold, and a leak for each neuron."""
    return model(
        [node("MatMul", "x w", "h"), node("LessOrEqual", "left zero", "free"), node("Mul", "mem leak", "kept"),
         node("Add", "kept h", "v"), node("Mul", "a jump", "more"), node("Add", "theta more", "threshold"),
         node("Greater", "v threshold", "over"), node("And", "over free", "fired"),
         node("Cast", "fired", "spk", to=TensorProto.FLOAT), node("Where", "fired rest v", "reset"),
         node("Clip", "reset low high", "mem_out"), node("Mul", "a fade", "faded"), node("Add", "faded spk", "a_out"),
         node("Sub", "left one", "less"), node("Max", "less zero", "down"), node("Where", "fired two down", "left_out"),
         node("MatMul", "spk w2", "y")],
        {"x": [1, 3], "mem": [1, 4], "a": [1, 4], "left": [1, 4]},
        {"y": [1, 2], "mem_out": [1, 4], "a_out": [1, 4], "left_out": [1, 4]},
        {"w": np.array([[8, 4, 2, 6], [3, 9, 5, 1], [4, 4, 4, 4]], np.float32) / 8, "zero": 0.0, "one": 1.0,
         "two": 2.0, "leak": np.array([[0.5, 0.75, 0.25, 0.875]], np.float32), "theta": 0.75, "jump": 0.125,
         "fade": 0.5, "rest": -0.25, "low": -1.0, "high": 4.0,
         "w2": np.array([[1, 2], [3, 4], [5, 6], [7, 8]], np.float32)})


PAIRS = {"mem": "mem_out", "a": "a_out", "left": "left_out"}


def test_any_neuron_written_element_by_element_compiles(tmp_path):
    graph = agree(custom_model(), tmp_path, PAIRS, ticks=30)
    (neuron,) = graph.populations.values()
    assert set(neuron.traced.states) == {"mem", "a", "left"}
    assert neuron.traced.states["mem"].dimension == "membrane"
    assert neuron.params["leak"].shape == (4,)
    model_ = sc.compile(graph, target="c99", calibration=np.random.default_rng(0).integers(0, 2, (8, 20, 3)))
    x = np.random.default_rng(1).integers(0, 2, (8, 20, 3))
    assert np.array_equal(model_.run(x).outputs, model_.reference(x).outputs)
    assert model_.run(x).outputs.any()


def test_a_rule_out_of_nodes_travels_with_the_graph(tmp_path):
    from snncompile.ir.serde import dump, restore

    graph = agree(custom_model(), tmp_path, PAIRS)
    again = verify(restore(*dump(graph)))
    assert to_text(again) == to_text(graph)
    assert to_text(sc.load(sc.export_onnx(graph, tmp_path / "again.onnx"))) == to_text(graph)


def test_a_synaptic_current_belongs_to_the_neuron_it_drives(tmp_path):
    made = model(
        [node("Mul", "syn alpha", "fading"), node("Add", "fading x", "syn_out"), node("Mul", "mem beta", "kept"),
         node("Add", "kept syn_out", "v"), node("Greater", "v one", "fired"),
         node("Cast", "fired", "spk", to=TensorProto.FLOAT), node("Sub", "v spk", "mem_out")],
        {"x": [1, 4], "syn": [1, 4], "mem": [1, 4]}, {"spk": [1, 4], "syn_out": [1, 4], "mem_out": [1, 4]},
        {"alpha": 0.5, "beta": 0.75, "one": 1.0})
    graph = agree(made, tmp_path, {"syn": "syn_out", "mem": "mem_out"})
    assert len(graph.populations) == 1


def test_spikes_end_a_neuron(tmp_path):
    """Two populations without weights between them are not merged."""
    made = model(
        [node("Add", "m1 x", "v1"), node("Greater", "v1 one", "f1"), node("Cast", "f1", "s1", to=TensorProto.FLOAT),
         node("Sub", "v1 s1", "m1_out"), node("Mul", "m2 beta", "k2"), node("Add", "k2 s1", "v2"),
         node("Greater", "v2 one", "f2"), node("Cast", "f2", "s2", to=TensorProto.FLOAT),
         node("Where", "f2 zero v2", "m2_out"), node("Add", "s1 s2", "y")],
        {"x": [1, 4], "m1": [1, 4], "m2": [1, 4]}, {"y": [1, 4], "m1_out": [1, 4], "m2_out": [1, 4]},
        {"one": 0.75, "beta": 0.5, "zero": 0.0})
    graph = agree(made, tmp_path, {"m1": "m1_out", "m2": "m2_out"})
    assert set(graph.populations) == {"m1", "m2"}


def test_a_reset_to_zero_by_a_product_measures_what_it_should(tmp_path):
    """Some frameworks write the reset as `(1 - z) v + z v_reset`, here with `v_reset = 0`."""
    made = model(
        [node("Mul", "mem beta", "kept"), node("Add", "kept x", "v"), node("Sub", "v theta", "over"),
         node("Greater", "over zero", "f"), node("Cast", "f", "z", to=TensorProto.FLOAT), node("Sub", "one z", "keep"),
         node("Mul", "keep v", "left"), node("Mul", "z zero", "to"), node("Add", "left to", "mem_out")],
        {"x": [1, 4], "mem": [1, 4]}, {"z": [1, 4], "mem_out": [1, 4]},
        {"beta": 0.5, "theta": 1.25, "zero": 0.0, "one": 1.0})
    (neuron,) = agree(made, tmp_path, {"mem": "mem_out"}, values="real").populations.values()
    assert neuron.rule.spiking
    assert neuron.traced.states["mem"].dimension == "membrane"
    assert neuron.rule.params["one"].dimension == "count"


def test_a_network_without_states_has_thresholds(tmp_path):
    made = model([node("MatMul", "x w", "h"), node("Greater", "h zero", "f"),
                  node("Cast", "f", "y", to=TensorProto.FLOAT)], {"x": [1, 3]}, {"y": [1, 2]},
                 {"w": np.array([[1, -1], [-2, 1], [1, 0]], np.float32), "zero": 0.5})
    graph = agree(made, tmp_path, {})
    assert [op.rule.spiking for op in graph.populations.values()] == [True]


def test_a_state_may_become_a_constant(tmp_path):
    made = model([node("Add", "v x", "y"), node("Identity", "c", "v_out")], {"x": [1, 3], "v": [1, 3]},
                 {"y": [1, 3], "v_out": [1, 3]}, {"c": np.array([[0.5, 0.25, -1]], np.float32)})
    with pytest.raises(CompileError, match="constant"):
        sc.load(save(made, tmp_path / "net.onnx"))


def test_a_first_value_that_is_read_late_is_refused(tmp_path):
    with pytest.raises(CompileError, match="SNN104"):
        sc.load(save(recurrent_model(), tmp_path / "net.onnx"), initial={"spk_in": 1.0})


def test_two_inputs_that_do_not_add_up_are_refused(tmp_path):
    made = model([node("Mul", "x z", "p"), node("Add", "v p", "v_out"), node("Identity", "v_out", "y")],
                 {"x": [1, 3], "z": [1, 3], "v": [1, 3]}, {"y": [1, 3], "v_out": [1, 3]})
    with pytest.raises(CompileError, match="SNN104") as e:
        sc.load(save(made, tmp_path / "net.onnx"))
    assert "Mul.p" in str(e.value)


def test_every_unknown_operator_is_named(tmp_path):
    made = model([node("Softmax", "x", "a"), node("Erf", "x", "b"), node("Add", "a b", "y")], {"x": [1, 3]},
                 {"y": [1, 3]})
    with pytest.raises(CompileError) as e:
        sc.load(save(made, tmp_path / "net.onnx"))
    assert [d.place for d in e.value.diagnostics] == ['node "Softmax.a" (Softmax)', 'node "Erf.b" (Erf)']


@pytest.mark.parametrize("nodes", [
    [node("Round", "x", "a")], [node("Floor", "x", "a")], [node("Ceil", "x", "a")], [node("Abs", "x", "a")],
    [node("Sign", "x", "a")], [node("LeakyRelu", "x", "a", alpha=0.25)], [node("HardSigmoid", "x", "a", alpha=0.5)],
    [node("Pow", "x two", "a")], [node("Clip", "x low high", "a")], [node("Clip", "x _ high", "a")],
    [node("Mod", "x two", "a", fmod=1)], [node("Neg", "x", "n"), node("Max", "x n half", "a")],
    [node("Equal", "x half", "e"), node("Where", "e two x", "a")],
    [node("Less", "x half", "l"), node("Not", "l", "n"), node("Cast", "n", "a", to=TensorProto.FLOAT)],
    [node("Greater", "x half", "g"), node("Less", "x two", "l"), node("Xor", "g l", "e"),
     node("Where", "e x two", "a")],
    [node("Mul", "x two", "m"), node("Cast", "m", "c", to=TensorProto.INT32),
     node("Cast", "c", "a", to=TensorProto.FLOAT)],
    [node("Sub", "half x", "s"), node("Div", "s two", "a")], [node("Reciprocal", "x", "r"), node("Min", "r two", "a")],
])
def test_element_wise_operators_mean_what_they_say(tmp_path, nodes):
    made = model([*nodes, node("Relu", "a", "r_"), node("Add", "v r_", "v_out"), node("Identity", "v_out", "y")],
                 {"x": [1, 6], "v": [1, 6]}, {"y": [1, 6], "v_out": [1, 6]},
                 {"two": 2.0, "low": -0.5, "high": 0.75, "half": 0.5})
    agree(made, tmp_path, {"v": "v_out"}, values="real")


def test_curves_agree_to_their_last_bits(tmp_path):
    made = model([node("Tanh", "v", "t"), node("Sigmoid", "v", "s"), node("Exp", "v", "e"), node("Sum", "t s", "u"),
                  node("Div", "u e", "q"), node("Add", "q x", "v_out"), node("Identity", "v_out", "y")],
                 {"x": [1, 6], "v": [1, 6]}, {"y": [1, 6], "v_out": [1, 6]})
    graph = sc.load(save(made, tmp_path / "net.onnx"))
    x = np.random.default_rng(0).integers(0, 2, (1, 9, 6)).astype(np.float32)
    wanted = steps(made, {"x": x}, {"v": ("v_out", 0.0)})["y"]
    assert np.allclose(run(graph, x).outputs["y"], wanted, rtol=1e-5, atol=1e-6)
