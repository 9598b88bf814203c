"""All hardware rules, and the table of them by name. See `hardware_rule` for what a rule is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.ir.spike_product import SpikeProduct
from snncompile.targets.advice import more_chips, trained_reset, unless_given
from snncompile.targets.columns import ABSENT, COMPARE_WORDS, RESET_WORDS, RULE_WORDS, WHEN_WORDS, operator_bits
from snncompile.targets.device_rules import device_memory, flash, ram
from snncompile.targets.hardware_rule import (
    HardwareRule,
    Measured,
    Sums,
    at_most,
    forbidden,
    in_words,
    not_among,
    one_of,
    outside,
    rule,
    sum_at_most,
)
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.memory import core_needs, least_cores, memory_model
from snncompile.targets.target import Target

UNBOUNDED = 1 << 40
MAX_CORES = 1 << 10
"""The most cores of a target, each of which holds one layer."""
MAX_KINDS = 12
"""The most kinds of cores of a target, each of which holds one layer: `layer_cores` looks at all sets of them."""


# What neurons do.

@rule("SNN411", "population", "neurons.rules", words=one_of("rule", RULE_WORDS, lambda t: t.neurons.rules),
      help="use a neuron that the hardware has, or a target whose neurons are programmed")
def neuron_rule(table: LayerTable, target: Target) -> Measured:
    return outside(table.populations.rule, RULE_WORDS, target.neurons.rules)


@rule("SNN411", "population", "neurons.resets",
      words=one_of("reset", RESET_WORDS, lambda t: t.neurons.resets, "reset: {}"), help=trained_reset)
def reset(table: LayerTable, target: Target) -> Measured:
    return outside(table.populations.reset, RESET_WORDS, target.neurons.resets)


@rule("SNN411", "population", "neurons.reset_times",
      words=one_of("reset_time", WHEN_WORDS, lambda t: t.neurons.reset_times, "reset at: {}"),
      help="train with the reset in the tick of the spike (snnTorch: reset_delay=False), or take a target whose "
           "neurons are programmed, such as loihi2")
def reset_time(table: LayerTable, target: Target) -> Measured:
    cells = table.populations
    acts = np.where(cells.reset == RESET_WORDS.index("none"), ABSENT, cells.reset_time)
    return outside(acts, WHEN_WORDS, target.neurons.reset_times)


@rule("SNN411", "population", "neurons.compare",
      words=one_of("compare", COMPARE_WORDS, lambda t: t.neurons.compare, "v {} threshold"),
      help="train with the comparison that the hardware makes")
def compare(table: LayerTable, target: Target) -> Measured:
    return outside(table.populations.compare, COMPARE_WORDS, target.neurons.compare)


def _spikes(table: LayerTable, target: Target, row: int) -> tuple[str, str]:
    most = table.populations.spikes_per_tick[row]
    return f"{most:,} spikes of a neuron in a tick" if most else "any number of spikes in a tick", (
        f"{target.neurons.spikes_per_tick}")


@rule("SNN411", "population", "neurons.spikes_per_tick", words=_spikes,
      help="let neurons fire once a tick (max_spikes 1)")
def spikes_per_tick(table: LayerTable, target: Target) -> Measured:
    most = table.populations.spikes_per_tick
    return at_most(np.where(most > 0, most, UNBOUNDED), target.neurons.spikes_per_tick)


@rule("SNN411", "population", "neurons.thresholds_per_population", "different thresholds in a population",
      "train with one threshold a layer, or scale each channel's weights so that one serves")
def thresholds(table: LayerTable, target: Target) -> Measured:
    return at_most(table.populations.thresholds, target.neurons.thresholds_per_population)


@rule("SNN411", "population", "neurons.bias", words=in_words("neurons with a constant input", "no bias"),
      help="train without biases, or feed them from an input that is always on")
def bias(table: LayerTable, target: Target) -> Measured:
    return forbidden(table.populations.bias, target.neurons.bias)


@rule("SNN417", "population", "neurons.state_bits", "bits of a state",
      unless_given("compile with fewer --membrane-bits", "write the network with faster decays, fewer inputs a neuron "
                   "or smaller weights, so that membranes and currents stay smaller"))
def state_width(table: LayerTable, target: Target) -> Measured:
    return at_most(table.populations.state_bits, target.neurons.state_bits)


# What a network may look like.

PRODUCT = SpikeProduct.kind()
"""The word for products of spikes. A target that names no operators has all others."""


def _lacking(target: Target) -> dict[str, int]:
    """The operators that a target does not have, each with its bit."""
    allowed = target.network.operators
    return {word: bit for word, bit in operator_bits().items()
            if (word == PRODUCT if allowed is None else word not in allowed)}


def _operators(table: LayerTable, target: Target, row: int) -> tuple[str, str]:
    used = int(table.projections.operators[row])
    wrong = [word for word, bit in _lacking(target).items() if used & bit]
    allowed = target.network.operators
    told = [f"{word}, a product of spikes with spikes" if word == PRODUCT else word for word in wrong]
    return ", ".join(told), "synapses, whose weights do not change" if allowed is None else ", ".join(allowed)


@rule("SNN410", "projection", "network.operators", words=_operators,
      help="replace the operator by one that the hardware has")
def operators(table: LayerTable, target: Target) -> Measured:
    return forbidden(table.projections.operators & sum(_lacking(target).values()) != 0, False)


@rule("SNN418", "projection", "network.graded", words=in_words("a projection of graded values", "spikes only"),
      help="let the population that sends them fire, or use a target that carries graded values")
def graded(table: LayerTable, target: Target) -> Measured:
    cells = table.populations
    return forbidden((cells.graded & ~cells.is_input)[table.projections.source], target.network.graded)


@rule("SNN418", "population", "network.real_inputs", words=in_words("an input of real numbers", "spikes only"),
      help="encode the input into spikes, or let the first population stand before the chip")
def real_input(table: LayerTable, target: Target) -> Measured:
    return forbidden(table.populations.is_input & table.populations.graded, target.network.real_inputs)


@rule("SNN414", "projection", "network.recurrence", words=in_words("a projection that closes a loop", "no recurrence"),
      help="remove it, or choose a target that routes spikes backward")
def recurrence(table: LayerTable, target: Target) -> Measured:
    return forbidden(table.projections.loops, target.network.recurrence)


@rule("SNN414", "projection", "network.shortcuts",
      words=in_words("a projection that passes by a population", "projections to the next population"),
      help="remove it, or choose a target that routes spikes past populations")
def shortcut(table: LayerTable, target: Target) -> Measured:
    return forbidden(table.projections.shortcut, target.network.shortcuts)


@rule("SNN414", "population", "network.chain", "projections in or out, the larger number",
      "the toolchain takes plain chains of layers; choose one that takes graphs")
def chain(table: LayerTable, target: Target) -> Measured:
    most = np.maximum(table.populations.readers, table.populations.sources)
    return at_most(most, 1 if target.network.chain else None)


@rule("SNN414", "population", "network.readers_per_population", "populations that it projects to",
      "let fewer populations read it")
def readers(table: LayerTable, target: Target) -> Measured:
    return at_most(table.populations.readers, target.network.readers_per_population)


@rule("SNN303", "projection", "timing.max_delay_ticks", "ticks of delay",
      "shorten the delay, or choose a target that can delay spikes for longer")
def delay(table: LayerTable, target: Target) -> Measured:
    return None if target.timing.relays else at_most(table.projections.delay, target.timing.max_delay_ticks)


# Geometry of convolutions.

@rule("SNN415", "projection", "network.kernel_side", "elements on a side of the kernel", "use a smaller kernel")
def kernel_side(table: LayerTable, target: Target) -> Measured:
    return at_most(table.projections.kernel_side, target.network.kernel_side)


@rule("SNN415", "projection", "network.padding", "zeros on a side", "pad less")
def padding(table: LayerTable, target: Target) -> Measured:
    return at_most(table.projections.padding, target.network.padding)


@rule("SNN415", "projection", "network.strides", help="use a stride that the hardware has",
      words=lambda table, target, row: (f"stride {table.projections.stride[row]}",
                                        ", ".join(map(str, target.network.strides or ()))))
def stride(table: LayerTable, target: Target) -> Measured:
    values = table.projections.stride
    return not_among(values, target.network.strides, values != ABSENT)


@rule("SNN415", "projection", "network.pool_sides", help="use a pool that the hardware has, its stride its side",
      words=lambda table, target, row: (
          f"pools of side {table.projections.pool_side[row]}" if table.projections.pool_side[row] != ABSENT
          else "a pool not square, overlapping or padded", ", ".join(map(str, target.network.pool_sides or ()))))
def pool_side(table: LayerTable, target: Target) -> Measured:
    values = table.projections.pool_side
    return not_among(values, target.network.pool_sides, values != 1)


@rule("SNN415", "projection", "network.input_side", "rows or columns that enter", "use smaller frames")
def input_side(table: LayerTable, target: Target) -> Measured:
    return at_most(table.projections.input_side, target.network.input_side)


@rule("SNN415", "projection", "network.output_side", "rows or columns that leave", "use a larger stride, or pool")
def output_side(table: LayerTable, target: Target) -> Measured:
    return at_most(table.projections.output_side, target.network.output_side)


@rule("SNN415", "population", "network.channels", "channels", "use fewer channels")
def channels(table: LayerTable, target: Target) -> Measured:
    return at_most(table.populations.channels, target.network.channels)


@rule("SNN415", "projection", "network.grouped_kernels", words=in_words("a convolution in groups", "one group"),
      help="use a convolution over all channels")
def groups(table: LayerTable, target: Target) -> Measured:
    return forbidden(table.projections.kernel_groups > 1, target.network.grouped_kernels)


@rule("SNN415", "projection", "network.dilated_kernels", words=in_words("a dilated kernel", "dilation 1"),
      help="use a kernel without gaps")
def dilation(table: LayerTable, target: Target) -> Measured:
    return forbidden(table.projections.kernel_dilation > 1, target.network.dilated_kernels)


# What synapses hold.

@rule("SNN412", "projection", "weights.weight_bits", "bits of a weight, as it is stored",
      unless_given("compile with fewer --weight-bits, or train with fewer", "write the network with smaller weights; "
                   "beside weights of both signs, even ones take a bit less"))
def weight_bits(table: LayerTable, target: Target) -> Measured:
    """On some hardware, the weights of a projection with both signs come in steps of more than 1. This takes further
    bits, unless all weights are multiples of the step already."""
    links, step = table.projections, target.weights.mixed_step
    further = links.mixed * np.maximum((step - 1).bit_length() - links.even_bits, 0)
    return at_most(links.weight_bits + further, target.weights.weight_bits)


@rule("SNN412", "projection", "weights.weights_per_neuron", "different weights among a neuron's synapses",
      "train with fewer different weights, such as ternary ones")
def weights_per_neuron(table: LayerTable, target: Target) -> Measured:
    return at_most(table.projections.weights_per_neuron, target.weights.weights_per_neuron)


# How much there is.

@rule("SNN413", "population", "limits.fan_in", "synapses into a neuron",
      "connect fewer: smaller kernels, groups, or a population in between")
def fan_in(table: LayerTable, target: Target) -> Measured:
    return at_most(table.populations.fan_in, target.limits.fan_in)


@rule("SNN413", "population", "limits.in_axons_per_core", "axons into the core of one neuron",
      "connect fewer: smaller kernels, groups, or a population in between")
def in_axons(table: LayerTable, target: Target) -> Measured:
    return at_most(table.populations.least_axons, target.limits.in_axons_per_core)


@rule("SNN416", "projection", "limits.synapse_bits_per_core", "bits for the synapses of one neuron",
      unless_given("connect fewer, or use fewer --weight-bits", "connect fewer, or use smaller weights"))
def synapse_memory(table: LayerTable, target: Target) -> Measured:
    limit = target.limits.synapse_bits_per_core
    return None if limit is None else at_most(memory_model(target).neuron_bits(table), limit)


@rule("SNN416", "network", "limits.inputs", "elements of the input", "pool or crop the input")
def inputs(table: LayerTable, target: Target) -> Measured:
    return sum_at_most(table.populations.neurons * table.populations.is_input, target.limits.inputs)


@rule("SNN416", "network", "limits.neurons", "neurons", "use fewer channels or smaller frames")
def neurons(table: LayerTable, target: Target) -> Measured:
    own = 1 - table.populations.is_input
    return sum_at_most(table.populations.neurons * own, target.limits.on_all_chips("neurons"))


@rule("SNN416", "network", "limits.hidden_neurons", "neurons besides those of the outputs", "use fewer neurons")
def hidden_neurons(table: LayerTable, target: Target) -> Measured:
    cells = table.populations
    hidden = (cells.is_input == 0) & (cells.is_output == 0)
    return sum_at_most(cells.neurons * hidden, target.limits.hidden_neurons)


@rule("SNN416", "network", "limits.outputs", "neurons of the outputs", "use fewer classes")
def outputs(table: LayerTable, target: Target) -> Measured:
    cells = table.populations
    return sum_at_most(cells.neurons * (cells.is_output & ~cells.is_input), target.limits.outputs)


@rule("SNN416", "network", "limits.synapses", "synapses", "use fewer or smaller layers")
def synapses(table: LayerTable, target: Target) -> Measured:
    return sum_at_most(table.populations.synapses, target.limits.on_all_chips("synapses"))


def cores_in_words(target: Target) -> str:
    """The cores that a target has, such as `512 cores of 4 chips`."""
    chips, cores = target.limits.chips or 1, target.limits.on_all_chips("cores")
    return f"{cores:,} core{'s' * (cores != 1)}" + (f" of {chips:,} chips" if chips > 1 else "")


def _cores(table: LayerTable, target: Target, row: int) -> tuple[str, str]:
    least = {n: int(v[row]) for n, v in least_cores(table, target).items()}
    binding = max(least, key=least.__getitem__)
    return f"at least {least[binding]:,} cores, for {binding}", cores_in_words(target)


@rule("SNN416", "network", "limits.cores", words=_cores,
      help=lambda table, target: more_chips(target, table.integers))
def cores(table: LayerTable, target: Target) -> Measured:
    needs, most = core_needs(table, target), target.limits.on_all_chips("cores")
    if most is None or not needs:
        return None
    numbers, per = zip(*needs.values(), strict=True)
    return Sums(np.stack(numbers), most, np.array(per), np.zeros(len(per), np.int64))


@rule("SNN416", "population", "memory.kernel_words", help="use fewer channels, smaller kernels or smaller frames",
      words=in_words("a layer larger than every core", "a core that holds its kernel, neurons and biases"))
def layer_memory(table: LayerTable, target: Target) -> Measured:
    if not target.network.layer_per_core:
        return None
    _expect_few_cores(target)
    lost = ~memory_model(target).fitting_cores(table).any(1) & (table.populations.is_input == 0)
    return forbidden(lost, False)


@rule("SNN416", "network", "memory.neuron_words", help="some layers compete for the same cores; make one smaller",
      words=in_words("more populations than fit, each on a core of its own", "one core a population"))
def layer_cores(table: LayerTable, target: Target) -> Measured:
    """How many populations are left without a core by the best assignment of populations to cores.

    By Hall's theorem that is the largest excess, over all sets of cores, of the populations that fit on no other cores
    over the number of cores in the set. It is enough to look at unions of the sets that populations fit on. All chips
    have the same cores, so that a set stands for the cores of the same kinds on each of them.
    """
    chips = target.limits.chips
    if not target.network.layer_per_core or chips is None:
        return None
    fits = memory_model(target).fitting_cores(table)
    bits = np.array([1 << core for core in range(fits.shape[1])], np.int64 if fits.shape[1] < 63 else object)
    sets, which = np.unique((fits * bits).sum(1), return_inverse=True)
    unions = _unions(sets.tolist())
    bound = np.array([(sets | union == union) & (sets > 0) for union in unions])  # no core: rule `layer-memory`
    return Sums(bound[:, which].astype(np.int64), 0, np.ones(len(unions), np.int64),
                np.array([chips * union.bit_count() for union in unions]))


def _expect_few_cores(target: Target) -> None:
    """Raises SNN102 for a target with more than MAX_CORES cores, or MAX_KINDS kinds of cores, whose sets would be too
    many."""
    memory, cores = target.memory, target.limits.cores or 1
    if cores > MAX_CORES:
        fail("SNN102", f"target {shorten(target.name)}, limits.cores", f"{cores:,} cores",
             f"at most {MAX_CORES:,}, since each holds one layer")
    words = [np.asarray(w) for w in (memory.kernel_words, memory.neuron_words, memory.bias_words) if w is not None]
    most = max(map(len, words), default=1)
    kinds = len(set(zip(*(np.resize(w, most).tolist() for w in words), strict=True)))
    if kinds > MAX_KINDS:
        fail("SNN102", f"target {shorten(target.name)}, memory", f"{kinds} kinds of cores", f"at most {MAX_KINDS}")


def _unions(sets: Iterable[int]) -> list[int]:
    """All unions of the given sets of cores. A set has a bit for each core.

    >>> _unions([0b001, 0b110, 0b011])
    [0, 1, 6, 7, 3]
    """
    unions = {0: None}
    for cores in sets:
        unions |= dict.fromkeys([union | cores for union in unions])
    return list(unions)


HARDWARE_RULES: dict[str, HardwareRule] = {
    r.name: r
    for r in (neuron_rule, reset, reset_time, compare, spikes_per_tick, thresholds, bias, state_width,
              operators, graded, real_input, recurrence, shortcut, chain, readers, delay, kernel_side,
              padding, stride, pool_side, input_side, output_side, channels, groups, dilation, weight_bits,
              weights_per_neuron, fan_in, in_axons, synapse_memory, inputs, neurons, hidden_neurons,
              outputs, synapses, device_memory, flash, ram, cores, layer_memory, layer_cores)
}
