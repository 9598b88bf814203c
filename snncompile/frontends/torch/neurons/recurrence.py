"""The layers that a recurrent neuron module holds, as operators."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from snncompile.frontends.torch.neurons.support import Reading, as_array, qualified_name
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.ops import Conv, Linear, Reshape, Scale
from snncompile.ir.types import Shape


def operators(reading: Reading, layer: Any) -> tuple[Op, ...]:
    """What a layer makes of one tick of spikes on their way back, laid out as the input again."""
    made: list[Op] = []
    shape = reading.shape
    for part in _parts(layer):
        try:
            made += _operator(reading, part, shape)
            for op in made[-1:]:
                shape = op.infer(shape)
        except ShapeError as e:
            reading.refuse(f"recurrent layer {qualified_name(type(part))}", e.expected)
    if math.prod(shape) != math.prod(reading.shape):
        reading.refuse(f"a recurrence that ends in shape {list(shape)}", f"{list(reading.shape)}, as the input")
    return tuple(made) if shape == reading.shape else (*made, Reshape(reading.shape))


def _parts(layer: Any) -> list[Any]:
    """The layers of a sequence, innermost, in order."""
    if qualified_name(type(layer)) == "torch.nn.modules.container.Sequential":
        return [p for child in layer.children() for p in _parts(child)]
    return [layer]


def _operator(reading: Reading, layer: Any, shape: Shape) -> list[Op]:
    match qualified_name(type(layer)):
        case "torch.nn.modules.linear.Linear":
            return [Linear(as_array(layer.weight), _bias(layer))]
        case "torch.nn.modules.conv.Conv1d" | "torch.nn.modules.conv.Conv2d" if _plain(layer):
            pads = tuple((n, n) for n in layer.padding)
            return [Conv(as_array(layer.weight), _bias(layer), tuple(layer.stride), pads, tuple(layer.dilation),
                         layer.groups)]
        case "torch.nn.modules.linear.Identity":
            return []
        case "torch.nn.modules.flatten.Flatten" if (layer.start_dim, layer.end_dim) == (1, -1):
            return [Reshape((math.prod(shape),))]
        case "torch.nn.modules.flatten.Unflatten" if layer.dim == 1 and len(shape) == 1:
            return [Reshape(tuple(np.empty(shape).reshape(tuple(layer.unflattened_size)).shape))]
        case "snntorch._neurons.rleaky.RecurrentOneToOne" | "snntorch._neurons.rsynaptic.RecurrentOneToOne":
            return [Scale(reading.number(layer.V, "V"))]
    reading.refuse(f"recurrent layer {qualified_name(type(layer))}",
                   "Linear, Conv1d, Conv2d, Flatten, Unflatten, Identity, or a Sequential of them")


def _plain(layer: Any) -> bool:
    return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def _bias(layer: Any) -> Any:
    return None if layer.bias is None else as_array(layer.bias)
