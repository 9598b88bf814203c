"""The sections of a target's description. Every field is a figure; its name ends in its unit. See `figures`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from snncompile.ir.library import RULES
from snncompile.ir.loihi import LOIHI
from snncompile.ir.rules import Compare, Reset, When
from snncompile.targets.figures import LARGEST, choice, flag, part, real, whole, wholes, word, words

MAX_CHIPS = 1 << 20

MAX_WORD = 1 << 16
"""The most bits of a word, of an index or of a header, and the most ticks of a hop: far above any hardware, and so
small that sums of such numbers are exact."""

WIDE_BLOCK = 36
"""The width from which on a memory block is half of a larger one."""
FAMILIES = ("ecp5", "ice40", "xc7", "xcup")
"""Families of FPGAs that the scripts of emitted projects know."""
PROCESSORS = ("cortex-m3", "cortex-m4", "cortex-m7", "rv32imac")
"""Processors of microcontrollers for which compilers and emulated boards are known."""
MAX_KIB = 4096
"""The most flash and RAM of a microcontroller: that of the boards which QEMU emulates."""


@dataclass(frozen=True)
class Neurons:
    """What a neuron can do. Without `rules` it is programmable, and runs any rule."""

    rules: tuple[str, ...] | None = words("neuron rules, by their names in the library", (*RULES, LOIHI))
    resets: tuple[str, ...] | None = words("what a spike does to the membrane", get_args(Reset))
    reset_times: tuple[str, ...] | None = words("when the reset acts", get_args(When))
    compare: tuple[str, ...] | None = words("how the membrane is compared with its threshold", get_args(Compare))
    spikes_per_tick: int | None = whole("spikes that a neuron emits in one tick", 1)
    thresholds_per_population: int | None = whole("different thresholds inside one population", 1)
    state_bits: int | None = whole("width of a membrane, its sign included", 1)
    bias: bool = flag("whether a neuron can have a constant input", True)

    @property
    def programmable(self) -> bool:
        """Whether neurons run programs, and so any rule."""
        return self.rules is None


@dataclass(frozen=True)
class Registers:
    """The widths of the registers of the neuron that hardware has (`arithmetic.neuron`).

    A bias is its mantissa, shifted left by an exponent. The width of a membrane is `neurons.state_bits`.
    """

    threshold_bits: int | None = whole("width of a threshold, which has no sign", 1)
    bias_mantissa_bits: int | None = whole("width of the mantissa of a bias, its sign not counted", 1)
    bias_exponent_bits: int = whole("width of the exponent that the biases of a population share", 0, 0, 5)


@dataclass(frozen=True)
class Network:
    """What a network may look like."""

    operators: tuple[str, ...] | None = words("operators of a projection; left out, all but products of spikes", (
        "linear", "conv", "tokenmix", "sumpool", "scale", "reshape", "pad", "upsample", "maxpool", "rectify",
        "spikeproduct"))
    graded: bool = flag("whether populations may send graded values to each other", True)
    real_inputs: bool = flag("whether inputs may be numbers rather than spikes", True)
    recurrence: bool = flag("whether a population may reach itself", True)
    shortcuts: bool = flag("whether a projection may pass by a population", True)
    chain: bool = flag("whether every population has one projection in and one out, and nothing else", False)
    layer_per_core: bool = flag("whether a core holds exactly one population", False)
    readers_per_population: int | None = whole("populations that one population projects to", 1)
    kernel_side: int | None = whole("side of a convolution's kernel", 1)
    padding: int | None = whole("zeros on a side of a convolution's input")
    strides: tuple[int, ...] | None = wholes("strides of a convolution", 1)
    pool_sides: tuple[int, ...] | None = wholes("sides of a sum pool, its strides being the same", 1)
    input_side: int | None = whole("side of a convolution's input", 1)
    output_side: int | None = whole("side of a convolution's output", 1)
    channels: int | None = whole("channels of a population", 1)
    grouped_kernels: bool = flag("whether a convolution may have groups", True)
    dilated_kernels: bool = flag("whether a kernel may be dilated", True)


@dataclass(frozen=True)
class Weights:
    """What a synapse can hold."""

    weight_bits: int | None = whole("width of a weight, its sign included", 1)
    mixed_step: int = whole("step between the weights of a projection that has both signs", 1, 1, MAX_WORD)
    weights_per_neuron: int | None = whole("different weights among the synapses of a neuron", 1)


@dataclass(frozen=True)
class Limits:
    """How much of everything a chip and its cores have, and how many chips there are."""

    chips: int | None = whole("chips that a network can be spread over", 1, 1, MAX_CHIPS)
    cores: int | None = whole("cores of a chip", 1)
    neurons: int | None = whole("neurons on a chip", 1)
    hidden_neurons: int | None = whole("neurons of the populations that are not outputs", 1)
    inputs: int | None = whole("elements of the network's input", 1)
    outputs: int | None = whole("neurons of the populations that are outputs", 1)
    fan_in: int | None = whole("synapses into a neuron", 1)
    neurons_per_core: int | None = whole("neurons of a core", 1)
    synapse_bits_per_core: int | None = whole("bits of a core for synapses", 1)
    in_axons_per_core: int | None = whole("axons that reach a core", 1)
    out_axons_per_core: int | None = whole("axons that leave a core, one for each other core that it reaches", 1)
    synapses: int | None = whole("synapses on a chip", 1)

    def on_all_chips(self, figure: Literal["cores", "neurons", "synapses"]) -> int | None:
        """How much of a figure of one chip all chips together have; None where there is no limit.

        >>> Limits(chips=4, cores=128).on_all_chips("cores")
        512
        """
        each = getattr(self, figure)
        return None if each is None or self.chips is None else min(each * self.chips, LARGEST)


@dataclass(frozen=True)
class Timing:
    """How long a spike takes: at least `hop_ticks`, and at most `max_delay_ticks` with the delay of its projection."""

    hop_ticks: int = whole("ticks from a spike to its effect in the next population", 0, 0, MAX_WORD)
    max_delay_ticks: int | None = whole("most ticks from a spike to its effect, the hop included")
    relays: bool = flag("whether a population may be put in that only passes spikes on", True)
    dilation: bool = flag("whether a tick of the input may take several ticks of the chip", False)


@dataclass(frozen=True)
class Memory:
    """How a core stores synapses: a memory model and the sizes of its words; see `memory`."""

    model: str = word("memory model", "flat", ("flat", "lists", "crossbar", "dynapcnn"))
    shared_kernels: bool = flag("whether a core stores a convolution's kernel once for all its neurons", False)
    index_bits: int | None = whole("bits that name the neuron of a sparse synapse", high=MAX_WORD)
    list_header_bits: int | None = whole("bits at the head of a list of synapses", high=MAX_WORD)
    word_bits: int | None = whole("bits of a word, to which a list is filled up", 1, high=MAX_WORD)
    kernel_words: tuple[int, ...] | None = wholes("kernel words of each core", 1)
    neuron_words: tuple[int, ...] | None = wholes("neuron words of each core", 1)
    bias_words: tuple[int, ...] | None = wholes("bias words of each core", 1)


@dataclass(frozen=True)
class Mesh:
    """Where cores lie on a chip. A spike takes one hop for each tile that it crosses."""

    columns: int | None = whole("columns of tiles", 1)
    rows: int | None = whole("rows of tiles", 1)
    cores_per_tile: int = whole("cores of a tile", 1, 1)


@dataclass(frozen=True)
class Fabric:
    """What an FPGA is made of. A memory block has one of several shapes: widths and depths stand side by side."""

    family: str | None = choice("family of devices, by which tools are chosen", FAMILIES)
    device: str | None = part("device, as its place and route tool calls it")
    package: str | None = part("package, as the tool calls it")
    luts: int | None = whole("look-up tables", 1)
    lut_inputs: int = whole("inputs of a look-up table", 2, 4, 8)
    lut_memory_bits: int = whole("bits that a look-up table holds as memory; 0 where it cannot be one", 0, 0, MAX_WORD)
    flip_flops: int | None = whole("flip-flops", 1)
    blocks: int | None = whole("memory blocks", 1)
    block_widths: tuple[int, ...] | None = wholes("bits of a word of a memory block, for each of its shapes", 1)
    block_depths: tuple[int, ...] | None = wholes("words of a memory block, for each of its shapes", 1)
    multipliers: int | None = whole("multipliers, or DSP slices")
    clock_mhz: int | None = whole("frequency of the clock that latencies are told for", 1, high=2000)

    @property
    def block_bits(self) -> int:
        """The bits of a memory block; 0 where no shape is given."""
        shapes = zip(self.block_widths or (), self.block_depths or (), strict=False)
        return max((width * depth for width, depth in shapes), default=0)

    @property
    def memory_bits(self) -> int:
        """All memory: the blocks, and look-up tables that can be memory."""
        return (self.blocks or 0) * self.block_bits + (self.luts or 0) * self.lut_memory_bits

    @property
    def bank_shapes(self) -> tuple[tuple[int, int], ...]:
        """The widths and depths of two blocks side by side, and of one, the deepest first; nothing without shapes.

        Wide blocks are rather twice as deep: AMD's are halves of blocks that tools join in this way.
        """
        shapes = list(zip(self.block_widths or (), self.block_depths or (), strict=False))
        if max((width for width, _ in shapes), default=0) >= WIDE_BLOCK:
            return tuple((width, 2 * depth) for width, depth in shapes)
        pairs = {2 * width: depth for width, depth in shapes}
        return tuple(sorted({**pairs, **{w: d for w, d in shapes if w < min(pairs, default=0)}}.items()))


@dataclass(frozen=True)
class Board:
    """A microcontroller: its processor, and the memory that a program finds there."""

    processor: str | None = choice("processor, by which compiler options and an emulated board are chosen", PROCESSORS)
    flash_kib: int | None = whole("KiB of flash, for the program and its constants", 1, high=MAX_KIB)
    ram_kib: int | None = whole("KiB of RAM, for states, sums and the stack", 1, high=MAX_KIB)
    stack_bytes: int = whole("bytes of the RAM that are left to the stack", 256, 1024, MAX_KIB << 10)

    @property
    def flash_bytes(self) -> int:
        """All flash; 0 where it is not known."""
        return (self.flash_kib or 0) << 10

    @property
    def data_bytes(self) -> int:
        """The RAM beside the stack; 0 where it is not known."""
        return max(0, ((self.ram_kib or 0) << 10) - self.stack_bytes)


@dataclass(frozen=True)
class Costs:
    """What an event costs: a profile with a name. A cost that is left out is not counted, and reported as missing."""

    dense_synop_pj: float | None = real("energy of a synaptic operation in a dense list")
    sparse_synop_pj: float | None = real("energy of a synaptic operation in a sparse list")
    conv_synop_pj: float | None = real("energy of a synaptic operation of a shared kernel")
    mac_pj: float | None = real("energy of a synaptic operation with a graded value")
    neuron_pj: float | None = real("energy of a neuron in a tick without a spike")
    spiking_neuron_pj: float | None = real("energy of a neuron in a tick with a spike")
    spike_pj: float | None = real("energy of making a spike, the update apart")
    message_pj: float | None = real("energy of a message leaving its core")
    chip_message_pj: float | None = real("energy of a message leaving its chip, its hops apart")
    hop_x_pj: float | None = real("energy of a hop along a row")
    hop_y_pj: float | None = real("energy of a hop along a column")
    dense_synop_ns: float | None = real("time of a synaptic operation in a dense list")
    sparse_synop_ns: float | None = real("time of a synaptic operation in a sparse list")
    conv_synop_ns: float | None = real("time of a synaptic operation of a shared kernel")
    neuron_ns: float | None = real("time of a neuron in a tick without a spike")
    spiking_neuron_ns: float | None = real("time of a neuron in a tick with a spike")
    spike_ns: float | None = real("time of making a spike, the update apart")
    tick_ns: float | None = real("least time of a tick: the barrier between cores")


SECTIONS: dict[str, type] = {
    "neurons": Neurons, "registers": Registers, "network": Network, "weights": Weights, "limits": Limits,
    "timing": Timing, "memory": Memory, "mesh": Mesh, "fabric": Fabric, "board": Board,
}
