"""What a neuron module computes, as operators of a graph (`Cell`), and the registration of the user's own modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from snncompile.diagnostics import shorten
from snncompile.frontends.torch.source import UserCode
from snncompile.ir.library import RULES
from snncompile.ir.op import Op
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Shape

Layout: TypeAlias = Literal["tick", "ticks-first", "batch-first", "merged"]
Returned: TypeAlias = Literal["output", "state"]
OverTime: TypeAlias = Literal["all", "listed", "last", "rate", "max"]


@dataclass(frozen=True, eq=False)
class Cell:
    """What a neuron module computes from the tensor that its `forward` is given.

    Attributes:
        neuron: the neuron rule with its parameters.
        before: operators between the module's input and the neuron.
        after: operators between the neuron and the module's output.
        recurrent: operators from the module's output of one tick earlier to the input of the neuron, where their
            result is added to that of `before`; None without recurrence.
        recurrent_silence: whether the recurrence adds nothing in the first tick. Otherwise it adds what its operators
            compute from an output of zeros, which are their biases.
        layout: the axes of the tensor: `tick` is one tick `[batch, *shape]`, `ticks-first` is
            `[tick, batch, *shape]`, `batch-first` is `[batch, tick, *shape]`, and `merged` is
            `[batch * tick, *shape]`, where the ticks of a sample follow each other.
        merged: for `merged`, how many samples and how many ticks the axis holds; -1 where the module does not say.
        returns: what `forward` returns, in order: `output` for what the neuron emits, `state` for a state that is
            passed to the next call. With a single entry `forward` returns the tensor itself and no tuple. The last of
            several states is the membrane.
        over_time: what `forward` returns of the ticks, where it takes all of them: `all` of them in one tensor,
            `listed` one by one, or one tensor, decoded as an output is: `last`, `rate` for the mean, `max`.
        silent: whether the module never fires, as with an infinite threshold. Its `neuron` emits the membrane, which
            the network reads from an attribute of the module; the spikes that `forward` returns cannot be used.
    """

    neuron: Neuron
    before: tuple[Op, ...] = ()
    after: tuple[Op, ...] = ()
    recurrent: tuple[Op, ...] | None = None
    recurrent_silence: bool = False
    layout: Layout = "tick"
    merged: tuple[int, int] = (-1, -1)
    returns: tuple[Returned, ...] = ("output",)
    over_time: OverTime = "all"
    silent: bool = False

    @property
    def readout(self) -> Neuron | None:
        """A neuron that emits the membrane of this one instead of its spikes.

        None where the membrane depends on the spikes (by a reset or a recurrence), has a lower limit, or no rule emits
        it.
        """
        rule = READOUTS.get(self.neuron.rule.name)
        if rule is None or self.neuron.firing.reset != "none" or self.recurrent is not None \
                or "v_min" in self.neuron.params:
            return None
        params = {n: v for n, v in self.neuron.params.items() if n in (*RULES[rule].params, "bias")}
        return Neuron.of(rule, options=self.neuron.options, initial=self.neuron.initial, **params)


# Neuron rules with a threshold, and the rules that emit the same membrane.
READOUTS = {"lif": "li", "if": "integrator", "cubalif": "cubali"}

CellReader: TypeAlias = Callable[[Any, Shape, str], Cell]
"""A function from a module, the shape of one tick of its input without the batch, and its path to its cell.

The path is for diagnostics. Raises CompileError for a module that no cell represents exactly.
"""

CellFunction: TypeAlias = Callable[[Any, Shape], Neuron | Cell]
"""A function that a user writes: from a module and the shape of one tick of its input to what the module computes."""

USER_CLASSES: dict[str, CellReader] = {}
"""The classes registered by `neuron_module`, by their qualified names."""


def neuron_module(cls: type | str) -> Callable[[CellFunction], CellFunction]:
    """Register a function that describes what the modules of a neuron class compute.

    The function is given a module and the shape of one tick of its input, without the batch, and returns a `Neuron`, or
    a `Cell` for a module with states, recurrence or several ticks. It takes precedence over the built-in description
    of a framework's class.

        @sc.neuron_module(MyLIF)
        def my_lif(module, shape):
            return Neuron.of("lif", decay=module.beta, threshold=module.threshold)

    Args:
        cls: the class, or its qualified name `package.module.Class`.
    """
    name = cls if isinstance(cls, str) else f"{cls.__module__}.{cls.__qualname__}"

    def register(function: CellFunction) -> CellFunction:
        def read(module: Any, shape: Shape, path: str) -> Cell:
            with UserCode(lambda: f"module {shorten(path)}, the function that describes it"):
                cell = function(module, shape)
            return cell if isinstance(cell, Cell) else Cell(cell)

        USER_CLASSES[name] = read
        return function

    return register
