"""The same networks in other people's runtimes, float32, batch 1, one thread.

Each function takes a `Network` whose graph is a chain and gives a callable from input `[tick, *shape]` to output
spikes `[tick, 10]`. Preparation (graph export, warm memory) is outside what is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
import onnxruntime
import snntorch
import torch
from networks import DECAY, Array, Network
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from snncompile.ir.op import Op
from snncompile.ir.ops import AvgPool, Conv, Input, Linear, Output, Reshape
from snncompile.ir.populations import Neuron

Runner = Callable[[Array], Array]


def layers_of(network: Network) -> list[Op]:
    return [op for op in network.graph.nodes.values() if not isinstance(op, (Input, Output))]


# --- ONNX Runtime


class _OnnxBuilder:
    """An ONNX graph under construction."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: Array) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def stateless(self, i: int, op: Op, x: str) -> str:
        if isinstance(op, Linear):
            return self.node("Gemm", x, self.constant(f"w{i}", op.weight), transB=1)
        if isinstance(op, Conv):
            (top, bottom), (left, right) = op.padding
            return self.node("Conv", x, self.constant(f"w{i}", op.weight), pads=[top, left, bottom, right])
        if isinstance(op, AvgPool):
            return self.node("AveragePool", x, kernel_shape=list(op.kernel), strides=list(op.stride))
        assert isinstance(op, Reshape)
        return self.node("Flatten", x, axis=1)

    def lif(self, x: str, v: str | None) -> tuple[str, str]:
        """Spikes and next membrane."""
        if v is not None:
            x = self.node("Add", self.node("Mul", v, self.constant("decay", np.float32(DECAY))), x)
        spike = self.node("Cast", self.node("Greater", x, self.constant("one", np.float32(1))), to=TensorProto.FLOAT)
        return spike, self.node("Sub", x, spike)

    def session(self, inputs: tuple[int | str, ...], output: str) -> onnxruntime.InferenceSession:
        graph = helper.make_graph(
            [*self.nodes, helper.make_node("Identity", [output], ["spikes"])], "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, inputs)],
            [helper.make_tensor_value_info("spikes", TensorProto.FLOAT, None)], list(self.constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def ort_unrolled(network: Network) -> Runner:
    """Every tick a copy of the network: nodes in the order of time."""
    build = _OnnxBuilder()
    layers = layers_of(network)
    states: dict[int, str] = {}
    outputs = []
    for x in build_split(build, "x", network.ticks):
        for i, op in enumerate(layers):
            if isinstance(op, Neuron):
                x, states[i] = build.lif(x, states.get(i))
            else:
                x = build.stateless(i, op, x)
        outputs.append(x)
    return _ort_runner(network, build, build.node("Concat", *outputs, axis=0))


def ort_batched(network: Network) -> Runner:
    """Layer by layer: the stateless ones on all ticks as a batch, only the populations unrolled."""
    build = _OnnxBuilder()
    x = "x"
    for i, op in enumerate(layers_of(network)):
        if isinstance(op, Neuron):
            v, spikes = None, []
            for current in build_split(build, x, network.ticks):
                spike, v = build.lif(current, v)
                spikes.append(spike)
            x = build.node("Concat", *spikes, axis=0)
        else:
            x = build.stateless(i, op, x)
    return _ort_runner(network, build, x)


def build_split(build: _OnnxBuilder, x: str, ticks: int) -> list[str]:
    """The ticks of a tensor `[tick * sample, ...]`, each `[sample, ...]`."""
    names = [f"{x}_tick{t}" for t in range(ticks)]
    build.nodes.append(helper.make_node("Split", [x], names, axis=0))
    return names


def _ort_runner(network: Network, build: _OnnxBuilder, output: str) -> Runner:
    session = build.session(("n", *network.shape), output)
    return lambda x: np.asarray(session.run(None, {"x": x})[0])


# --- PyTorch


def _torch_layers(network: Network) -> Iterator[nn.Module | None]:
    """A module per layer; None stands for a population."""
    for op in layers_of(network):
        if isinstance(op, Neuron):
            yield None
        elif isinstance(op, Linear):
            module = nn.Linear(*op.weight.shape[::-1], bias=False)
            module.weight.data = torch.tensor(op.weight)
            yield module
        elif isinstance(op, Conv):
            filters, channels, *kernel = op.weight.shape
            module = nn.Conv2d(channels, filters, tuple(kernel), padding=op.padding[0][0], bias=False)
            module.weight.data = torch.tensor(op.weight)
            yield module
        else:
            yield nn.AvgPool2d(2) if isinstance(op, AvgPool) else nn.Flatten()


def _lif(x: Tensor, v: Tensor | None) -> tuple[Tensor, Tensor]:
    v = x if v is None else DECAY * v + x
    spike = (v > 1).float()
    return spike, v - spike


def torch_steps(network: Network) -> Runner:
    """Eager, tick by tick."""
    layers = list(_torch_layers(network))

    @torch.inference_mode()
    def run(x: Array) -> Array:
        states: dict[int, Tensor] = {}
        outputs = []
        for step in torch.from_numpy(x).unsqueeze(1):
            for i, layer in enumerate(layers):
                if layer is None:
                    step, states[i] = _lif(step, states.get(i))
                else:
                    step = layer(step)
            outputs.append(step)
        return np.asarray(torch.cat(outputs).numpy())

    return run


def torch_layers(network: Network) -> Runner:
    """Eager, layer by layer: the stateless ones on all ticks as a batch."""
    layers = list(_torch_layers(network))

    @torch.inference_mode()
    def run(x: Array) -> Array:
        y = torch.from_numpy(x)
        for layer in layers:
            y = _lif_over_time(y) if layer is None else layer(y)
        return np.asarray(y.numpy())

    return run


def _lif_over_time(currents: Tensor) -> Tensor:
    spikes, v = torch.empty_like(currents), None
    for t, x in enumerate(currents):
        spikes[t], v = _lif(x, v)
    return spikes


def snntorch_leaky(network: Network) -> Runner:
    """snnTorch's `Leaky`, tick by tick, with the reset in the same step."""
    layers = [snntorch.Leaky(beta=DECAY, threshold=1.0, reset_mechanism="subtract", reset_delay=False)
              if layer is None else layer for layer in _torch_layers(network)]

    @torch.inference_mode()
    def run(x: Array) -> Array:
        states: dict[int, Tensor] = {i: layer.reset_mem() for i, layer in enumerate(layers)
                                     if isinstance(layer, snntorch.Leaky)}
        outputs = []
        for step in torch.from_numpy(x).unsqueeze(1):
            for i, layer in enumerate(layers):
                if i in states:
                    step, states[i] = layer(step, states[i])
                else:
                    step = layer(step)
            outputs.append(step)
        return np.asarray(torch.cat(outputs).numpy())

    return run


BASELINES: dict[str, Callable[[Network], Runner]] = {
    "ONNX Runtime, unrolled": ort_unrolled,
    "ONNX Runtime, ticks batched": ort_batched,
    "PyTorch eager, tick by tick": torch_steps,
    "PyTorch eager, layer by layer": torch_layers,
    "snnTorch Leaky": snntorch_leaky,
}
