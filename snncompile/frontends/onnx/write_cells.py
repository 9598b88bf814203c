"""Neurons and integer populations in ONNX: their programs, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snncompile.frontends.onnx.writer import Writer
from snncompile.ir.expr import Program, Step
from snncompile.ir.operations import OPERATIONS
from snncompile.ir.types import Array

NAMES = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "min": "Min", "max": "Max", "neg": "Neg", "abs": "Abs",
    "sign": "Sign", "exp": "Exp", "tanh": "Tanh", "floor": "Floor",
}
BOOLEAN = {"ge": "GreaterOrEqual", "gt": "Greater", "and": "And", "or": "Or", "not": "Not"}


@dataclass
class Cell:
    """One program while it is written.

    Attributes:
        states: names of the states' present values.
        x: name of the input.
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
        """The names of what leaves the neuron, and of the states' next values."""
        for i, step in enumerate(self.program.steps):
            self.known.append(self._known(step))
            self.values.append(self._value(i, step))
        return self._full(self.program.output), {n: self._full(i) for n, i in self.program.next_state}

    def _known(self, step: Step) -> Any:
        """The value of a curve of parameters alone: worked out here, since libraries differ in its last bit."""
        args = [self.known[a] for a in step.args]
        value: Any = step.value
        if step.op == "const":
            return np.float64(value)
        if step.op == "param" and not self.w.whole:
            return np.asarray(self.params[value], np.float64)
        worked_out = args and step.value is None and all(a is not None for a in args)
        return OPERATIONS[step.op].apply(*args) if worked_out else None

    def _full(self, i: int) -> str:
        """A step as a tensor of the layer's shape, also where neither input nor state is in it."""
        moving: set[int] = set()
        for k, step in enumerate(self.program.steps[: i + 1]):
            if step.op in ("state", "input") or moving.intersection(step.args):
                moving.add(k)
        return self.values[i] if i in moving else self.w.op("Expand", self.values[i], self.w.op("Shape", self.x))

    def _value(self, i: int, step: Step) -> str:
        w, args = self.w, [self.values[a] for a in step.args]
        value: Any = step.value
        known: Array | None = self.known[i]
        match step.op:
            case "const":
                return w.constant(value)
            case "param":
                return w.constant(self.params[value])
            case "state":
                return self.states[value]
            case "input":
                return self.x
            case "exp" | "tanh" if known is not None:
                return w.constant(known)
            case "select":
                return w.op("Where", self._truth(step.args[0]), *args[1:])
            case "min" | "max" if w.whole:
                return self._extreme(step.op, *args)
            case "floordiv":
                return self._floor_divided(*args)
        if step.op in INTEGER:
            return INTEGER[step.op](self, args[0], value)
        return self._logic(i, step, args) if step.op in BOOLEAN else w.op(NAMES[step.op], *args)

    def _extreme(self, op: str, a: str, b: str) -> str:
        """The larger or smaller of two integers; ONNX Runtime 1.31 takes int64 for 32 bits in some Max and Min."""
        return self.w.op("Where", self.w.op("Less" if op == "min" else "Greater", a, b), a, b)

    def _truth(self, i: int) -> str:
        return self.truths[i] if i in self.truths else self.w.cast(self.values[i], np.bool_)

    def _logic(self, i: int, step: Step, args: list[str]) -> str:
        """Comparisons, and what is said of them; of numbers, `and` is a product, `or` a maximum, `not` 1 - a."""
        w = self.w
        if step.op not in ("ge", "gt"):
            if not all(a in self.truths for a in step.args):
                return {"and": lambda: w.op("Mul", *args), "or": lambda: w.op("Max", *args),
                        "not": lambda: w.op("Sub", w.constant(1), *args)}[step.op]()
            args = [self.truths[a] for a in step.args]
        self.truths[i] = w.op(BOOLEAN[step.op], *args)
        return w.cast(self.truths[i], w.dtype)

    def _floor_divided(self, a: str, b: str) -> str:
        w = self.w
        return w.op("Div", w.op("Sub", a, w.op("Mod", a, b)), b) if w.whole else w.op("Floor", w.op("Div", a, b))

    def _shifted(self, a: str, value: Any) -> str:
        """`a / 2**bits`, rounded; ONNX Runtime shifts no signed numbers."""
        w, (bits, rounding) = self.w, value
        if bits and rounding == "zero":
            short = w.op("Where", w.op("Less", a, w.constant(0)), w.constant((1 << bits) - 1), w.constant(0))
            a = w.op("Add", a, short)
        elif bits and rounding == "nearest":
            a = w.op("Add", a, w.constant(1 << (bits - 1)))
        return self._floor_divided(a, w.constant(1 << bits)) if bits else a

    def _wrapped(self, a: str, bits: int) -> str:
        w, half = self.w, self.w.constant(1 << (bits - 1))
        return w.op("Sub", w.op("Mod", w.op("Add", a, half), w.constant(1 << bits)), half)

    def _looked_up(self, a: str, value: Any) -> str:
        w, (name, low, shift) = self.w, value
        place = self._shifted(w.op("Sub", a, w.constant(low)), (shift, "floor"))
        last = len(self.params[name]) - 1
        inside = self._extreme("min", self._extreme("max", place, w.constant(0)), w.constant(last))
        return w.op("Gather", w.constant(self.params[name]), inside, axis=0)


INTEGER = {"shr": Cell._shifted, "wrap": Cell._wrapped, "lut": Cell._looked_up}
