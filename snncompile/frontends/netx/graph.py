"""Reads NetX files as integer graphs: chains of populations of Loihi's neuron.

The arithmetic of the file is kept. Weights are the integers in the file; NetX shifts small weights up to fit Loihi's
synapses and the sums down again, which changes nothing. The neuron is that of `ir.loihi`. A projection takes one tick,
as on Loihi and in Lava. Tensors are `[channel, height, width]`; NetX has the same axes in reverse order.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from snncompile.diagnostics import Collector, fail, shorten
from snncompile.frontends.netx.file import NetLayer, read_net
from snncompile.frontends.netx.numbers import Numbers
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.loihi import INPUT_SHIFT, MAX_STATE, NO_MEMORY, LoihiLif, Periodic
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.ops import Conv, Input, Linear, Output, Reshape
from snncompile.ir.types import Array, Shape, Stage
from snncompile.ir.verify import verify

MAX_NEURONS = 1 << 24
MAX_WINDOW = 127  # Lava stores strides, paddings, dilations and groups in 8 bits
MAX_DELAY = 62
MAX_THRESHOLD = (MAX_STATE + 1) >> INPUT_SHIFT
"""The least threshold that no membrane exceeds. Larger ones would mean the same."""
MAX_BIAS = (1 << 15) - 1
"""Lava keeps the mantissa of a bias in 16 bits."""
INPUT_WEIGHT = 64
HOP = 1
"""The number of ticks from a spike to the membranes that it reaches."""


@dataclass(frozen=True)
class Options:
    """The options that NetX takes beside the file.

    Attributes:
        skip_layers: how many layers to leave out, from the first on. The graph's input then is the spikes of the last
            layer that was left out.
        reset_interval: the number of ticks between two resets of a layer; None for no resets.
        reset_offset: the tick of the first layer's first reset. Each further layer is reset one tick later.
    """

    skip_layers: int = 0
    reset_interval: int | None = None
    reset_offset: int = 0

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """The options as the caller gave them. Raises SNN404 for unknown names and for values out of range."""
        limits = {"skip_layers": (0, 1 << 16), "reset_interval": (1, 1 << 30), "reset_offset": (0, 1 << 30)}
        chosen = {n: v for n, v in given.items() if v is not None}
        problems = Collector()
        for name, value in chosen.items():
            low, high = limits.get(name, (0, 0))
            if name not in limits:
                problems.error("SNN404", f"option {shorten(name)}", "there is no option of this name",
                               ", ".join(limits))
            elif type(value) is not int or not low <= value <= high:
                problems.error("SNN404", f"option {name}", shorten(value), f"a whole number from {low} to {high}")
        problems.finish()
        return cls(**chosen)


def load_net(path: Path, **options: Any) -> Graph:
    """Read a NetX file as a graph of stage INT.

    Args:
        options: see `Options`.

    Raises:
        CompileError: SNN101 to SNN104 where the file cannot be read exactly, SNN404 for options.
    """
    chosen = Options.of(options)
    layers = read_net(path)
    chain = _Chain(f"file {shorten(path.name)}", chosen)
    if layers[0].kind != "input":
        fail("SNN102", f"{chain.file}, {layers[0].place}", "a first layer of this type",
             "an input layer, which gives the shape of the data")
    for layer in layers:
        chain.add(layer)
    return verify(chain.graph(path.stem).noting(chain.problems.finish()))


@dataclass
class _Chain:
    """The graph of the layers read so far.

    Attributes:
        file: the file's name in messages.
        source: the node that the next layer reads.
        shape: the shape of that node's output.
        flat: whether a flatten layer comes before the next layer.
        blocks: how many layers with neurons were added.
    """

    file: str
    options: Options
    nodes: dict[str, Op] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    problems: Collector = field(default_factory=Collector)
    source: str = ""
    shape: Shape = ()
    flat: bool = False
    blocks: int = 0

    def add(self, layer: NetLayer) -> None:
        numbers = Numbers(layer.fields, f"{self.file}, {layer.place}", self.problems)
        if layer.kind == "input":
            self.input(layer, numbers)
        elif layer.kind == "flatten":
            self.flat = True
        else:
            self.block(layer, numbers)

    def graph(self, name: str) -> Graph:
        """The graph with an output after the last layer. Raises with all problems of the layers."""
        self.problems.finish()
        if not self.blocks:
            fail("SNN102", self.file, f"no layer with neurons after the {self.options.skip_layers} layers to skip",
                 "at least one layer with neurons")
        edges = (*self.edges, Edge(self.source, "output"))
        return Graph(name, {**self.nodes, "output": Output()}, edges, Stage.INT)

    def input(self, layer: NetLayer, numbers: Numbers) -> None:
        """Add the input layer, which gives the shape of the data; its neurons, if any, turn numbers into spikes."""
        if layer.number:
            numbers.problem("type", "an input layer after other layers", "an input layer as the first layer only")
        self.shape = numbers.shape("shape", MAX_NEURONS)
        if layer.neuron is None or layer.number < self.options.skip_layers:
            self.enter(Input(self.shape))
            return
        weight, bias = numbers.number("weight", 1, MAX_BIAS, INPUT_WEIGHT), numbers.number("bias", -MAX_BIAS, MAX_BIAS)
        self.enter(Input(self.shape, "real", low=-MAX_BIAS, high=MAX_BIAS, unit=1 / weight))
        lif = self.neuron(layer, np.asarray(bias))
        # The data act as a bias on the membrane, without passing the filter of the synaptic current.
        self.join(f"input{layer.number}", dataclasses.replace(lif, current_decay=NO_MEMORY), [(0, ())])

    def enter(self, op: Input) -> None:
        """Add the graph's input; the next layer reads it."""
        self.nodes["input"] = op
        self.source = "input"

    def block(self, layer: NetLayer, numbers: Numbers) -> None:
        """Add a layer of synapses and neurons, or skip it."""
        declared = numbers.shape("shape", MAX_NEURONS)
        shape = (math.prod(self.shape),) if self.flat else self.shape
        op = _conv(numbers) if layer.kind == "conv" else _dense(numbers, declared)
        try:
            given = op.infer(shape) if op else declared
        except ShapeError as e:
            numbers.problem("weight", f"an input of the shape {list(shape)}", e.expected)
            given = declared
        if given != declared and (layer.kind == "conv" or given != (math.prod(declared),)):
            numbers.problem("shape", f"{list(declared)}", f"{list(given)}, the shape that the weights give")
        if layer.number < self.options.skip_layers:
            self.shape, self.flat = given, False
            self.enter(Input(given))
            return
        lif = self.neuron(layer, _bias(numbers, given))
        if op and not self.problems.errors:
            self.join(f"{layer.kind}{layer.number}", lif, self.projections(layer, numbers, op))
            self.recur(layer, numbers, given[0])
        self.shape, self.flat = given, False

    def projections(self, layer: NetLayer, numbers: Numbers, op: Conv | Linear) -> list[tuple[int, tuple[Op, ...]]]:
        """The delay and the operators of each projection from the layer before.

        There is one projection for each different delay of the synapses.
        """
        before = (Reshape((math.prod(self.shape),)),) if self.flat and len(self.shape) > 1 else ()
        if "delay" not in numbers:
            return [(HOP, (*before, op))]
        if layer.kind != "dense":
            reason = "delays of a convolution, which NetX ignores" if layer.kind == "conv" else \
                "delays of a recurrent layer, to which NetX gives other weights"
            self.problems.error("SNN104", f"{numbers.place}, delay", reason, "delays of dense layers only")
            return []
        assert isinstance(op, Linear)
        return [(HOP + d, (*before, part)) for d, part in _delayed(numbers, op)]

    def recur(self, layer: NetLayer, numbers: Numbers, size: int) -> None:
        """Add the projection of a recurrent layer onto itself."""
        if layer.kind != "dense_rec":
            return
        weight = _weights(numbers, "weight_rec")
        if weight.shape != (size, size):
            numbers.problem("weight_rec", f"an array of shape {list(weight.shape)}", f"the shape [{size}, {size}]")
            return
        self.edges.append(Edge(self.source, self.source, HOP, (Linear(weight),)))

    def neuron(self, layer: NetLayer, bias: Array) -> LoihiLif:
        """The register values of a layer's neurons."""
        assert layer.neuron is not None  # `read_net` refuses layers that lack their neurons
        numbers = Numbers(layer.neuron.fields, f"{self.file}, {layer.place}, neuron", self.problems)
        numbers.number("refDelay", 1, 1, 1)
        numbers.number("gradedSpike", 0, 0)
        numbers.number("wgtExp", 0, 0)
        return LoihiLif(numbers.number("vThMant", 0, MAX_THRESHOLD), numbers.number("iDecay", 0, NO_MEMORY),
                        numbers.number("vDecay", 0, NO_MEMORY), bias << INPUT_SHIFT, self.resets())

    def resets(self) -> Periodic | None:
        """When the next layer's states are reset to 0."""
        interval = self.options.reset_interval
        return None if interval is None else Periodic(interval, (self.options.reset_offset + self.blocks) % interval)

    def join(self, name: str, lif: LoihiLif, projections: list[tuple[int, tuple[Op, ...]]]) -> None:
        """Add the population of a layer, with its projections; the next layer reads it."""
        self.nodes[name] = lif.population()
        self.edges += [Edge(self.source, name, delay, chain) for delay, chain in projections]
        self.source = name
        self.blocks += 1


