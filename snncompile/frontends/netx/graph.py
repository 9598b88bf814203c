"""NetX files to graphs in integers: chains of populations with Loihi's neuron, one tick apart.

The arithmetic is that of the file, and stays so: weights are the integers that stand in it (the shifts by which NetX
fits them into Loihi's synapses are exact for these), `ir.loihi` is the neuron, and a projection takes one tick, as a
hop does on Loihi and in Lava. Tensors are [channel, height, width]; NetX has the same axes in reverse.
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
MAX_WINDOW = 127  # Lava keeps strides, paddings, dilations and groups in 8 bits
MAX_DELAY = 62
MAX_THRESHOLD = (MAX_STATE + 1) >> INPUT_SHIFT
"""The least threshold that no membrane exceeds. Larger ones would mean the same."""
MAX_BIAS = (1 << 15) - 1
"""Lava keeps the mantissa of a bias in 16 bits."""
INPUT_WEIGHT = 64
HOP = 1
"""Ticks from a spike to the membranes that it reaches."""


@dataclass(frozen=True)
class Options:
    """What the caller of NetX says too.

    Attributes:
        skip_layers: layers of the file to leave out, from the first; spikes of the last of them are the input.
        reset_interval: ticks between resets of a layer; None for no resets.
        reset_offset: the tick of the first layer's first reset. Each further layer resets one tick later.
    """

    skip_layers: int = 0
    reset_interval: int | None = None
    reset_offset: int = 0

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """Raises SNN404 for unknown names and values."""
        limits = {"skip_layers": (0, 1 << 16), "reset_interval": (1, 1 << 30), "reset_offset": (0, 1 << 30)}
        said = {n: v for n, v in given.items() if v is not None}
        found = Collector()
        for name, value in said.items():
            low, high = limits.get(name, (0, 0))
            if name not in limits:
                found.error("SNN404", f"option {shorten(name)}", "no such option", ", ".join(limits))
            elif type(value) is not int or not low <= value <= high:
                found.error("SNN404", f"option {name}", shorten(value), f"{low} to {high}")
        found.finish()
        return cls(**said)


def load_net(path: Path, **options: Any) -> Graph:
    """The graph, of stage INT, that a NetX file means.

    Args:
        options: see `Options`.

    Raises:
        CompileError: SNN1xx where the file cannot be read exactly, SNN404 for options.
    """
    chosen = Options.of(options)
    layers = read_net(path)
    chain = _Chain(f"file {shorten(path.name)}", chosen)
    if layers[0].kind != "input":
        fail("SNN102", f"{chain.file}, {layers[0].place}", "the first layer", "an input, which gives the data's shape")
    for layer in layers:
        chain.add(layer)
    return verify(chain.graph(path.stem).noting(chain.found.finish()))


@dataclass
class _Chain:
    """The layers that were read so far: what the next one is joined to."""

    file: str
    options: Options
    nodes: dict[str, Op] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    found: Collector = field(default_factory=Collector)
    source: str = ""
    shape: Shape = ()
    flat: bool = False
    blocks: int = 0

    def add(self, layer: NetLayer) -> None:
        numbers = Numbers(layer.fields, f"{self.file}, {layer.place}", self.found)
        if layer.kind == "input":
            self.input(layer, numbers)
        elif layer.kind == "flatten":
            self.flat = True
        else:
            self.block(layer, numbers)

    def graph(self, name: str) -> Graph:
        self.found.finish()
        if not self.blocks:
            fail("SNN102", self.file, f"{self.options.skip_layers} layers to skip, and none with neurons after them")
        edges = (*self.edges, Edge(self.source, "output"))
        return Graph(name, {**self.nodes, "output": Output()}, edges, Stage.INT)

    def input(self, layer: NetLayer, numbers: Numbers) -> None:
        """The layer that gives the shape; with neurons, it turns numbers into spikes."""
        if layer.number:
            numbers.problem("type", "an input behind other layers", "an input as the first layer")
        self.shape = numbers.shape("shape", MAX_NEURONS)
        if layer.neuron is None or layer.number < self.options.skip_layers:
            self.enter(Input(self.shape))
            return
        weight, bias = numbers.number("weight", 1, MAX_BIAS, INPUT_WEIGHT), numbers.number("bias", -MAX_BIAS, MAX_BIAS)
        self.enter(Input(self.shape, "real", low=-MAX_BIAS, high=MAX_BIAS, unit=1 / weight))
        lif = self.neuron(layer, np.asarray(bias))
        # Data arrive as a bias, which no current filters.
        self.join(f"input{layer.number}", dataclasses.replace(lif, current_decay=NO_MEMORY), [(0, ())])

    def enter(self, op: Input) -> None:
        self.nodes["input"] = op
        self.source = "input"

    def block(self, layer: NetLayer, numbers: Numbers) -> None:
        """A layer of synapses and neurons."""
        declared = numbers.shape("shape", MAX_NEURONS)
        shape = (math.prod(self.shape),) if self.flat else self.shape
        op = _conv(numbers) if layer.kind == "conv" else _dense(numbers, declared)
        try:
            given = op.infer(shape) if op else declared
        except ShapeError as e:
            numbers.problem("weight", f"{list(shape)} arrives", e.expected)
            given = declared
        if given != declared and (layer.kind == "conv" or given != (math.prod(declared),)):
            numbers.problem("shape", f"{list(declared)}", f"{list(given)}, what the weights give")
        if layer.number < self.options.skip_layers:
            self.shape, self.flat = given, False
            self.enter(Input(given))
            return
        lif = self.neuron(layer, _bias(numbers, given))
        if op and not self.found.errors:
            self.join(f"{layer.kind}{layer.number}", lif, self.projections(layer, numbers, op))
            self.recur(layer, numbers, given[0])
        self.shape, self.flat = given, False

    def projections(self, layer: NetLayer, numbers: Numbers, op: Conv | Linear) -> list[tuple[int, tuple[Op, ...]]]:
        """Delay and operators of each projection from the layer before: one for each delay of a synapse."""
        before = (Reshape((math.prod(self.shape),)),) if self.flat and len(self.shape) > 1 else ()
        if "delay" not in numbers:
            return [(HOP, (*before, op))]
        if layer.kind != "dense":
            why = "NetX leaves delays of convolutions out" if layer.kind == "conv" else \
                "delays of recurrent layers: NetX gives them other weights"
            self.found.error("SNN104", f"{numbers.place}, delay", why, "delays of dense layers")
            return []
        assert isinstance(op, Linear)
        return [(HOP + d, (*before, part)) for d, part in _delayed(numbers, op)]

    def recur(self, layer: NetLayer, numbers: Numbers, size: int) -> None:
        """The projection of a recurrent layer onto itself."""
        if layer.kind != "dense_rec":
            return
        weight = _weights(numbers, "weight_rec")
        if weight.shape != (size, size):
            numbers.problem("weight_rec", f"shape {list(weight.shape)}", f"[{size}, {size}]")
            return
        self.edges.append(Edge(self.source, self.source, HOP, (Linear(weight),)))

    def neuron(self, layer: NetLayer, bias: Array) -> LoihiLif:
        """The registers of a layer's neurons."""
        assert layer.neuron is not None  # or the file was refused
        numbers = Numbers(layer.neuron.fields, f"{self.file}, {layer.place}, neuron", self.found)
        numbers.number("refDelay", 1, 1, 1)
        numbers.number("gradedSpike", 0, 0)
        numbers.number("wgtExp", 0, 0)
        return LoihiLif(numbers.number("vThMant", 0, MAX_THRESHOLD), numbers.number("iDecay", 0, NO_MEMORY),
                        numbers.number("vDecay", 0, NO_MEMORY), bias << INPUT_SHIFT, self.resets())

    def resets(self) -> Periodic | None:
        interval = self.options.reset_interval
        return None if interval is None else Periodic(interval, (self.options.reset_offset + self.blocks) % interval)

    def join(self, name: str, lif: LoihiLif, projections: list[tuple[int, tuple[Op, ...]]]) -> None:
        """Let a population follow."""
        self.nodes[name] = lif.population()
        self.edges += [Edge(self.source, name, delay, chain) for delay, chain in projections]
        self.source = name
        self.blocks += 1


