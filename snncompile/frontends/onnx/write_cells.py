"""Writes the rule programs of neurons and integer populations as ONNX nodes, one program step at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snncompile.frontends.onnx.writer import Writer
from snncompile.ir.expr import Program, Step
from snncompile.ir.operations import OPERATIONS
from snncompile.ir.types import Array


@dataclass
class ProgramWriter:
    """Writes one program.

    Attributes:
        w: receives the ONNX nodes.
        params: the values of the program's parameters and tables, by name.
        states: the ONNX names of the states' present values, by state.
        x: the ONNX name of the input.
        values: the ONNX name of each step's result so far, as a number.
        truths: the ONNX name of a step's result as a bool tensor, for steps that have one.
        known: for each step so far, its value where it depends on constants and parameters alone, otherwise None.
    """

    w: Writer
    program: Program
    params: Mapping[str, Any]
    states: Mapping[str, str]
    x: str
    values: list[str] = field(default_factory=list)
    truths: dict[int, str] = field(default_factory=dict)
    known: list[Any] = field(default_factory=list)

    def write(self) -> tuple[str, dict[str, str]]:
        """Write all steps; return the ONNX names of the output, and of the next values by state."""
        for i, step in enumerate(self.program.steps):
            self.known.append(self._known(step))
            self.values.append(self._value(i, step))
        return self._full(self.program.output), {n: self._full(i) for n, i in self.program.next_state}

    def _known(self, step: Step) -> Any:
        """The value of a step that depends on constants and parameters alone, in float64; None for all other steps.

        It is used for exp and tanh, because the last bit of their results differs between libraries.
        """
        args = [self.known[a] for a in step.args]
        value: Any = step.value
        if step.op == "const":
            return np.float64(value)
        if step.op == "param" and not self.w.whole:
            return np.asarray(self.params[value], np.float64)
        worked_out = args and step.value is None and all(a is not None for a in args)
        return OPERATIONS[step.op].apply(*args) if worked_out else None

    def _full(self, i: int) -> str:
        """The ONNX name of a step's result, expanded to the layer's shape where it depends on parameters alone."""
        moving: set[int] = set()
        for k, step in enumerate(self.program.steps[: i + 1]):
            if step.op in ("state", "input") or moving.intersection(step.args):
                moving.add(k)
        return self.values[i] if i in moving else self.w.op("Expand", self.values[i], self.w.op("Shape", self.x))

    def _value(self, i: int, step: Step) -> str:
        """Write step `i`, and return the ONNX name of its result."""
        w, args = self.w, [self.values[a] for a in step.args]
        value: Any = step.value
        match step.op:
            case "const":
                return w.constant(value)
            case "param":
                return w.constant(self.params[value])
            case "state":
                return self.states[value]
            case "input":
                return self.x
        known: Array | None = self.known[i]
        if step.op in ("exp", "tanh") and known is not None:
            return w.constant(known)
        return WRITERS[step.op](self, i, step, *args)

    def _chosen(self, i: int, step: Step, condition: str, then: str, otherwise: str) -> str:
        return self.w.op("Where", self._truth(step.args[0]), then, otherwise)

    def _extreme(self, op: str, a: str, b: str) -> str:
        """The larger or smaller of two numbers.

        For integers this avoids Max and Min, because ONNX Runtime 1.31 computes some of them in 32 bits for int64.
        """
        if not self.w.whole:
            return self.w.op("Min" if op == "min" else "Max", a, b)
        return self.w.op("Where", self.w.op("Less" if op == "min" else "Greater", a, b), a, b)

    def _truth(self, i: int) -> str:
        """The ONNX name of a step's result as a bool tensor."""
        return self.truths[i] if i in self.truths else self.w.cast(self.values[i], np.bool_)

    def _compared(self, i: int, name: str, a: str, b: str) -> str:
        self.truths[i] = self.w.op(name, a, b)
        return self.w.cast(self.truths[i], self.w.dtype)

    def _logic(self, i: int, step: Step, name: str, numbers: Callable[[], str]) -> str:
        """A logical operation.

        Operands that exist as bool tensors are combined by ONNX's logical operator of this name. Others, which are
        numbers 0 and 1, are combined by `numbers`: `and` is the product, `or` the maximum, and `not a` is `1 - a`.
        """
        if not all(a in self.truths for a in step.args):
            return numbers()
        self.truths[i] = self.w.op(name, *(self.truths[a] for a in step.args))
        return self.w.cast(self.truths[i], self.w.dtype)

    def _floor_divided(self, a: str, b: str) -> str:
        """`floor(a / b)`; for integers as `(a - a mod b) / b`, since ONNX's Div rounds toward zero."""
        w = self.w
        return w.op("Div", w.op("Sub", a, w.op("Mod", a, b)), b) if w.whole else w.op("Floor", w.op("Div", a, b))

    def _shifted(self, a: str, value: Any) -> str:
        """`a / 2**bits`, rounded by a mode of the rule program, written as a division.

        ONNX Runtime has no shift for signed integers.

        Args:
            value: `(bits, rounding)` with a rounding of `floor`, `zero` or `nearest`.
        """
        w, (bits, rounding) = self.w, value
        if bits and rounding == "zero":
            offset = w.op("Where", w.op("Less", a, w.constant(0)), w.constant((1 << bits) - 1), w.constant(0))
            a = w.op("Add", a, offset)
        elif bits and rounding == "nearest":
            a = w.op("Add", a, w.constant(1 << (bits - 1)))
        return self._floor_divided(a, w.constant(1 << bits)) if bits else a

    def _wrapped(self, a: str, bits: int) -> str:
        """`a` wrapped around to a signed integer of so many bits."""
        w, half = self.w, self.w.constant(1 << (bits - 1))
        return w.op("Sub", w.op("Mod", w.op("Add", a, half), w.constant(1 << bits)), half)

    def _looked_up(self, a: str, value: Any) -> str:
        """The entry of a table at `(a - low) >> shift`, or its first or last entry beyond the ends.

        Args:
            value: `(name, low, shift)`, where `name` names the table among the parameters.
        """
        w, (name, low, shift) = self.w, value
        index = self._shifted(w.op("Sub", a, w.constant(low)), (shift, "floor"))
        last = len(self.params[name]) - 1
        inside = self._extreme("min", self._extreme("max", index, w.constant(0)), w.constant(last))
        return w.op("Gather", w.constant(self.params[name]), inside, axis=0)