def _weights(numbers: Numbers, name: str = "weight") -> Array:
    """The weights in a field, of 9 bits with their sign, as int8 or int16.

    Weights of both signs in one field end at 254, because NetX would cut 255 there.
    """
    values = numbers.whole(name, -256, 255)
    if values.size and values.min() < 0 and values.max() > 254:
        numbers.problem(name, "weights of both signs with a value of 255", "weights up to 254; NetX would cut 255")
    return values.astype(np.int8 if np.abs(values).max(initial=0) < 128 else np.int16)


def _conv(numbers: Numbers) -> Conv | None:
    weight = _weights(numbers)
    weight = weight[..., 0] if weight.ndim == 5 and weight.shape[-1] == 1 else weight
    stride, dilation = numbers.pair("stride", 1, MAX_WINDOW), numbers.pair("dilation", 1, MAX_WINDOW)
    y, x = numbers.pair("padding", 0, MAX_WINDOW)
    groups = numbers.number("groups", 1, MAX_WINDOW, 1)
    if weight.ndim != 4 or not weight.size or weight.shape[0] % groups:
        numbers.problem("weight", f"an array of shape {list(weight.shape)}",
                        f"the shape [out, in / {groups}, height, width]")
        return None
    return Conv(weight, None, stride, ((y, y), (x, x)), dilation, groups)