def _weights(numbers: Numbers, name: str = "weight") -> Array:
    """Weights as they stand in the file: 9 bits, of which mixed signs may not use the last value."""
    values = numbers.whole(name, -256, 255)
    if values.size and values.min() < 0 and values.max() > 254:
        numbers.problem(name, "weights of both signs up to 255", "up to 254; NetX would cut them")
    return values.astype(np.int8 if np.abs(values).max(initial=0) < 128 else np.int16)


def _conv(numbers: Numbers) -> Conv | None:
    weight = _weights(numbers)
    weight = weight[..., 0] if weight.ndim == 5 and weight.shape[-1] == 1 else weight
    stride, dilation = numbers.pair("stride", 1, MAX_WINDOW), numbers.pair("dilation", 1, MAX_WINDOW)
    y, x = numbers.pair("padding", 0, MAX_WINDOW)
    groups = numbers.number("groups", 1, MAX_WINDOW, 1)
    if weight.ndim != 4 or not weight.size or weight.shape[0] % groups:
        numbers.problem("weight", f"shape {list(weight.shape)}", f"[out, in / {groups}, height, width]")
        return None
    return Conv(weight, None, stride, ((y, y), (x, x)), dilation, groups)


def _dense(numbers: Numbers, shape: Shape) -> Linear | None:
    """A dense layer; weights on one axis are rows for each neuron of the shape."""
    weight, out = _weights(numbers), math.prod(shape)
    if weight.ndim == 1 and weight.size and weight.size % out == 0:
        weight = weight.reshape(out, -1)
    if weight.ndim != 2 or not weight.size:
        numbers.problem("weight", f"shape {list(weight.shape)}", "[out, in]")
        return None
    return Linear(weight)


def _bias(numbers: Numbers, shape: Shape) -> Array:
    """The mantissa of the bias, one number or one a channel, so that it broadcasts."""
    bias = numbers.whole("bias", -MAX_BIAS, MAX_BIAS).reshape(-1)
    if bias.size not in (1, shape[0]):
        numbers.problem("bias", f"{bias.size} numbers", f"one, or {shape[0]}")
    return bias.reshape(()) if bias.size == 1 else bias.reshape(-1, *(1,) * (len(shape) - 1))


def _delayed(numbers: Numbers, op: Linear) -> list[tuple[int, Linear]]:
    """The synapses of each delay, the others being 0; delays belong to all of them, to rows, or to columns."""
    weight = np.asarray(op.weight)
    delay = numbers.whole("delay", 0, MAX_DELAY).squeeze()
    rows = delay.ndim == 1 and len(delay) == len(weight)
    try:
        each = np.broadcast_to(delay[:, None] if rows else delay, weight.shape)
    except ValueError:
        numbers.problem("delay", f"shape {list(delay.shape)}", f"one number, or one for each of {weight.shape}")
        return []
    return [(int(d), Linear(np.where(each == d, weight, 0).astype(weight.dtype))) for d in np.unique(each)]
