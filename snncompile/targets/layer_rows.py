"""The rows of the layer table: what its columns hold of one population, and of one projection.

Rows depend on operators and shapes alone. Those of small operators are remembered, since the candidates of a search
have the same ones again and again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from snncompile.ir.layer import Layer
from snncompile.ir.library import RULES
from snncompile.ir.loihi import LOIHI, STATE_BITS
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Input, Pool, Scale
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, Shape, ShapeOnly, Weight
from snncompile.targets.columns import (
    ABSENT,
    COMPARE_WORDS,
    DENSE,
    KERNEL,
    RESET_WORDS,
    RULE_WORDS,
    SPARSE,
    WHEN_WORDS,
    Populations,
    Projections,
    operator_bits,
)
from snncompile.targets.reach import Reach, reach_of, volume

REMEMBERED = 1 << 12
"""Projections that are remembered."""


def population_row(op: Op, shape: Shape) -> tuple[int, ...]:
    """The row of a population, without what depends on its projections. It is remembered."""
    known: dict[Shape, tuple[int, ...]] = op.__dict__.setdefault("_rows", {})
    if shape not in known:
        channels, rows, columns = volume(shape)
        known[shape] = Populations.row({"channels": channels, "rows": rows, "columns": columns,
                                        "neurons": math.prod(shape)} | _cell(op, shape))
    return known[shape]


def _cell(op: Op, shape: Shape) -> dict[str, Any]:
    """The columns that say what the neurons of a population are."""
    unknown = dict.fromkeys(("rule", "reset", "reset_time", "compare"), ABSENT)
    if isinstance(op, Input):
        return unknown | {"is_input": 1, "graded": op.values == "real",
                          "spikes_per_tick": 1 if op.values == "real" else max(1, math.ceil(op.high))}
    if isinstance(op, Population):
        bits = max((_held_bits(op, s.bits) for s in op.states.values()), default=0)
        return unknown | {"rule": _place(op.rule, RULE_WORDS), "graded": op.graded, "state_bits": bits,
                          "states": len(op.states),
                          "spikes_per_tick": 1 if op.graded else max(1, op.output_high),
                          "thresholds": _distinct(op.threshold, shape), "bias": op.bias is not None}
    assert isinstance(op, Neuron)
    row = unknown | _known_width(op) | {
                     "rule": _place(op.rule.name, RULE_WORDS), "graded": not op.rule.spiking, "spikes_per_tick": 1,
                     "bias": op.bias is not None, "states": len(op.traced.states),
                     "thresholds": _distinct(op.threshold, shape)}
    if op.rule.spiking:
        row |= {"reset": RESET_WORDS.index(op.firing.reset), "reset_time": WHEN_WORDS.index(op.firing.when),
                "compare": COMPARE_WORDS.index(op.firing.compare), "spikes_per_tick": op.firing.max_spikes or 0}
    return row


def _held_bits(op: Population, bits: int) -> int:
    """The width of the register that holds a state of `bits` bits.

    The current of Loihi's neuron takes 2**24 values, from -2**23 + 1 to 2**23, and is held in 24 bits; a signed integer
    needs one more for the largest value.
    """
    return min(bits, STATE_BITS) if op.rule == LOIHI else bits


def _known_width(op: Neuron) -> dict[str, int]:
    """The bits of the states where the rule itself limits them: `qlif` counts at most `levels` steps each way."""
    levels: Any = op.params.get("levels") if op.rule is RULES["qlif"] else None
    known = levels is not None and not isinstance(levels, ShapeOnly)
    return {"state_bits": int(np.max(levels)).bit_length() + 1} if known else {}


def _place(word: str, words: Sequence[str]) -> int:
    return words.index(word) if word in words else len(words) - 1


def _distinct(value: Any, shape: Shape) -> int:
    """How many different numbers a parameter holds; of a bare shape, as many as it has elements."""
    if value is None:
        return 0
    return len(np.unique(value)) if isinstance(value, np.ndarray) else getattr(value, "size", 1)


def projection_row(chain: tuple[Op, ...], shape: Shape, weight_bits: int) -> tuple[Reach, tuple[int, ...]]:
    """The reach and the row of a projection. Those of candidates, whose operators hold few numbers, are remembered."""
    return (_remembered if all(op.is_small for op in chain) else _measured)(chain, shape, weight_bits)


def _measured(chain: tuple[Op, ...], shape: Shape, weight_bits: int) -> tuple[Reach, tuple[int, ...]]:
    reach = reach_of(chain, shape)
    return reach, Projections.row(_projection(chain, shape, reach, weight_bits))


_remembered = lru_cache(REMEMBERED)(_measured)


def _projection(ops: tuple[Op, ...], shape: Shape, reach: Reach, weight_bits: int) -> dict[str, Any]:
    entering = [shape]
    for op in ops:
        entering.append(op.shape_behind(entering[-1]))
    layers = [op for op in ops if isinstance(op, Layer)]
    kernels = [i for i, op in enumerate(ops) if isinstance(op, Conv)]
    mixes = any(isinstance(op, TokenMix) for op in ops)
    row = {"synapses": reach.synapses, "fan_in": reach.fan_in,
           "operators": sum(operator_bits().get(word, 0) for word in {op.kind() for op in ops}),
           "listing": KERNEL if kernels else DENSE if layers and not mixes else SPARSE,
           "weights": sum(op.weight.size for op in layers) or 1, "pool_side": _pool_side(ops),
           "nonzero": sum(_nonzero(op.weight) for op in layers) if layers else 1}
    row |= _numbers(ops, layers, reach, weight_bits) | _least(layers, reach)
    return row | (_kernel(ops[kernels[-1]], entering[kernels[-1]], entering[kernels[-1] + 1]) if kernels else
                  dict.fromkeys(("kernel_side", "kernel_taps", "stride", "padding", "kernel_groups",
                                 "kernel_dilation", "input_side", "output_side"), ABSENT))


def _numbers(ops: Sequence[Op], layers: Sequence[Layer], reach: Reach, weight_bits: int) -> dict[str, int]:
    """The columns of widths and signs of the weights. Of weights without numbers, the worst is assumed."""
    held: list[Any] = [op.weight for op in layers] or [_signs(op.factor) for op in ops if isinstance(op, Scale)
                                                       and isinstance(op.factor, (int, float, np.ndarray))]
    told = [v.stored_bits for v in held if isinstance(v, ShapeOnly) and v.stored_bits]
    weight_bits = max(told) if len(told) == len(layers) > 0 else max(weight_bits, *told, 0)
    values = [v for v in held if isinstance(v, np.ndarray)]
    known = len(values) >= max(len(layers), 1) and all(v.size for v in values)
    whole = known and all(v.dtype.kind in "iu" for v in values)
    if known:
        low, high = min(v.min() for v in values), max(v.max() for v in values)
    else:
        several = any(w.nonzero > 1 if isinstance(w, ShapeOnly) else w.size > 1 for w in (op.weight for op in layers))
        low, high = (-1, 1) if several else (0, 1)  # one weight has one sign
    bits = max(int(high).bit_length(), (-int(low) - 1).bit_length() if low < 0 else 0) + 1 if whole else weight_bits
    distinct = max((len(np.unique(v)) for v in values), default=1) if whole else 1 << min(bits, 62)
    return {"weight_bits": bits, "mixed": low < 0 < high if layers or values else 0,
            "even_bits": min((_even_bits(v) for v in values), default=0) if whole else 0,
            "weights_per_neuron": min(reach.fan_in, distinct)}


def _even_bits(values: Array) -> int:
    """How many of the last bits are 0 in all of these integers, at most 16: 3 for 8, -24 and 0."""
    common = int(np.bitwise_or.reduce(values.astype(np.int64), axis=None)) | 1 << 16
    return (common & -common).bit_length() - 1


def _nonzero(weight: Weight) -> int:
    return weight.nonzero if isinstance(weight, ShapeOnly) else int(np.count_nonzero(weight))


def _least(layers: Sequence[Layer], reach: Reach) -> dict[str, int]:
    """The columns from which memory models take lower bounds, see `memory.MemoryModel.synapse_bits`."""
    kernels = [op.kernel for op in layers if isinstance(op, Conv)]
    alike = len(kernels) == len(layers) and not reach.scattered and reach.least_synapses
    sides = (1, *kernels[-1])[-2:] if kernels and alike else (0, 0)
    taps = math.prod(max(k, a.most_certain) if k else 0 for k, a in zip(sides, reach.axes[1:], strict=True))
    return {"least_synapses": reach.least_synapses, "kernel_synapses": taps * reach.axes[0].least_total,
            "kernel_lists": taps * reach.axes[0].fewest_certain, "least_axons": reach.least_axons,
            "differs": reach.differs, "source_readers": math.prod(a.most_readers for a in reach.axes),
            "channel_readers": reach.axes[0].most_readers}


def _signs(factor: Any) -> Array:
    """The weights of synapses without a layer of weights. A whole factor multiplies their sums and leaves 1 and -1."""
    values = np.asarray(factor)
    return np.sign(values) if values.dtype.kind in "iu" else values


def _kernel(op: Op, entering: Shape, leaving: Shape) -> dict[str, int]:
    assert isinstance(op, Conv)
    return {"kernel_side": max(op.kernel), "kernel_taps": math.prod(op.kernel), "stride": max(op.stride),
            "padding": max(n for pair in op.padding for n in pair), "kernel_groups": op.groups,
            "kernel_dilation": max(op.dilation), "input_side": max(entering[1:]), "output_side": max(leaving[1:])}


def _pool_side(ops: Sequence[Op]) -> int:
    """The product of the sides of all pools, 1 without pools; ABSENT where one is not a plain square pool."""
    side = 1
    for op in (op for op in ops if isinstance(op, Pool)):
        if len({*op.kernel, *op.stride}) > 1 or any(n for pair in op.padding for n in pair):
            return ABSENT
        side *= op.kernel[0]
    return side
