"""Layers with quantized weights, whose weights reach the graph as integers and a scale.

A weight is `integer * step`, where the step is the scale of the quantizer, one for the layer or one per output channel.
A layer is recognised by the interface of Brevitas and not by its class: a linear or convolutional layer with a method
`quant_weight()`, whose result has the attributes `scale` and `zero_point` and a method `int()`. A user's own layer may
have the same interface.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch.nn import functional

import torch
from snncompile.diagnostics import fail, shorten
from snncompile.frontends.torch.bare import has_bare_tensors
from snncompile.frontends.torch.source import UserCode
from torch import Tensor, nn

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
CODES, STEP = "snncompile_codes", "snncompile_step"
MAX_CODE = 1 << 15
Forward: TypeAlias = Callable[[Tensor], Tensor]


def keep_integers(network: nn.Module) -> None:
    """Make the layers with quantized weights compute with integer weights, followed by a factor. Changes the network.

    Raises:
        CompileError: SNN104 for a layer without numbers, and for one that also quantizes activations or biases, has a
            zero point, or whose integers times the step are not its weights; SNN109 where `quant_weight()` raises.
    """
    for path, layer in network.named_modules():
        if isinstance(layer, LAYERS) and callable(getattr(layer, "quant_weight", None)):
            place = f"module {shorten(path)} ({type(layer).__name__})"
            if has_bare_tensors(layer):
                fail("SNN104", place, "a quantizer on torch's meta device, where integers and their width are unknown",
                     "layers without a quantizer", "describe a candidate with plain layers, and give its weight_bits")
            weight = _quant_weight(layer, place)
            if hasattr(weight, "scale") and callable(getattr(weight, "int", None)):
                _replace(layer, weight, place)


def codes_of(tensor: Tensor) -> Tensor:
    """The integers of a quantized weight (int16), or the tensor itself where it is none."""
    codes = getattr(tensor, CODES, tensor)
    assert isinstance(codes, Tensor)
    return codes


def _quant_weight(layer: Any, place: str) -> Any:
    with UserCode(lambda: f"{place}, quant_weight", "it takes no arguments"), torch.no_grad():
        return layer.quant_weight()


def _replace(layer: Any, weight: Any, place: str) -> None:
    with torch.no_grad():
        codes, step = weight.int().detach(), torch.as_tensor(weight.scale).detach()
        value = getattr(weight, "value", codes * step).detach()
    _refuse_other_quantizers(layer, weight, place)
    out = len(layer.weight)
    if step.numel() not in (1, out):
        fail("SNN104", place, f"its weights have {step.numel()} scales", f"one scale, or one for each of {out} outputs")
    if codes.shape != layer.weight.shape or not torch.allclose(
            codes * step.reshape(_broadcast_shape(step, codes)), value):
        fail("SNN104", place, "its weights are not int() times the scale", "weights as Brevitas computes them")
    if codes.numel() and int(codes.abs().max()) >= MAX_CODE:
        fail("SNN104", place, f"integer weights up to {int(codes.abs().max())}", f"below {MAX_CODE}, 16 bits")
    floats = codes.to(layer.weight.dtype)
    setattr(floats, CODES, codes.to(torch.int16))
    layer.register_buffer(CODES, floats)
    layer.register_buffer(STEP, step.to(floats.dtype).reshape(_broadcast_shape(step, floats[0])))
    layer.forward = _integer_forward(layer)


def _broadcast_shape(step: Tensor, like: Tensor) -> tuple[int, ...]:
    """The shape in which one step per output channel broadcasts against the first axis of a tensor."""
    return (step.numel(), *(1,) * (like.dim() - 1)) if step.numel() > 1 else ()


def _refuse_other_quantizers(layer: Any, weight: Any, place: str) -> None:
    """Refuse zero points, quantizers of activations and biases, and paddings other than zeros."""
    zero = torch.as_tensor(getattr(weight, "zero_point", 0.0))
    if bool(zero.any()):
        fail("SNN104", place, "its weights have a zero point", "a symmetric quantizer: zero point 0")
    for name in ("input_quant", "output_quant", "bias_quant"):
        if getattr(getattr(layer, name, None), "is_quant_enabled", False):
            fail("SNN104", f"{place}, {name}", "a quantizer of values that are not weights", "quantized weights only",
                 "spikes need no quantizer; remove it")
    if getattr(layer, "padding_mode", "zeros") != "zeros":
        fail("SNN104", place, f"padding_mode {shorten(layer.padding_mode)}", "zeros")


def _integer_forward(layer: Any) -> Forward:
    """A `forward` for the layer: the operation with integer weights, times the step, plus the bias."""
    codes, step, bias = getattr(layer, CODES), getattr(layer, STEP), layer.bias
    if bias is not None:
        bias = bias.detach().reshape(-1, *(1,) * (codes.dim() - 2))
        layer.register_buffer("snncompile_bias", bias)

    def forward(x: Tensor) -> Tensor:
        if isinstance(layer, nn.Linear):
            y = functional.linear(x, codes)
        else:
            conv = functional.conv1d if isinstance(layer, nn.Conv1d) else functional.conv2d
            y = conv(x, codes, None, layer.stride, layer.padding, layer.dilation, layer.groups)
        y = y * step
        return y if bias is None else y + bias

    return forward
