"""Hardware rules: each is a function that takes a layer table and a target, and returns what is used and the limit.

What is used is an array with one number for each population, projection or network of the table. The limit is one
number, or one for each row. The rule is broken in the rows where `used > limit`. A rule returns None where the target
has no such limit. The same function judges a table of one network and a table of many (`layer_table.stack`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from snncompile.ir.types import Array
from snncompile.targets.layer_table import Table
from snncompile.targets.target import Target

Scope: TypeAlias = Literal["population", "projection", "network"]
Measured: TypeAlias = tuple[Array, Any] | None
"""What is used in each row, and the limit; None where there is no limit."""
Measure: TypeAlias = Callable[[Table, Target], Measured]
Words: TypeAlias = Callable[[Table, Target, int], tuple[str, str]]
"""A function that says in words what a row has, and what the target allows."""


@dataclass(frozen=True)
class HardwareRule:
    """A hardware rule, and how its violations are reported.

    Attributes:
        name: the name of the rule, such as `fan-in`.
        code: the code of the diagnostic.
        scope: whether there is a number for each population, projection or network.
        figure: the figure of the target from which the limit is read, `section.name`.
        unit: what is counted, for messages; empty where `words` makes the message.
        help: what the user can do about a violation.
        measure: the rule itself.
        words: says what a row has and what is allowed, for rules that count nothing; None to print both numbers.
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
    """Make a hardware rule of a function `(table, target) -> (used, limit)` or None; a decorator.

    The arguments are the attributes of `HardwareRule`. The name of the function becomes the name of the rule.
    """
    return lambda measure: HardwareRule(measure.__name__.replace("_", "-"), code, scope, figure, unit, help, measure,
                                        words)


def at_most(used: Array, limit: int | None) -> Measured:
    """The result of a rule that limits a number: None where the target has no limit."""
    return None if limit is None else (used, limit)


def forbidden(wrong: Array, allowed: bool) -> Measured:
    """The result of a rule that forbids something: which rows have it, or None where the target allows it."""
    return None if allowed else (wrong.astype(np.int64), 0)


def outside(codes: Array, words: Sequence[str], allowed: tuple[str, ...] | None) -> Measured:
    """The result of a rule that allows certain words: which rows have another word.

    Args:
        codes: the position of each row's word in `words`; ABSENT for a row without a word, which breaks no rule.
        allowed: the words that the target allows; None for any.
    """
    if allowed is None:
        return None
    wrong = np.array([word not in allowed for word in words] + [False])  # the last one for ABSENT
    return wrong[codes].astype(np.int64), 0


def one_of(column: str, words: Sequence[str], allowed: Callable[[Target], tuple[str, ...] | None],
            form: str = "{}") -> Words:
    """The `words` of a rule made with `outside`: the word of the row, and the words that the target allows.

    Args:
        column: the column of the populations that holds the position of the word.
        form: a format string for each word.
    """
    def describe(table: Table, target: Target, row: int) -> tuple[str, str]:
        word = words[int(getattr(table.populations, column)[row])]
        return form.format(word), ", ".join(form.format(w) for w in allowed(target) or ())

    return describe


def in_words(used: str, allowed: str) -> Words:
    """The `words` of a rule that says the same of every row: what it has, and what the target allows."""
    return lambda table, target, row: (used, allowed)


def not_among(values: Array, allowed: tuple[int, ...] | None, present: Array) -> Measured:
    """The result of a rule that allows certain numbers: which rows have another one.

    Args:
        allowed: the numbers that the target allows; None for any.
        present: which rows have a number; the others break no rule.
    """
    return None if allowed is None else (present & ~np.isin(values, allowed), 0)
