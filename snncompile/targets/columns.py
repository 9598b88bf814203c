"""The columns of the layer table: what is known of each population and of each projection, as whole numbers.

Words, such as the name of a neuron rule, are stored as their index in a tuple of words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

import numpy as np

from snncompile.ir.library import RULES
from snncompile.ir.loihi import LOIHI
from snncompile.ir.operators import OPERATORS
from snncompile.ir.rules import Compare, Reset, When
from snncompile.ir.types import Array

RULE_WORDS = (*RULES, LOIHI, "another")
RESET_WORDS, WHEN_WORDS, COMPARE_WORDS = get_args(Reset), get_args(When), get_args(Compare)
DENSE, SPARSE, KERNEL = range(3)
"""How the synapses of a projection are stored: as a dense matrix, as a list of pairs, or as a kernel."""
ABSENT = -1
"""The value of a column for rows that have none: the word is unknown, or the projection has no convolution."""


def operator_bits() -> dict[str, int]:
    """The bit that stands for each operator in `Projections.operators`, by the word of the operator."""
    return {word: 1 << i for i, word in enumerate(OPERATORS)}


@dataclass(frozen=True)
class Columns:
    """Vectors of the same length; `network` is the number of the network that each row belongs to."""

    network: Array

    def __len__(self) -> int:
        return len(self.network)

    @classmethod
    def row(cls, values: Mapping[str, Any]) -> tuple[int, ...]:
        """A row in the order of the columns; what is left out is 0."""
        kind: Any = cls
        return tuple(int(values.get(name, 0)) for name in _names(kind))

    @classmethod
    def of(cls, rows: Sequence[tuple[int, ...]], **own: Array) -> Any:
        """The columns of rows, with others in place of those that are given by name."""
        kind: Any = cls
        names = _names(kind)
        columns = np.array(rows, np.int64).reshape(len(rows), len(names)).T
        return cls(**{**dict(zip(names, columns, strict=True)), **own})


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(kind))


@dataclass(frozen=True)
class Populations(Columns):
    """A row for each population and each input.

    Attributes:
        is_input, is_output, bias, graded: 1 or 0.
        channels, rows, columns: its shape, see `reach.volume`.
        rule, reset, reset_time, compare: indices into `RULE_WORDS`, `RESET_WORDS`, `WHEN_WORDS` and `COMPARE_WORDS`;
            ABSENT where nothing is known.
        spikes_per_tick: the most spikes of a neuron in a tick; 0 where there is no bound, 1 for graded values.
        thresholds: how many different thresholds its neurons have.
        states: state variables of a neuron.
        state_bits: bits of the widest state; 0 where nothing is known.
        fan_in: synapses into one neuron, at most.
        least_axons: inputs that the neuron which reads most of them reads at least; projections from the same source
            read the same inputs.
        synapses: synapses into all of its neurons.
        readers, sources: projections from it to populations, and projections into it.
    """

    is_input: Array
    is_output: Array
    channels: Array
    rows: Array
    columns: Array
    neurons: Array
    rule: Array
    reset: Array
    reset_time: Array
    compare: Array
    spikes_per_tick: Array
    thresholds: Array
    states: Array
    state_bits: Array
    bias: Array
    graded: Array
    fan_in: Array
    least_axons: Array
    synapses: Array
    readers: Array
    sources: Array


@dataclass(frozen=True)
class Projections(Columns):
    """A row for each projection between populations or from an input to a population.

    Attributes:
        source, target: rows of the populations.
        delay: ticks.
        listing: DENSE, SPARSE or KERNEL.
        operators: which operators occur in its chain, in the bits that `operator_bits` gives them.
        synapses, fan_in: synapses in all, and into one neuron at most.
        least_synapses: synapses at least: less than `synapses` where those are not known exactly, or where the weights
            of a dense layer are mostly zeros.
        kernel_synapses: synapses at least of its kernels, stored once for all neurons; 0 where they cannot be.
        kernel_lists: lists at least that a core with a channel of such a kernel has: one for each input of a neuron.
        differs: whether it is certain that not all neurons of the target read the same.
        least_axons: inputs that the neuron which reads most of them reads at least.
        source_readers: synapses of one neuron of the source, at most.
        channel_readers: channels of the target that one channel of the source reaches, at most.
        weights, nonzero: how many weights its layers have, kernels counted once, and how many of them are not zero.
        weight_bits: the width that holds each weight as a signed integer.
        mixed: 1 if it has weights of both signs, or may have.
        even_bits: the last bits that are 0 in all weights, at most 16; 0 where that is not known.
        weights_per_neuron: different weights among the synapses of a neuron, at most.
        loops: 1 if it lies on a cycle.
        shortcut: 1 if a longer path through other populations leads from its source to its target.
        kernel_side, kernel_taps, stride, padding, kernel_groups, kernel_dilation, input_side, output_side: those of its
            last convolution, the largest along all axes; ABSENT where it has none.
        pool_side: the product of the sides of its pools; ABSENT if one of them is not square, is padded, or has a
            stride that differs from its side.
    """

    source: Array
    target: Array
    delay: Array
    listing: Array
    operators: Array
    synapses: Array
    least_synapses: Array
    kernel_synapses: Array
    kernel_lists: Array
    least_axons: Array
    differs: Array
    source_readers: Array
    channel_readers: Array
    fan_in: Array
    weights: Array
    nonzero: Array
    weight_bits: Array
    mixed: Array
    even_bits: Array
    weights_per_neuron: Array
    loops: Array
    shortcut: Array
    kernel_side: Array
    kernel_taps: Array
    stride: Array
    padding: Array
    kernel_groups: Array
    kernel_dilation: Array
    input_side: Array
    output_side: Array
    pool_side: Array
