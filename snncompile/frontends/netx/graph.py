"""Reads NetX files as integer graphs: chains of populations of Loihi's neuron.

The arithmetic of the file is kept. Weights are the integers in the file; NetX shifts small weights up to fit Loihi's
synapses and the sums down again, which changes nothing. The neuron is that of `ir.loihi`. A projection takes one tick,
as on Loihi and in Lava. Tensors are `[channel, height, width]`; NetX has the same axes in reverse order.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.frontends.netx.file import NetLayer, read_net
from snncompile.frontends.netx.numbers import LayerProblems, Numbers
from snncompile.frontends.netx.options import Options
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


def load_net(path: Path, **options: Any) -> Graph:
    """Read a NetX file as a graph of stage INT.

    Args:
        options: see `snncompile.frontends.netx.options.Options`.

    Raises:
        CompileError: SNN101 to SNN104 where the file cannot be read exactly, SNN404 for options.
    """
    chosen = Options.of(options)
    layers = read_net(path, chosen.num_layers)
    chain = _Chain(f"file {shorten(path.name)}", chosen)
    for layer in layers:
        chain.add(layer, last=layer is layers[-1])
    return verify(chain.graph(path.stem).noting(chain.problems.finish()))


@dataclass
class _Chain:
    """The graph of the layers read so far.

    Attributes:
        file: the file's name in messages.
        source: the node that the next layer reads.
        shape: the shape of that node's output; empty before the first layer that has one.
        flat: whether a flatten layer comes before the next layer.
        blocks: how many layers with neurons were added.
    """

    file: str
    options: Options
    nodes: dict[str, Op] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    problems: LayerProblems = field(default_factory=LayerProblems)
    source: str = ""
    shape: Shape = ()
    flat: bool = False
    blocks: int = 0
    decode: Literal["rate", "last"] = "rate"

    def add(self, layer: NetLayer, last: bool) -> None:
        numbers = Numbers(layer.fields, f"{self.file}, {layer.place}", self.problems)
        if layer.kind == "input":
            self.input(layer, numbers)
        elif layer.kind == "flatten":
            self.flat = True
        else:
            if layer.neuron is None and not last:
                self.problems.error("SNN104", f"{numbers.place}, neuron", "a layer without a neuron before other "
                                    "layers; NetX gives it an integrator that never fires",
                                    "such a layer as the last only",
                                    f"num_layers={layer.number + 1} ends the network there (on the command line "
                                    f"--num-layers {layer.number + 1})")
                self.problems.finish()
            self.block(layer, numbers)

    def graph(self, name: str) -> Graph:
        """The graph with an output after the last layer. Raises with all problems of the layers."""
        self.problems.finish()
        if not self.blocks:
            fail("SNN102", self.file, f"no layer with synapses and neurons among those that are read, without the "
                 f"first {self.options.skip_layers}", "at least one layer with neurons",
                 "fewer layers to skip (skip_layers), or more to read (num_layers)"
                 if self.options.skip_layers or self.options.num_layers else "")
        edges = (*self.edges, Edge(self.source, "output"))
        return Graph(name, {**self.nodes, "output": Output(self.decode)}, edges, Stage.INT)

    def input(self, layer: NetLayer, numbers: Numbers) -> None:
        """Add the input layer, which gives the shape of the data; its neurons, if any, turn numbers into spikes."""
        if layer.number:
            numbers.problem("type", "an input layer after other layers", "an input layer as the first layer only")
        self.shape = numbers.shape("shape", MAX_NEURONS)
        self.expect_given(self.shape, numbers)
        if layer.neuron is None or layer.number < self.options.skip_layers:
            self.enter(Input(self.shape))
            return
        weight, bias = numbers.number("weight", 1, MAX_BIAS, INPUT_WEIGHT), numbers.number("bias", -MAX_BIAS, MAX_BIAS)
        self.enter(Input(self.shape, "real", low=-MAX_BIAS, high=MAX_BIAS, unit=1 / weight))
        lif = self.neuron(layer, np.asarray(bias), self.shape)
        # The data act as a bias on the membrane, without passing the filter of the synaptic current.
        self.join(f"input{layer.number}", dataclasses.replace(lif, current_decay=NO_MEMORY), [(0, ())])

    def enter(self, op: Input) -> None:
        """Add the graph's input; the next layer reads it."""
        self.nodes["input"] = op
        self.source = "input"

    def block(self, layer: NetLayer, numbers: Numbers) -> None:
        """Add a layer of synapses and neurons, or skip it."""
        declared = numbers.shape("shape", MAX_NEURONS)
        op = _conv(numbers) if layer.kind == "conv" else _dense(numbers, declared)
        if op and not self.shape:
            self.first(op, declared, numbers)
        shape = (math.prod(self.shape),) if self.flat else self.shape
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
        lif = self.neuron(layer, _bias(numbers, given), given)
        if op and not self.problems.errors:
            self.join(f"{layer.kind}{layer.number}", lif, self.projections(layer, numbers, op))
            self.recur(layer, numbers, given[0])
        self.shape, self.flat = given, False

    def first(self, op: Conv | Linear, declared: Shape, numbers: Numbers) -> None:
        """Add the input of a file whose first layer has synapses: the weights of a dense layer have its width."""
        if isinstance(op, Linear):
            self.shape, self.flat = (op.weight.shape[1],), False
            self.expect_given(self.shape, numbers)
        elif self.options.input_shape is not None:
            self.shape = self.options.input_shape
        else:
            self.shape = _only_shape(op, declared, numbers)
        self.enter(Input(self.shape))

    def expect_given(self, shape: Shape, numbers: Numbers) -> None:
        """Record a problem where the option `input_shape` says another shape than the file."""
        given = self.options.input_shape
        if given is not None and given != shape:
            self.problems.error("SNN404", "option input_shape", f"{list(reversed(given))}",
                                f"{list(reversed(shape))}, the shape that {numbers.place} has",
                                "leave the option out; the file says the shape")

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
        if layer.kind != "dense_rec" or layer.neuron is None:
            return
        weight = _weights(numbers, "weight_rec")
        if weight.shape != (size, size):
            numbers.problem("weight_rec", f"an array of shape {list(weight.shape)}", f"the shape [{size}, {size}]")
            return
        self.edges.append(Edge(self.source, self.source, HOP, (Linear(weight),)))

    def neuron(self, layer: NetLayer, bias: Array, shape: Shape) -> LoihiLif:
        """The register values of a layer's neurons, which have this shape.

        A layer without a neuron gets the integrator of NetX. It sums its input in the current, which the membrane
        follows, and never fires; the network's output then is the membrane of each tick.
        """
        if layer.neuron is None:
            self.decode = "last"
            return LoihiLif(None, 0, NO_MEMORY, bias << INPUT_SHIFT, self.resets())
        numbers = Numbers(layer.neuron.fields, f"{self.file}, {layer.place}, neuron", self.problems)
        numbers.number("refDelay", 1, 1, 1)
        numbers.number("gradedSpike", 0, 0)
        numbers.number("wgtExp", 0, 0)
        return LoihiLif(numbers.number("vThMant", 0, MAX_THRESHOLD), numbers.by_channel("iDecay", 0, NO_MEMORY, shape),
                        numbers.by_channel("vDecay", 0, NO_MEMORY, shape), bias << INPUT_SHIFT, self.resets())

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


def _only_shape(op: Conv, declared: Shape, numbers: Numbers) -> Shape:
    """The only input of a convolution with an output of this shape; another one, and a problem, where several fit."""
    channels = op.weight.shape[1] * op.groups
    axes = list(zip(declared[1:], op.kernel, op.stride, op.padding, op.dilation, strict=False))
    least = [(n - 1) * s + d * (k - 1) + 1 - sum(p) for n, k, s, p, d in axes]
    most = [low + s - 1 for low, (_, _, s, _, _) in zip(least, axes, strict=True)]
    if len(least) < len(op.kernel) or min(least) < 1:
        numbers.problem("shape", f"{list(declared)}", "the shape of a convolution's output: channels, height, width")
    elif least != most:
        shown = [channels, *least]
        written = ",".join(map(str, reversed(shown)))
        numbers.problem("shape", f"no input layer, and inputs from {[channels, *least]} to {[channels, *most]} fit",
                        "a first convolution whose input has a known shape",
                        f"give it in NetX's order, input_shape=({', '.join(map(str, reversed(shown)))}) for example "
                        f"(on the command line --input-shape {written})")
    return (channels, *least) if len(least) == len(op.kernel) and min(least) >= 1 else (channels, 1, 1)


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
