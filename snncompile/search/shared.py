"""Operators without numbers that candidates share: the same arguments give the same object.

Operators never change. A search builds a few hundred different ones and millions of networks of them, so that what is
known of an operator, such as that its attributes are right, is found out once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from snncompile.diagnostics import expect_known, fail, shorten
from snncompile.ir.library import RULES
from snncompile.ir.ops import (
    AvgPool,
    Conv,
    Identity,
    Input,
    Linear,
    MaxPool,
    Output,
    Pad,
    Pool,
    Rectify,
    Reshape,
    Scale,
    SumPool,
    Upsample,
)
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import BIAS, Firing
from snncompile.ir.spike_product import SpikeProduct
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Shape, ShapeOnly

MAX_SIZE = 1 << 31
"""The most elements of a tensor, and of a weight."""
SHARED = 1 << 14
"""Operators of each kind that are kept."""
POOLS: dict[str, type[Pool]] = {"avg": AvgPool, "max": MaxPool, "sum": SumPool}

input_of = lru_cache(SHARED, typed=True)(Input)
output_of = lru_cache(SHARED, typed=True)(Output)
identity_of = lru_cache(1)(Identity)
reshape_of = lru_cache(SHARED, typed=True)(Reshape)
pad_of = lru_cache(SHARED, typed=True)(Pad)
rectify_of = lru_cache(SHARED, typed=True)(Rectify)
scale_of = lru_cache(SHARED, typed=True)(Scale)
product_of = lru_cache(SHARED, typed=True)(SpikeProduct)


@lru_cache(SHARED, typed=True)
def linear_of(inputs: int, outputs: int, bias: bool, bits: int | None, density: float | None) -> Linear:
    """A fully connected layer."""
    weight = _bare((whole("outputs", outputs), inputs), bits, density)
    return Linear(weight, ShapeOnly((outputs,)) if bias else None)


@lru_cache(SHARED, typed=True)
def conv_of(entering: int, axes: int, channels: int, kernel: int, stride: int, padding: int | None, groups: int,
            dilation: int, bias: bool, bits: int | None, density: float | None) -> Conv:
    """A convolution over so many axes, into which so many channels enter."""
    for what, value in (("kernel", kernel), ("stride", stride), ("dilation", dilation), ("groups", groups)):
        whole(what, value)
    around = dilation * (kernel // 2) if padding is None else whole("padding", padding, least=0)
    weight = _bare((whole("channels", channels), entering // groups, *(kernel,) * axes), bits, density)
    return Conv(weight, ShapeOnly((channels,)) if bias else None, (stride,) * axes, ((around, around),) * axes,
                (dilation,) * axes, groups)


@lru_cache(SHARED, typed=True)
def token_mix_of(tokens: int, outputs: int, heads: int, bias: bool, bits: int | None, density: float | None
                 ) -> TokenMix:
    """A linear map from tokens to tokens, the same for all channels of a head."""
    weight = _bare((whole("heads", heads), whole("outputs", outputs), tokens), bits, density)
    return TokenMix(weight, ShapeOnly((heads, outputs)) if bias else None)


@lru_cache(SHARED, typed=True)
def pool_of(kind: str, sides: Shape, stride: Shape, padding: int) -> Pool:
    """A pool of a kind of `POOLS`, with the same padding on all sides."""
    expect_known(kind, POOLS, "pool, kind")
    for side in (*sides, *stride):
        whole("pool", side)
    return POOLS[kind](sides, stride, ((whole("padding", padding, least=0),) * 2,) * len(sides))


@lru_cache(SHARED, typed=True)
def upsample_of(factor: int, axes: int) -> Upsample:
    """The same factor along all axes."""
    return Upsample((whole("factor", factor),) * axes)


@lru_cache(SHARED)
def norm_of(channels: int, axes: int) -> Scale:
    """A batch norm at inference, behind a layer whose output has so many axes: a factor and a bias for each channel."""
    shape = (channels, *(1,) * (axes - 1))
    return Scale(ShapeOnly(shape), ShapeOnly(shape))


def neuron_of(rule: str, firing: Firing, options: Mapping[str, str], params: dict[str, Any]) -> Neuron:
    """A population with a rule of the library. It is shared unless a parameter is an array."""
    key = (rule, firing, *options.items()), *params.items()
    try:
        return _NEURONS[key]
    except KeyError:
        pass
    except TypeError:  # an array cannot be looked up
        return _neuron(rule, firing, options, params)
    neuron = _neuron(rule, firing, options, params)
    if len(_NEURONS) < SHARED:
        _NEURONS[key] = neuron
    return neuron


_NEURONS: dict[Any, Neuron] = {}


def _neuron(rule: str, firing: Firing, options: Mapping[str, str], params: dict[str, Any]) -> Neuron:
    expect_known(rule, RULES, "neuron, rule")
    for name in params:
        expect_known(name, [*RULES[rule].params, BIAS], f"neuron {rule}, parameter")
    return Neuron.of(rule, firing, dict(options), **params)


def whole(what: str, value: Any, least: int = 1) -> int:
    """The value as an int. Raises SNN404 for anything but a whole number of at least `least`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or not least <= value < MAX_SIZE:
        fail("SNN404", f"net, {what}", shorten(value), f"a whole number, {least} or more")
    return int(value)


def _bare(shape: Shape, bits: int | None, density: float | None) -> ShapeOnly:
    if math.prod(shape) > MAX_SIZE:
        fail("SNN205", "net, weight", f"{list(shape)}", f"at most {MAX_SIZE:,} numbers")
    return ShapeOnly(shape, bits=bits, density=density)
