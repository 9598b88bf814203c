"""What a neuron module of a framework computes, in the graph's words; and the user's own neuron modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from snncompile.ir.library import RULES
from snncompile.ir.op import Op
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Shape

Layout: TypeAlias = Literal["tick", "ticks-first", "batch-first", "merged"]
Returned: TypeAlias = Literal["output", "state"]


@dataclass(frozen=True, eq=False)
class Cell:
    """A neuron module: what it does to the tensor that its `forward` is given.

    Attributes:
        neuron: the rule with its parameters, for one tick.
        before: operators between the module's input and the neuron.
        after: operators between the neuron and the module's output.
        recurrent: operators from the module's output of one tick earlier back into its input, in front of the neuron
            and behind `before`; None without recurrence.
        recurrent_silence: whether the recurrence gives nothing in the first tick, biases included; else it gives what
            its operators make of an output of zeros.
        layout: how the tensor holds time: one tick `[batch, *shape]`, `[tick, batch, *shape]`,
            `[batch, tick, *shape]`, or the two merged into one axis, ticks of a sample together.
        returns: what `forward` returns, in order: what the neuron emits, or a state that is handed back to it.
            One entry: the tensor itself, no tuple. Of several states the last is the membrane.
    """

    neuron: Neuron
    before: tuple[Op, ...] = ()
    after: tuple[Op, ...] = ()
    recurrent: tuple[Op, ...] | None = None
    recurrent_silence: bool = False
    layout: Layout = "tick"
    returns: tuple[Returned, ...] = ("output",)

    @property
    def readout(self) -> Neuron | None:
        """The neuron that emits the membrane of this one, which no spike resets; None where there is no such rule."""
        rule = READOUTS.get(self.neuron.rule.name)
        if rule is None or self.neuron.firing.reset != "none" or self.recurrent is not None \
                or "v_min" in self.neuron.params:
            return None
        params = {n: v for n, v in self.neuron.params.items() if n in (*RULES[rule].params, "bias")}
        return Neuron.of(rule, options=self.neuron.options, initial=self.neuron.initial, **params)


READOUTS = {"lif": "li", "if": "integrator", "cubalif": "cubali"}

Recogniser: TypeAlias = Callable[[Any, Shape, str], Cell]
"""From a module, the shape of one tick of its input (no batch, no time) and its path, for diagnostics, to its cell."""

Meaning: TypeAlias = Callable[[Any, Shape], Neuron | Cell]
"""What a user writes: from a module and the shape of one tick of its input to what it computes."""

OWN: dict[str, Recogniser] = {}


def neuron_module(cls: type | str) -> Callable[[Meaning], Meaning]:
    """Say what a neuron class of your own computes.

        @sc.neuron_module(MyLIF)
        def my_lif(module, shape):
            return Neuron.of("lif", decay=module.beta, threshold=module.threshold)

    Args:
        cls: the class, or its qualified name `package.module.Class`.
    """
    name = cls if isinstance(cls, str) else f"{cls.__module__}.{cls.__qualname__}"

    def register(function: Meaning) -> Meaning:
        def recognise(module: Any, shape: Shape, path: str) -> Cell:
            found = function(module, shape)
            return found if isinstance(found, Cell) else Cell(found)

        OWN[name] = recognise
        return function

    return register
