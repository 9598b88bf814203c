"""What a hardware rule is: a small function over the layer table that returns what is used and what the limit is.

It gives one number a row (of the populations, the projections, or the networks), and a limit, a number or one a
row; it is broken where `used > limit`. Where a target says nothing, it returns None. The same function judges one
network and a stack of a million.
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
    """A rule with its words.

    Attributes:
        code: of the diagnostic.
        figure: what the limit is read from, `section.name`.
        unit: what is counted, for messages; empty where `words` says what was found and what is possible.
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
    """Make a rule of a function `(table, target) -> (used, limit)`, or None where the target has no such limit."""
    return lambda measure: HardwareRule(measure.__name__.replace("_", "-"), code, scope, figure, unit, help, measure,
                                        words)


def at_most(used: Array, limit: int | None) -> Measured:
    """Numbers against a limit that a target may have."""
    return None if limit is None else (used, limit)


def forbidden(wrong: Array, allowed: bool) -> Measured:
    """Rows that a target may have nothing against."""
    return None if allowed else (wrong.astype(np.int64), 0)


def outside(codes: Array, words: Sequence[str], allowed: tuple[str, ...] | None) -> Measured:
    """Which rows have a word that is not among those allowed; rows without a word have none."""
    if allowed is None:
        return None
    wrong = np.array([word not in allowed for word in words] + [False])  # the last one for ABSENT
    return wrong[codes].astype(np.int64), 0


def one_of(column: str, words: Sequence[str], allowed: Callable[[Target], tuple[str, ...] | None],
            form: str = "{}") -> Words:
    """Says a row's word, and those that the target allows."""
    def say(table: LayerTable, target: Target, row: int) -> tuple[str, str]:
        word = words[int(getattr(table.populations, column)[row])]
        return form.format(word), ", ".join(form.format(w) for w in allowed(target) or ())

    return say


def in_words(present: str, limit: str) -> Words:
    """Says the same of every row."""
    return lambda table, target, row: (present, limit)


def not_among(values: Array, allowed: tuple[int, ...] | None, present: Array) -> Measured:
    """Rows whose value is not in a list that a target may have; rows where nothing is present are right."""
    return None if allowed is None else (present & ~np.isin(values, allowed), 0)
