"""A file that is not one tick of a spiking network, or whose states were not found, loads with a word about it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import TensorProto

import snncompile as sc
from snncompile.diagnostics import CompileError
from tests.frontends.onnx.models import lif_model, model, node, save

WEIGHTS = {"w": np.ones((4, 3), np.float32), "beta": 0.5, "one": 1.0}


def neuron(t: str = "", current: str = "current", before: str = "mem") -> list:
    """A leaky neuron between `before` and `mem_out{t}`, with spikes `spk{t}`."""
    return [node("Mul", f"{before} beta", f"kept{t}"), node("Add", f"kept{t} {current}", f"charged{t}"),
            node("Greater", f"charged{t} one", f"fired{t}"), node("Cast", f"fired{t}", f"spk{t}", to=TensorProto.FLOAT),
            node("Sub", f"charged{t} spk{t}", f"mem_out{t}")]


def note(path, **options):
    (found,) = sc.load(path, **options).notes
    assert found.code == "SNN105"
    return found


def test_a_step_with_its_states_leaves_no_doubt(tmp_path):
    assert sc.load(save(lif_model(), tmp_path / "net.onnx")).notes == ()


def test_a_state_whose_output_has_another_name_is_named_with_the_option(tmp_path):
    made = lif_model()
    for item in (made.graph.output[1], made.graph.node[-1]):
        if hasattr(item, "name") and item is made.graph.output[1]:
            item.name = "17"
        else:
            item.output[0] = "17"
    path = save(made, tmp_path / "net.onnx")
    told = note(path)
    assert told.severity == "warning"
    assert (told.place.endswith('input "mem"'), '"spk", "17" have its shape' in told.found) == (True, True)
    assert "states={'mem': '17'}" in told.help
    assert "--states mem=17" in told.help
    assert sc.load(path, states="mem=17").notes == ()


@pytest.mark.parametrize("order", [("x", "mem"), ("mem", "x")])
def test_where_every_input_may_be_a_state_all_are_named(tmp_path, order):
    """In a square network nothing tells the data from the state, the order of the inputs least of all."""
    made = model([node("Gemm", "x w", "current"), *neuron()], {n: [1, 4] for n in order},
                 {"spk": [1, 4], "next": [1, 4]}, {**WEIGHTS, "w": np.eye(4, dtype=np.float32)})
    made.graph.node[-1].output[0] = "next"
    path = save(made, tmp_path / "net.onnx")
    told = note(path)
    assert told.place.endswith(f'inputs "{order[0]}", "{order[1]}"')
    assert '"spk", "next" have such a shape' in told.found
    assert ("states={'INPUT': 'OUTPUT', ...}" in told.help, "--states INPUT=OUTPUT" in told.help) == (True, True)
    assert sc.load(path, states="mem=next").notes == ()


def test_weights_of_two_inputs_in_a_file_with_states_leave_no_doubt(tmp_path):
    """Tied weights, of two inputs or of the data and the last spikes, are no loop where the states are known."""
    nodes = [node("Gemm", "x w", "a", transB=1), node("Gemm", "z w", "b", transB=1), node("Add", "a b", "current"),
             *neuron()]
    made = model(nodes, {"x": [1, 3], "z": [1, 3], "mem": [1, 4]}, {"spk": [1, 4], "mem_out": [1, 4]}, WEIGHTS)
    assert sc.load(save(made, tmp_path / "two.onnx")).notes == ()
    nodes = [node("MatMul", "x w", "a"), node("MatMul", "r w", "b"), node("Add", "a b", "current"), *neuron(),
             node("Identity", "spk", "r_out")]
    made = model(nodes, {"x": [1, 4], "r": [1, 4], "mem": [1, 4]}, {"spk": [1, 4], "r_out": [1, 4], "mem_out": [1, 4]},
                 {**WEIGHTS, "w": np.eye(4, dtype=np.float32)})
    assert sc.load(save(made, tmp_path / "tied.onnx")).notes == ()


def loop(transposed: bool) -> list:
    """Three ticks in one file; the weights may pass through a Transpose at each use."""
    nodes = []
    for t in range(3):
        nodes += [node("Gather", f"x at{t}", f"x{t}", axis=1)]
        if transposed:
            nodes += [node("Transpose", "w", f"w{t}", perm=[1, 0]), node("MatMul", f"x{t} w{t}", f"i{t}")]
        else:
            nodes += [node("Gemm", f"x{t} w", f"i{t}", transB=1)]
        nodes += neuron(str(t), f"i{t}", f"mem_out{t - 1}" if t else "zeros")
    return [*nodes, node("Sum", "spk0 spk1 spk2", "y")]


@pytest.mark.parametrize("transposed", [False, True])
def test_a_whole_loop_over_time_is_told_by_weights_that_are_used_again(tmp_path, transposed):
    constants = {**WEIGHTS, "zeros": np.zeros((1, 4), np.float32), **{f"at{t}": np.array(t) for t in range(3)}}
    path = save(model(loop(transposed), {"x": [1, 3, 3]}, {"y": [1, 4]}, constants), tmp_path / "net.onnx")
    told = note(path)
    assert 'the weights "w" are used 3 times' in told.found
    assert "export one tick" in told.help
    assert "--states" in told.help


def test_layers_of_equal_width_with_weights_of_their_own_are_no_loop(tmp_path):
    nodes = [node("MatMul", "x w", "a"), node("MatMul", "a v", "current"), *neuron()]
    square = {**WEIGHTS, "w": np.eye(4, dtype=np.float32), "v": np.eye(4, dtype=np.float32)}
    made = model(nodes, {"x": [1, 4], "mem": [1, 4]}, {"spk": [1, 4], "mem_out": [1, 4]}, square)
    assert sc.load(save(made, tmp_path / "net.onnx")).notes == ()


def test_time_as_the_first_axis_is_refused_with_the_way_out(tmp_path):
    made = model([node("Identity", "x", "y")], {"x": [5, 1, 3]}, {"y": [5, 1, 3]})
    with pytest.raises(CompileError) as caught:
        sc.load(save(made, tmp_path / "net.onnx"))
    assert "if the first axis counts ticks, export one tick" in caught.value.diagnostics[0].help


def test_thresholds_without_any_state_are_said(tmp_path):
    nodes = [node("Gemm", "x w", "current", transB=1), node("Greater", "current one", "f"),
             node("Cast", "f", "y", to=TensorProto.FLOAT)]
    told = note(save(model(nodes, {"x": [1, 3]}, {"y": [1, 4]}, WEIGHTS), tmp_path / "net.onnx"))
    assert told.severity == "warning"
    assert told.found.startswith("no state")


def test_a_network_without_neurons_is_noted(tmp_path):
    nodes = [node("Gemm", "x w", "h", transB=1), node("Relu", "h", "y")]
    told = note(save(model(nodes, {"x": [1, 3]}, {"y": [1, 4]}, WEIGHTS), tmp_path / "net.onnx"))
    assert told.severity == "note"
    assert told.found.startswith("no neuron")


@pytest.mark.parametrize("dynamo", [False, True])
def test_what_pytorch_exports_without_its_memory_is_said(tmp_path, dynamo):
    """The membrane is an attribute of the module; the export holds its first value, and nothing of its next one."""
    torch = pytest.importorskip("torch")
    if dynamo:
        pytest.importorskip("onnxscript")

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.mem = torch.nn.Linear(3, 4), torch.zeros(1, 4)

        def forward(self, x):
            self.mem = 0.5 * self.mem + self.fc(x)
            spikes = (self.mem > 1).float()
            self.mem = self.mem - spikes
            return spikes

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Hidden(), (torch.zeros(1, 3),), tmp_path / "net.onnx", dynamo=dynamo)
    assert "membranes were lost" in note(tmp_path / "net.onnx").help
