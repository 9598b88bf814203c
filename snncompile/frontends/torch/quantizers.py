"""Layers whose weights are quantized: they reach the graph as integers and the value of their step.

Recognised by what Brevitas gives its layers, not by their class: a linear or convolutional layer with a method
`quant_weight()`, which returns the weights with their `scale`, their `zero_point`, and their integers `int()`. A layer
of one's own may do the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch.nn import functional

import torch
from snncompile.diagnostics import fail, shorten
from snncompile.frontends.torch.source import UsersCode
from torch import Tensor, nn

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
CODES, STEP = "snncompile_codes", "snncompile_step"
MAX_CODE = 1 << 15
Forward: TypeAlias = Callable[[Tensor], Tensor]


def keep_integers(network: nn.Module) -> None:
    """Make layers with quantized weights compute with their integers, times the step. The network is changed.

    Raises:
        CompileError: SNN104 for a layer that quantizes more than its weights, or whose integers are not its weights.
    """
    for path, layer in network.named_modules():
        if isinstance(layer, LAYERS) and callable(getattr(layer, "quant_weight", None)):
            place = f"module {shorten(path)} ({type(layer).__name__})"
            weight = _asked(layer, place)
            if hasattr(weight, "scale") and callable(getattr(weight, "int", None)):
                _replace(layer, weight, place)


def codes_of(tensor: Tensor) -> Tensor:
    """The integers that a weight stands for, or the weight itself."""
    codes = getattr(tensor, CODES, tensor)
    assert isinstance(codes, Tensor)
    return codes


def _asked(layer: Any, place: str) -> Any:
    with UsersCode(lambda: f"{place}, quant_weight", "it takes no arguments"), torch.no_grad():
        return layer.quant_weight()


def _replace(layer: Any, weight: Any, place: str) -> None:
    with torch.no_grad():
        codes, step = weight.int().detach(), torch.as_tensor(weight.scale).detach()
        value = getattr(weight, "value", codes * step).detach()
    _expect(layer, weight, place)
    out = len(layer.weight)
    if step.numel() not in (1, out):
        fail("SNN104", place, f"{step.numel()} steps of its weights", f"one, or one for each of {out} outputs")
    if codes.shape != layer.weight.shape or not torch.allclose(codes * step.reshape(_rows(step, codes)), value):
        fail("SNN104", place, "weights that are not its integers times their step", "what Brevitas' int() gives")
    if codes.numel() and int(codes.abs().max()) >= MAX_CODE:
        fail("SNN104", place, f"integers up to {int(codes.abs().max())}", f"below {MAX_CODE}, 16 bits")
    held = codes.to(layer.weight.dtype)
    setattr(held, CODES, codes.to(torch.int16))
    layer.register_buffer(CODES, held)
    layer.register_buffer(STEP, step.to(held.dtype).reshape(_rows(step, held[0])))
    layer.forward = _forward(layer)


def _rows(step: Tensor, like: Tensor) -> tuple[int, ...]:
    """The shape in which a step for each output broadcasts against a tensor."""
    return (step.numel(), *(1,) * (like.dim() - 1)) if step.numel() > 1 else ()


def _expect(layer: Any, weight: Any, place: str) -> None:
    """Refuse what the integers do not say."""
    zero = torch.as_tensor(getattr(weight, "zero_point", 0.0))
    if bool(zero.any()):
        fail("SNN104", place, "weights with a zero point", "a symmetric quantizer: zero point 0")
    for what in ("input_quant", "output_quant", "bias_quant"):
        if getattr(getattr(layer, what, None), "is_quant_enabled", False):
            fail("SNN104", f"{place}, {what}", "a quantizer of values that are no weights", "quantized weights only",
                 "spikes need no quantizer; leave it out")
    if getattr(layer, "padding_mode", "zeros") != "zeros":
        fail("SNN104", place, f"padding_mode {shorten(layer.padding_mode)}", "zeros")


def _forward(layer: Any) -> Forward:
    """The layer's pass in integers."""
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
