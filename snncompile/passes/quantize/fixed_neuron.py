"""Fixed neurons: the neurons that a chip has in hardware, and that are given numbers rather than a program.

A target names its fixed neuron by a word, `arithmetic.neuron`. `FIXED_NEURONS` says what stands behind each word, so
that no pass compares that word with anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

from snncompile.diagnostics import Diagnostic, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.types import Array
from snncompile.passes.quantize.loihi_neuron import LoihiNeuron
from snncompile.targets.target import Target


class FittedNeuron(Protocol):
    """A neuron of a LEGAL graph that has the form of a fixed neuron. Its numbers are still real."""

    @property
    def gain(self) -> float:
        """The factor of its input. Quantization multiplies the weights of its projections by it."""
        ...

    def population(self, steps: Sequence[Array], narrow: bool = False) -> tuple[Population, Array] | None:
        """The integers that its registers hold.

        Args:
            steps: for each projection, the real value of one step of its weights, with the gain included: one number,
                or `[out]`.
            narrow: whether weights have so few bits that the unit has to be finer than their step.

        Returns:
            The integer population, and the unit of the sum of its synapses: the real value of a weight of 1. None
            where a number does not fit into its register.
        """
        ...


class FixedNeuron(Protocol):
    """What quantization asks of a neuron that hardware has.

    Attributes:
        rule: the name of the rule of its integer populations.
        title: the hardware's name, for messages.
        form: what a neuron has to do to fit, for messages.
        keeps_given_weights: whether weights that arrived as integers may keep their codes. Where they may not, they
            are quantized anew.
    """

    rule: ClassVar[str]
    title: ClassVar[str]
    form: ClassVar[str]
    keeps_given_weights: ClassVar[bool]

    @property
    def weight_multiple(self) -> int:
        """The number that all integer weights into such a population are multiples of."""
        ...

    def fit(self, neuron: Neuron, place: str) -> FittedNeuron | None:
        """The neuron in the form of the fixed one, or None where it does something else. Errors name `place`."""
        ...


FIXED_NEURONS: Mapping[str, Callable[[Target], FixedNeuron] | None] = {
    "any": None,
    "loihi": LoihiNeuron.of,
}
"""For each word that `arithmetic.neuron` may be, what makes the fixed neuron from a target's figures. None: every
neuron is lowered to a program."""


def fixed_neuron(word: str, target: Target) -> FixedNeuron | None:
    """The fixed neuron that a word of `FIXED_NEURONS` stands for, with the registers that a target describes."""
    make = FIXED_NEURONS[word]
    return make(target) if make else None


def emulated(graph: Graph, target: Target) -> list[Diagnostic]:
    """A warning (SNN411) for each spiking population of an INT graph that a target's fixed neuron cannot hold."""
    fixed = fixed_neuron(target.arithmetic.neuron, target)
    if target.neurons.programmable or fixed is None:
        return []
    foreign = [n for n, op in graph.populations.items() if isinstance(op, Population) and not op.graded
               and op.rule != fixed.rule]
    return [Diagnostic("SNN411", f"population {shorten(n)}", "integers that the neuron's registers cannot hold: it is "
                       "emulated by a program", f"{fixed.title}'s own neuron on {target.name}", fixed.form,
                       "warning") for n in foreign]
