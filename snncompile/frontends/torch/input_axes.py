"""Which axes of the inputs are time and batch: the possibilities, which an `Interpreter` tries one after the other."""

from __future__ import annotations

from typing import TypeAlias

from snncompile.diagnostics import Diagnostic
from snncompile.frontends.torch.tape import Tape
from snncompile.frontends.torch.values import Axis

InputAxes: TypeAlias = tuple[Axis, ...]
"""The axes of time and batch at the beginning of every input, such as `("T", "B")`, or `TIME_LAST`."""
TIME_LAST: InputAxes = ("B", "F", "T")
"""The axes of inputs `[batch, ..., tick]`."""


def candidate_axes(tape: Tape, looped: bool) -> tuple[InputAxes, ...]:
    """What the axes of the inputs may be, the most usual first.

    Args:
        looped: whether the forward pass loops over time.
    """
    if all(call.neuron is None for call in tape.calls):  # nothing in the pass depends on time
        return (("B",),)
    if looped:
        return (("T", "B"), ("B", "T"), ("B",), TIME_LAST)
    return (("B",), ("T", "B"), ("B", "T"), ("BT",), TIME_LAST)


def leading_count(input_axes: InputAxes) -> int:
    """How many axes of an input are not features."""
    return len(input_axes) - input_axes.count("F")


def axes_of(input_axes: InputAxes, dimensions: int) -> tuple[Axis, ...]:
    """A letter for each axis of an input of this number of dimensions."""
    features = ("F",) * (dimensions - leading_count(input_axes))
    return ("B", *features, "T") if input_axes == TIME_LAST else (*input_axes, *features)


def notes_on_order(input_axes: InputAxes) -> tuple[Diagnostic, ...]:
    """A note where samples for compile and run have another order of axes than the module's own input."""
    orders = {("T", "B"): ("[tick, sample, ...]", 'give compile and run layout="time-first" (--layout time-first) with '
                           "samples in the order of the module"),
              TIME_LAST: ("[sample, ..., tick]", "move the last axis of samples behind the first: "
                          "numpy.moveaxis(x, -1, 1)")}
    if input_axes not in orders:
        return ()
    order, help = orders[input_axes]
    return (Diagnostic("SNN105", "the network", f"it takes {order}", "compile and run take samples [sample, tick, ...]",
                       help, "note"),)
