"""Hardware rules: a rule is a small function over the layer table that returns what is used, and what the limit is.

It returns a number for each row (of the populations, of the projections, or of the networks) and a limit, either one
for all rows or one for each row. The rule is broken in the rows where `used > limit`. Where a target has no such limit,
it returns None. The same function judges one network and a stack of a million.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from snncompile.ir.types import Array
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.target import Target

Scope: TypeAlias = Literal["population", "projection", "network"]
Measured: TypeAlias = tuple[Array, Any] | None
Measure: TypeAlias = Callable[[LayerTable, Target], Measured]
Words: TypeAlias = Callable[[LayerTable, Target, int], tuple[str, str]]


@dataclass(frozen=True)
class HardwareRule:
    """A rule and the words of its messages.

    Attributes:
        name: the name of the function, with hyphens.
        code: the code of its diagnostics.
        scope: which rows of the layer table it judges.
        figure: the figure of the target that holds the limit, `section.name`.
        unit: what is counted, for messages; empty where `words` makes the message.
        help: what a user can do about it.
        measure: the function.
        words: for a row that breaks the rule, what the network has there, and what the target allows.
    """

    name: str
    code: str
    scope: Scope
    figure: str
    unit: str
    help: str
    measure: Measure
    words: Words | None = None


def rule(code: str, scope: Scope, figure: str, unit: str = "", help: str = "",
         words: Words | None = None) -> Callable[[Measure], HardwareRule]:
    """A decorator that makes a rule of a function; see `HardwareRule` for the arguments."""
    return lambda measure: HardwareRule(measure.__name__.replace("_", "-"), code, scope, figure, unit, help, measure,
                                        words)


def at_most(used: Array, limit: int | None) -> Measured:
    """The rule that numbers are not above a limit, if the target has one."""
    return None if limit is None else (used, limit)


def forbidden(wrong: Array, allowed: bool) -> Measured:
    """The rule that no row is marked in `wrong`, unless the target allows it."""
    return None if allowed else (wrong.astype(np.int64), 0)


def outside(codes: Array, words: Sequence[str], allowed: tuple[str, ...] | None) -> Measured:
    """The rule that the word of a row is among those allowed, if the target lists any. ABSENT breaks no rule.

    Args:
        codes: `[row]`, the index of each row's word in `words`.
    """
    if allowed is None:
        return None
    wrong = np.array([word not in allowed for word in words] + [False])  # ABSENT is -1, the last one
    return wrong[codes].astype(np.int64), 0


def one_of(column: str, words: Sequence[str], allowed: Callable[[Target], tuple[str, ...] | None],
            form: str = "{}") -> Words:
    """The words of a rule about a column that holds words: that of the row, and those that the target allows.

    Args:
        column: the column of the populations.
        form: how a word appears in the message.
    """
    def say(table: LayerTable, target: Target, row: int) -> tuple[str, str]:
        word = words[int(getattr(table.populations, column)[row])]
        return form.format(word), ", ".join(form.format(w) for w in allowed(target) or ())

    return say


def in_words(present: str, limit: str) -> Words:
    """The words of a rule whose message is the same for every row."""
    return lambda table, target, row: (present, limit)


def not_among(values: Array, allowed: tuple[int, ...] | None, present: Array) -> Measured:
    """The rule that a value is in a list, if the target has one. Rows that are not `present` break no rule."""
    return None if allowed is None else (present & ~np.isin(values, allowed), 0)