def _dense(numbers: Numbers, shape: Shape) -> Linear | None:
    """The operator of a dense layer. Weights on one axis are taken as one row after another, one for each neuron."""
    weight, out = _weights(numbers), math.prod(shape)
    if weight.ndim == 1 and weight.size and weight.size % out == 0:
        weight = weight.reshape(out, -1)
    if weight.ndim != 2 or not weight.size:
        numbers.problem("weight", f"an array of shape {list(weight.shape)}", "the shape [out, in]")
        return None
    return Linear(weight)


def _bias(numbers: Numbers, shape: Shape) -> Array:
    """The mantissa of the bias, one number or `[channel, 1, ...]`, which broadcasts against the layer's shape."""
    bias = numbers.whole("bias", -MAX_BIAS, MAX_BIAS).reshape(-1)
    if bias.size not in (1, shape[0]):
        numbers.problem("bias", f"{bias.size} numbers", f"one number, or {shape[0]}")
    return bias.reshape(()) if bias.size == 1 else bias.reshape(-1, *(1,) * (len(shape) - 1))


def _delayed(numbers: Numbers, op: Linear) -> list[tuple[int, Linear]]:
    """For each different delay, the delay and the weights with that delay; all other weights are 0.

    The field `delay` has one number for all synapses, one for each output, one for each input, or one for each synapse.
    """
    weight = np.asarray(op.weight)
    delay = numbers.whole("delay", 0, MAX_DELAY).squeeze()
    rows = delay.ndim == 1 and len(delay) == len(weight)
    try:
        delays = np.broadcast_to(delay[:, None] if rows else delay, weight.shape)
    except ValueError:
        numbers.problem("delay", f"an array of shape {list(delay.shape)}",
                        f"one number, or one for each output, input or synapse of {list(weight.shape)}")
        return []
    return [(int(d), Linear(np.where(delays == d, weight, 0).astype(weight.dtype))) for d in np.unique(delays)]
