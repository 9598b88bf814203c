"""The expression language of neuron rules: small, closed, and evaluated in one place.

A rule is traced into `Expr` nodes, then flattened into a `Program`: a list of `Step`s in which every step names its
arguments by position. A step is a leaf (`const`, `param`, `state`, `input`) or one of `operations.OPERATIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from snncompile.ir.operations import OPERATIONS
from snncompile.ir.types import Array

Value: TypeAlias = "float | int | str | tuple[Any, ...] | None"
Operand: TypeAlias = "Expr | float | int"


class Expr:
    """A symbolic scalar. Equality is identity; use `ge`/`gt` or the operators to compare values."""

    __slots__ = ("args", "op", "value")

    def __init__(self, op: str, args: tuple[Expr, ...] = (), value: Value = None):
        self.op, self.args, self.value = op, args, value

    def __add__(self, other: Operand) -> Expr:
        return binary("add", self, other)

    def __radd__(self, other: Operand) -> Expr:
        return binary("add", other, self)

    def __sub__(self, other: Operand) -> Expr:
        return binary("sub", self, other)

    def __rsub__(self, other: Operand) -> Expr:
        return binary("sub", other, self)

    def __mul__(self, other: Operand) -> Expr:
        return binary("mul", self, other)

    def __rmul__(self, other: Operand) -> Expr:
        return binary("mul", other, self)

    def __truediv__(self, other: Operand) -> Expr:
        return binary("div", self, other)

    def __rtruediv__(self, other: Operand) -> Expr:
        return binary("div", other, self)

    def __floordiv__(self, other: Operand) -> Expr:
        return binary("floordiv", self, other)

    def __neg__(self) -> Expr:
        return Expr("neg", (self,))

    def __ge__(self, other: Operand) -> Expr:
        return binary("ge", self, other)

    def __gt__(self, other: Operand) -> Expr:
        return binary("gt", self, other)

    def __le__(self, other: Operand) -> Expr:
        return binary("ge", other, self)

    def __lt__(self, other: Operand) -> Expr:
        return binary("gt", other, self)

    def __bool__(self) -> bool:
        raise TypeError("a neuron rule cannot branch on a symbolic value; use select(condition, a, b)")


def as_expr(value: Operand) -> Expr:
    if isinstance(value, Expr):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Expr("const", (), value)
    raise TypeError(f"{value!r} cannot stand in a neuron rule")


def binary(op: str, a: Operand, b: Operand) -> Expr:
    return Expr(op, (as_expr(a), as_expr(b)))


def select(condition: Expr, then: Operand, otherwise: Operand) -> Expr:
    """`then` where the condition holds, else `otherwise`."""
    return Expr("select", (condition, as_expr(then), as_expr(otherwise)))


def minimum(a: Operand, b: Operand) -> Expr:
    return binary("min", a, b)


def maximum(a: Operand, b: Operand) -> Expr:
    return binary("max", a, b)


def clip(a: Operand, low: Operand, high: Operand) -> Expr:
    return minimum(maximum(a, low), high)


def exp(a: Operand) -> Expr:
    return Expr("exp", (as_expr(a),))


def tanh(a: Operand) -> Expr:
    return Expr("tanh", (as_expr(a),))


def floor(a: Operand) -> Expr:
    return Expr("floor", (as_expr(a),))


def absolute(a: Operand) -> Expr:
    return Expr("abs", (as_expr(a),))


def sign(a: Operand) -> Expr:
    return Expr("sign", (as_expr(a),))


def both(a: Expr, b: Expr) -> Expr:
    return Expr("and", (a, b))


def either(a: Expr, b: Expr) -> Expr:
    return Expr("or", (a, b))


@dataclass(frozen=True)
class Step:
    """One operation of a `Program`; `args` are positions of earlier steps."""

    op: str
    args: tuple[int, ...] = ()
    value: Value = None


@dataclass(frozen=True)
class Program:
    """A rule in flat form: what leaves the neuron (`output`) and every state's next value."""

    steps: tuple[Step, ...]
    output: int
    next_state: tuple[tuple[str, int], ...]

    def names(self, op: str) -> tuple[str, ...]:
        """The distinct names that leaves of one kind (`param`, `state`) refer to, in order of use."""
        return tuple(dict.fromkeys(str(s.value) for s in self.steps if s.op == op))


def flatten(output: Expr, next_state: Mapping[str, Expr]) -> Program:
    """Flatten expressions into a program, computing each distinct operation once."""
    steps: list[Step] = []
    seen: dict[Step, int] = {}
    done: dict[int, int] = {}

    def visit(root: Expr) -> int:
        stack = [root]
        while stack:
            node = stack[-1]
            pending = [a for a in node.args if id(a) not in done]
            if id(node) in done or not pending:
                stack.pop()
                if id(node) not in done:
                    step = Step(node.op, tuple(done[id(a)] for a in node.args), node.value)
                    done[id(node)] = seen.setdefault(step, len(steps))
                    if seen[step] == len(steps):
                        steps.append(step)
            else:
                stack.extend(reversed(pending))
        return done[id(root)]

    nexts = tuple((name, visit(e)) for name, e in next_state.items())
    last = visit(output)
    return Program(tuple(steps), last, nexts)


def prune(program: Program) -> Program:
    """The same program without the steps that nothing reads."""
    live = {program.output, *(i for _, i in program.next_state)}
    for i in range(len(program.steps) - 1, -1, -1):
        if i in live:
            live.update(program.steps[i].args)
    order = {old: new for new, old in enumerate(sorted(live))}
    steps = tuple(
        Step(program.steps[i].op, tuple(order[a] for a in program.steps[i].args), program.steps[i].value)
        for i in sorted(live)
    )
    return Program(steps, order[program.output], tuple((n, order[i]) for n, i in program.next_state))


def evaluate(
    program: Program, params: Mapping[str, Any], states: Mapping[str, Array], x: Array
) -> tuple[Array, dict[str, Array]]:
    """Run one step of a rule on arrays.

    Args:
        params: numbers or arrays that broadcast against `x`; look-up tables are 1-d arrays.
        states: one array of the shape of `x` for each state.
        x: input of this step, any shape; its dtype (float or int64) is the dtype of the arithmetic.

    Returns:
        What leaves the neuron, and the next states.
    """
    values: list[Any] = []
    for step in program.steps:
        if step.op in OPERATIONS:
            arguments = [values[i] for i in step.args]
            values.append(OPERATIONS[step.op].apply(*arguments, *constants(step, params)))
        else:
            values.append(_leaf(step, params, states, x))
    nexts = {name: np.broadcast_to(values[i], x.shape) for name, i in program.next_state}
    return np.broadcast_to(values[program.output], x.shape), nexts


def _leaf(step: Step, params: Mapping[str, Any], states: Mapping[str, Array], x: Array) -> Any:
    value: Any = step.value
    match step.op:
        case "const":
            return x.dtype.type(value)
        case "param":
            return np.asarray(params[value], x.dtype)
        case "state":
            return states[value]
    return x


def constants(step: Step, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """The constants of a step, which follow its arguments; of a look-up the table itself stands for its name."""
    value: Any = step.value
    if step.op == "lut":
        return params[value[0]], *value[1:]
    return () if value is None else value if isinstance(value, tuple) else (value,)
