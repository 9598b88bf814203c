"""Converts the layers inside a recurrent neuron module, which lead from its output back to its input, to operators."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from snncompile.frontends.torch.neurons.support import ParameterReader, qualified_name, weights
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.ops import Conv, Linear, Reshape, Scale
from snncompile.ir.types import Shape


def operators(reader: ParameterReader, layer: Any) -> tuple[Op, ...]:
    """The operators of a recurrent layer, and a Reshape at the end if the shape is not that of the module's input.

    Raises:
        CompileError: SNN104 for a layer that is not supported, or whose output has another size than the input.
    """
    ops: list[Op] = []
    shape = reader.shape
    for part in _parts(layer):
        try:
            part_ops = _operator(reader, part, shape)
            ops += part_ops
            for op in part_ops:
                shape = op.infer(shape)
        except ShapeError as e:
            reader.refuse(f"recurrent layer {qualified_name(type(part))}", e.expected)
    if math.prod(shape) != math.prod(reader.shape):
        reader.refuse(f"a recurrence that ends in shape {list(shape)}", f"{list(reader.shape)}, as the input")
    return tuple(ops) if shape == reader.shape else (*ops, Reshape(reader.shape))


def _parts(layer: Any) -> list[Any]:
    """The layers of nested Sequential modules in order."""
    if qualified_name(type(layer)) == "torch.nn.modules.container.Sequential":
        return [p for child in layer.children() for p in _parts(child)]
    return [layer]


def _operator(reader: ParameterReader, layer: Any, shape: Shape) -> list[Op]:
    """The operator of a single layer for an input of this shape; an empty list for an Identity."""
    match qualified_name(type(layer)):
        case "torch.nn.modules.linear.Linear":
            return [Linear(weights(layer.weight), _bias(layer))]
        case "torch.nn.modules.conv.Conv1d" | "torch.nn.modules.conv.Conv2d" if _pads_with_zeros(layer):
            pads = tuple((n, n) for n in layer.padding)
            return [Conv(weights(layer.weight), _bias(layer), tuple(layer.stride), pads, tuple(layer.dilation),
                         layer.groups)]
        case "torch.nn.modules.linear.Identity":
            return []
        case "torch.nn.modules.flatten.Flatten" if (layer.start_dim, layer.end_dim) == (1, -1):
            return [Reshape((math.prod(shape),))]
        case "torch.nn.modules.flatten.Unflatten" if layer.dim == 1 and len(shape) == 1:
            return [Reshape(tuple(np.empty(shape).reshape(tuple(layer.unflattened_size)).shape))]
        case "snntorch._neurons.rleaky.RecurrentOneToOne" | "snntorch._neurons.rsynaptic.RecurrentOneToOne":
            return [Scale(reader.number(layer.V, "V"))]
    reader.refuse(f"recurrent layer {qualified_name(type(layer))}",
                  "Linear, Conv1d, Conv2d, Flatten, Unflatten, Identity, or a Sequential of them")


def _pads_with_zeros(layer: Any) -> bool:
    """Whether a convolution pads with zeros, by amounts given as numbers and not as a string such as `same`."""
    return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def _bias(layer: Any) -> Any:
    return None if layer.bias is None else weights(layer.bias)
