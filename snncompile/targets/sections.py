"""What a target says, section by section: every field a figure with its unit in its name.

A field that is None says nothing: there is no such limit, or any value will do. The metadata of a field is what its
figure means, and what values it takes; reading, listing and checking a description follow from these tables alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from snncompile.ir.rules import Compare, Reset, When

Kind: TypeAlias = Literal["whole", "real", "flag", "words", "word", "wholes"]


def _figure(kind: Kind, what: str, default: Any = None, low: float = 0, words: Sequence[str] = ()) -> Any:
    return field(default=default, metadata={"kind": kind, "what": what, "low": low, "words": tuple(words)})


def _whole(what: str, low: int = 0, default: int | None = None) -> Any:
    return _figure("whole", what, default, low)


def _real(what: str) -> Any:
    return _figure("real", what)


def _flag(what: str, default: bool) -> Any:
    return _figure("flag", what, default)


def _words(what: str, words: Sequence[str] = ()) -> Any:
    return _figure("words", what, None, words=words)


@dataclass(frozen=True)
class Neurons:
    """What a neuron can do. `rules` None: it is programmed, and any rule is possible."""

    rules: tuple[str, ...] | None = _words("neuron rules, by their names in the library")
    resets: tuple[str, ...] | None = _words("what a spike does to the membrane", get_args(Reset))
    reset_times: tuple[str, ...] | None = _words("when the reset acts", get_args(When))
    compare: tuple[str, ...] | None = _words("how the membrane is compared with its threshold", get_args(Compare))
    spikes_per_tick: int | None = _whole("spikes that a neuron emits in one tick", 1)
    thresholds_per_population: int | None = _whole("different thresholds inside one population", 1)
    state_bits: int | None = _whole("width of a membrane, its sign included", 1)
    bias: bool = _flag("whether a neuron can have a constant input", True)


@dataclass(frozen=True)
class Network:
    """What a network may look like."""

    operators: tuple[str, ...] | None = _words("operators of a projection", (
        "linear", "conv", "sumpool", "scale", "reshape", "pad", "upsample", "maxpool", "rectify"))
    graded: bool = _flag("whether populations may send graded values to each other", True)
    real_inputs: bool = _flag("whether inputs may be numbers rather than spikes", True)
    recurrence: bool = _flag("whether a population may reach itself", True)
    shortcuts: bool = _flag("whether a projection may pass by a population", True)
    chain: bool = _flag("whether every population has one projection in and one out, and nothing else", False)
    layer_per_core: bool = _flag("whether a core holds exactly one population", False)
    readers_per_population: int | None = _whole("populations that one population projects to", 1)
    kernel_side: int | None = _whole("side of a convolution's kernel", 1)
    padding: int | None = _whole("zeros on a side of a convolution's input")
    strides: tuple[int, ...] | None = _figure("wholes", "strides of a convolution", low=1)
    pool_sides: tuple[int, ...] | None = _figure("wholes", "sides of a sum pool, its strides being the same", low=1)
    input_side: int | None = _whole("side of a convolution's input", 1)
    output_side: int | None = _whole("side of a convolution's output", 1)
    channels: int | None = _whole("channels of a population", 1)
    grouped_kernels: bool = _flag("whether a convolution may have groups", True)
    dilated_kernels: bool = _flag("whether a kernel may be dilated", True)


@dataclass(frozen=True)
class Weights:
    """What a synapse can hold."""

    weight_bits: int | None = _whole("width of a weight, its sign included", 1)
    mixed_step: int = _whole("step between the weights of a projection that has both signs", 1, 1)
    weights_per_neuron: int | None = _whole("different weights among the synapses of a neuron", 1)


@dataclass(frozen=True)
class Limits:
    """How much of everything there is."""

    cores: int | None = _whole("cores", 1)
    neurons: int | None = _whole("neurons on the chip", 1)
    hidden_neurons: int | None = _whole("neurons of the populations that are not outputs", 1)
    inputs: int | None = _whole("elements of the network's input", 1)
    outputs: int | None = _whole("neurons of the populations that are outputs", 1)
    fan_in: int | None = _whole("synapses into a neuron", 1)
    neurons_per_core: int | None = _whole("neurons of a core", 1)
    synapse_bits_per_core: int | None = _whole("bits of a core for synapses", 1)
    in_axons_per_core: int | None = _whole("axons that reach a core", 1)
    out_axons_per_core: int | None = _whole("axons that leave a core, one for each other core that it reaches", 1)
    synapses: int | None = _whole("synapses on the chip", 1)


@dataclass(frozen=True)
class Timing:
    """How long a spike takes.

    A projection takes at least `hop_ticks`, and at most `max_delay_ticks` with its own delay, the hop included.
    """

    hop_ticks: int = _whole("ticks from a spike to its effect in the next population", 0, 0)
    max_delay_ticks: int | None = _whole("most ticks from a spike to its effect, the hop included")
    relays: bool = _flag("whether a population may be put in that only passes spikes on", True)
    dilation: bool = _flag("whether a tick of the input may take several ticks of the chip", False)


@dataclass(frozen=True)
class Memory:
    """How a core stores synapses: the words of a memory model, see `memory`."""

    model: str = _figure("word", "memory model", "flat", words=("flat", "lists", "crossbar", "dynapcnn"))
    shared_kernels: bool = _flag("whether a core stores a convolution's kernel once for all its neurons", False)
    index_bits: int | None = _whole("bits that name the neuron of a sparse synapse")
    list_header_bits: int | None = _whole("bits at the head of a list of synapses")
    word_bits: int | None = _whole("bits of a word, to which a list is filled up", 1)
    kernel_words: tuple[int, ...] | None = _figure("wholes", "kernel words of each core", low=1)
    neuron_words: tuple[int, ...] | None = _figure("wholes", "neuron words of each core", low=1)
    bias_words: tuple[int, ...] | None = _figure("wholes", "bias words of each core", low=1)


@dataclass(frozen=True)
class Mesh:
    """Where cores lie. A spike takes one hop for each tile that it crosses."""

    columns: int | None = _whole("columns of tiles", 1)
    rows: int | None = _whole("rows of tiles", 1)
    cores_per_tile: int = _whole("cores of a tile", 1, 1)


@dataclass(frozen=True)
class Costs:
    """What an event costs: a named profile. What is not given is not counted, and said to be missing."""

    dense_synop_pj: float | None = _real("energy of a synaptic operation in a dense list")
    sparse_synop_pj: float | None = _real("energy of a synaptic operation in a sparse list")
    conv_synop_pj: float | None = _real("energy of a synaptic operation of a shared kernel")
    mac_pj: float | None = _real("energy of a synaptic operation with a graded value")
    neuron_pj: float | None = _real("energy of a neuron in a tick without a spike")
    spiking_neuron_pj: float | None = _real("energy of a neuron in a tick with a spike")
    spike_pj: float | None = _real("energy of making a spike, the update apart")
    message_pj: float | None = _real("energy of a message leaving its core")
    hop_x_pj: float | None = _real("energy of a hop along a row")
    hop_y_pj: float | None = _real("energy of a hop along a column")
    dense_synop_ns: float | None = _real("time of a synaptic operation in a dense list")
    sparse_synop_ns: float | None = _real("time of a synaptic operation in a sparse list")
    conv_synop_ns: float | None = _real("time of a synaptic operation of a shared kernel")
    neuron_ns: float | None = _real("time of a neuron in a tick without a spike")
    spiking_neuron_ns: float | None = _real("time of a neuron in a tick with a spike")
    spike_ns: float | None = _real("time of making a spike, the update apart")
    tick_ns: float | None = _real("least time of a tick: the barrier between cores")


SECTIONS: dict[str, type] = {
    "neurons": Neurons, "network": Network, "weights": Weights, "limits": Limits, "timing": Timing,
    "memory": Memory, "mesh": Mesh,
}
