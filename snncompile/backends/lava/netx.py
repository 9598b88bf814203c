"""Writing a chain of Loihi's own neurons as a NetX file of lava-dl 0.6.0.

NetX reads convolutions, dense layers and dense layers that feed themselves, one after the other, each with one
threshold and two decays. `snncompile.frontends.netx.graph` reads such files and says what they mean.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.backends.lava.matrices import chain_matrix
from snncompile.backends.lava.registers import LAVAS_NEURON
from snncompile.diagnostics import shorten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Conv
from snncompile.ir.types import Array, Shape

BIAS_EXPONENT = 6
"""NetX shifts the biases of a file up by this number of bits."""
MAX_DENSE = 1 << 24
"""The most weights of a layer that is written as a dense matrix."""

Registers = Mapping[str, Any]
"""The arguments of Lava's LIF of one population; see `registers.standard`."""


@dataclass(frozen=True)
class Layer:
    """A layer of a NetX file.

    Attributes:
        kind: its type: "input", "conv", "flatten", "dense" or "dense_rec".
        fields: the data sets of its group, by name.
        neuron: the data sets of its neuron; None for a layer without neurons.
    """

    kind: str
    fields: Mapping[str, Any]
    neuron: Mapping[str, Any] | None = None


def net_file(graph: Graph, registers: Mapping[str, Registers]) -> bytes | None:
    """The content of a NetX file for a MAPPED graph; None for a graph that such a file cannot express exactly.

    Args:
        registers: the arguments of Lava's LIF of each population that is one, by name; see `registers.standard`.
    """
    chain = _chain(graph)
    if chain is None or len(graph.inputs) != 1 or next(iter(graph.inputs.values())).values != "spike":
        return None
    layers = [Layer("input", {"shape": next(iter(graph.inputs.values())).shape})]
    for forward, back in chain:
        if forward.dst not in registers:
            return None
        block = _block(graph, forward, back, registers[forward.dst])
        if block is None:
            return None
        if block.kind != "conv" and len(graph.shapes[forward.src]) > 1:
            layers.append(Layer("flatten", {"shape": [1, 1, math.prod(graph.shapes[forward.src])]}))
        layers.append(block)
    return _written(layers)


def _chain(graph: Graph) -> list[tuple[Edge, Edge | None]] | None:
    """The projections of a chain, in order, each with the projection by which its population feeds itself, if any.

    None where the graph is no chain from one input to one output, or where a projection takes other than one tick.
    """
    projections: list[tuple[Edge, Edge | None]] = []
    name = next(iter(graph.inputs))
    while True:
        onward = [e for e in graph.edges_from[name] if e.dst != name]
        if len(onward) != 1:
            return None
        name = onward[0].dst
        if name in graph.outputs:
            return projections if len(projections) == len(graph.populations) else None
        back = [e for e in graph.edges_into[name] if e.src == name]
        if len(graph.edges_into[name]) != 1 + len(back) or len(back) > 1 or any(e.delay != 1 for e in (*onward, *back)):
            return None
        projections.append((onward[0], back[0] if back else None))


def _block(graph: Graph, forward: Edge, back: Edge | None, registers: Registers) -> Layer | None:
    """The layer for a population and the projections into it; None where NetX cannot express it exactly."""
    shape = graph.shapes[forward.dst]
    fields = _convolution(forward, graph.shapes[forward.src], shape) if back is None else None
    kind = "conv" if fields else "dense"
    if not fields and len(shape) == 1:
        weight = _dense(graph, forward)
        fields = None if weight is None else {"shape": shape, "weight": weight}
        if fields and back is not None:
            kind, fields["weight_rec"] = "dense_rec", _dense(graph, back)
    bias = _bias(registers, shape)
    if not fields or bias is None or any(v is None for v in fields.values()) or {"u", "v"} & set(registers):
        return None
    neuron = {"type": "CUBA", "iDecay": registers["du"] + 1, "vDecay": registers["dv"], "vThMant": registers["vth"],
              "refDelay": 1, "gradedSpike": False}
    return Layer(kind, {**fields, **({"bias": bias} if bias.any() else {})}, neuron)


def _convolution(edge: Edge, before: Shape, shape: Shape) -> dict[str, Any] | None:
    """The fields of a convolution layer between tensors of two shapes; None where the projection is not one."""
    op = edge.chain[0] if len(edge.chain) == 1 else None
    if not isinstance(op, Conv) or len(shape) != 3 or any(a != b for a, b in op.padding):
        return None
    return {"shape": shape, "weight": _exact(np.asarray(op.weight)), "stride": op.stride, "dilation": op.dilation,
            "padding": [a for a, _ in op.padding], "groups": op.groups, "kernelSize": op.kernel,
            "inChannels": before[0], "outChannels": shape[0]}


def _dense(graph: Graph, edge: Edge) -> Array | None:
    """The weights `[out, in]` of a projection as a dense matrix; None where it has none that NetX keeps exactly."""
    if not all(op.linear for op in edge.chain):
        return None
    size = math.prod(graph.shapes[edge.src]) * math.prod(graph.shapes[edge.dst])
    if size > MAX_DENSE:
        return None
    matrix = chain_matrix(edge.chain, graph.shapes[edge.src], f"projection {shorten(edge.label)}")
    return _exact(np.asarray(matrix.todense()))


def _exact(weight: Array) -> Array | None:
    """The weights as int64, or None where NetX and Lava would change them.

    They keep weights of one sign up to 255, even ones of mixed signs from -256 to 254, and any from -128 to 127, which
    NetX doubles. A matrix of zeros is refused, because NetX cannot scale it.
    """
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    even = not np.any(weight & 1) and low >= -256 and high <= 254
    single = (low == 0 and 0 < high <= 255) or (high == 0 and -255 <= low < 0 and weight.max() < 0)
    return weight.astype(np.int64) if (low or high) and (single or even or (low >= -128 and high <= 127)) else None


def _bias(registers: Registers, shape: Shape) -> Array | None:
    """The bias of each channel before NetX shifts it, `[channel]`.

    None where biases differ inside a channel, are no multiples of `1 << BIAS_EXPONENT`, or exceed the register.
    """
    bias = np.broadcast_to(np.asarray(registers["bias_mant"], np.int64) << registers["bias_exp"], shape)
    rows = bias.reshape(shape[0], -1)
    mantissa = rows[:, 0] >> BIAS_EXPONENT
    fits = np.all(rows == rows[:, :1]) and np.all(mantissa << BIAS_EXPONENT == rows[:, 0])
    return mantissa if fits and np.abs(mantissa).max(initial=0) <= LAVAS_NEURON.max_mantissa else None


def _written(layers: list[Layer]) -> bytes:
    """The content of the HDF5 file, with one group for each layer."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for i, layer in enumerate(layers):
            group = file.create_group(f"layer/{i}")
            group.create_dataset("type", (1,), "S10", [layer.kind.encode()])
            for name, value in layer.fields.items():
                group.create_dataset(name, data=value)
            for name, value in (layer.neuron or {}).items():
                group.create_dataset(f"neuron/{name}", data=value)
    return buffer.getvalue()