def _plain(name: str) -> Callable[..., str]:
    """An operation that ONNX has under this name."""
    return lambda writer, i, step, *args: writer.w.op(name, *args)


def _with_constants(method: Callable[[ProgramWriter, str, Any], str]) -> Callable[..., str]:
    return lambda writer, i, step, a: method(writer, a, step.value)


WRITERS: dict[str, Callable[..., str]] = {
    "add": _plain("Add"), "sub": _plain("Sub"), "mul": _plain("Mul"), "div": _plain("Div"), "neg": _plain("Neg"),
    "abs": _plain("Abs"), "sign": _plain("Sign"), "exp": _plain("Exp"), "tanh": _plain("Tanh"),
    "floor": _plain("Floor"),
    "min": lambda writer, i, step, a, b: writer._extreme("min", a, b),
    "max": lambda writer, i, step, a, b: writer._extreme("max", a, b),
    "floordiv": lambda writer, i, step, a, b: writer._floor_divided(a, b),
    "ge": lambda writer, i, step, a, b: writer._compared(i, "GreaterOrEqual", a, b),
    "gt": lambda writer, i, step, a, b: writer._compared(i, "Greater", a, b),
    "and": lambda writer, i, step, a, b: writer._logic(i, step, "And", lambda: writer.w.op("Mul", a, b)),
    "or": lambda writer, i, step, a, b: writer._logic(i, step, "Or", lambda: writer.w.op("Max", a, b)),
    "not": lambda writer, i, step, a: writer._logic(
        i, step, "Not", lambda: writer.w.op("Sub", writer.w.constant(1), a)),
    "select": ProgramWriter._chosen,
    "shr": _with_constants(ProgramWriter._shifted),
    "wrap": _with_constants(ProgramWriter._wrapped),
    "lut": _with_constants(ProgramWriter._looked_up),
}
"""What writes each operation of a rule program: a writer, the step's number, the step, and its arguments' names."""
