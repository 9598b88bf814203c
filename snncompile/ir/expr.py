"""The expression language of neuron rules, and its evaluation.

A rule is traced into `Expr` nodes, then flattened into a `Program`: a list of `Step`s in which every step names its
arguments by their positions in the list. A step is a leaf (`const`, `param`, `state`, `input`) or one of
`operations.OPERATIONS`; there are no others. The membrane `0.5 * v + x` becomes

    %0 = const 0.5
    %1 = state "v"
    %2 = mul %0 %1
    %3 = input
    %4 = add %2 %3
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
    """A symbolic number: an operation on other symbolic numbers, or a leaf.

    `==` compares the objects, not the numbers. The operators `>=`, `>`, `<=` and `<` make comparisons of the numbers.

    Attributes:
        op: the name of the operation or leaf.
        args: what the operation is applied to.
        value: the constant of a leaf or operation, such as the name of a state or the bits of a shift.
    """

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
    """The expression itself, or a number as a constant. Raises TypeError for anything else."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Expr("const", (), value)
    raise TypeError(f"{value!r} cannot stand in a neuron rule")


def binary(op: str, a: Operand, b: Operand) -> Expr:
    """An operation with two arguments, by its name in `operations.OPERATIONS`."""
    return Expr(op, (as_expr(a), as_expr(b)))


def select(condition: Expr, then: Operand, otherwise: Operand) -> Expr:
    """`then` where the condition is not 0, `otherwise` where it is 0."""
    return Expr("select", (condition, as_expr(then), as_expr(otherwise)))


def minimum(a: Operand, b: Operand) -> Expr:
    """The lesser of two numbers."""
    return binary("min", a, b)


def maximum(a: Operand, b: Operand) -> Expr:
    """The greater of two numbers."""
    return binary("max", a, b)


def clip(a: Operand, low: Operand, high: Operand) -> Expr:
    """`a`, but at least `low` and at most `high`."""
    return minimum(maximum(a, low), high)


def exp(a: Operand) -> Expr:
    """e to the power of `a`."""
    return Expr("exp", (as_expr(a),))


def tanh(a: Operand) -> Expr:
    """The hyperbolic tangent of `a`."""
    return Expr("tanh", (as_expr(a),))


def floor(a: Operand) -> Expr:
    """The largest whole number that is at most `a`."""
    return Expr("floor", (as_expr(a),))


def absolute(a: Operand) -> Expr:
    """The magnitude of `a`."""
    return Expr("abs", (as_expr(a),))


def sign(a: Operand) -> Expr:
    """-1, 0 or 1: the sign of `a`."""
    return Expr("sign", (as_expr(a),))


def both(a: Expr, b: Expr) -> Expr:
    """Whether two conditions, each 0 or 1, hold."""
    return Expr("and", (a, b))


def either(a: Expr, b: Expr) -> Expr:
    """Whether at least one of two conditions, each 0 or 1, holds."""
    return Expr("or", (a, b))


@dataclass(frozen=True)
class Step:
    """One operation or leaf of a `Program`.

    Attributes:
        op: its name.
        args: the positions of the earlier steps that it reads.
        value: its constant: the number of a `const`, the name of a `param` or `state`, or the constants of an
            operation that `operations.Operation.constant` names.
    """

    op: str
    args: tuple[int, ...] = ()
    value: Value = None


@dataclass(frozen=True)
class Program:
    """A rule in flat form.

    Attributes:
        steps: the operations, each after the steps that it reads.
        output: the position of the step whose value the neuron emits.
        next_state: for each state, its name and the position of the step that gives its value in the next tick.
    """

    steps: tuple[Step, ...]
    output: int
    next_state: tuple[tuple[str, int], ...]

    def names(self, op: str) -> tuple[str, ...]:
        """The distinct names that the leaves of a kind (`param` or `state`) refer to, in the order of their use."""
        return tuple(dict.fromkeys(str(s.value) for s in self.steps if s.op == op))


def flatten(output: Expr, next_state: Mapping[str, Expr]) -> Program:
    """Flatten expressions into a program in which each distinct operation stands once.

    Args:
        output: what the neuron emits.
        next_state: the next value of each state, by name.
    """
    steps: list[Step] = []
    positions: dict[Step, int] = {}
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
                    done[id(node)] = positions.setdefault(step, len(steps))
                    if positions[step] == len(steps):
                        steps.append(step)
            else:
                stack.extend(reversed(pending))
        return done[id(root)]

    nexts = tuple((name, visit(e)) for name, e in next_state.items())
    last = visit(output)
    return Program(tuple(steps), last, nexts)


def prune(program: Program) -> Program:
    """The same program without the steps that neither its output nor a state depends on."""
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
    """Compute one tick of a rule for many neurons at once.

    Args:
        params: by name, numbers or arrays that broadcast against `x`; look-up tables are 1-d arrays.
        states: by name, an array of the shape of `x`.
        x: the summed input of each neuron in this tick, of any shape. Its dtype, a float or int64, is the dtype of the
            arithmetic.

    Returns:
        What each neuron emits, and the next value of each state by name; all of the shape of `x`.
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
    """The constants of an operation, in the order in which `Operation.apply` takes them after the arguments.

    The step of a look-up holds the name of its table; here the table itself takes the place of the name.
    """
    value: Any = step.value
    if step.op == "lut":
        return params[value[0]], *value[1:]
    return () if value is None else value if isinstance(value, tuple) else (value,)
