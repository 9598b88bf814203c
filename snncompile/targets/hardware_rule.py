"""Hardware rules: a rule is a whole number for each row of the layer table, a way to join rows, and a limit.

A rule is a small function over the layer table. There are two ways to join the rows of a network:

- `Each`: every row, of a population or of a projection, is compared with the limit. A limit of 0 forbids.
- `Sums`: the rows of all populations of the network are added up, and the sum is compared with the limit.

Both can be joined part by part in any order, for the numbers are whole: the same function judges one network, a stack
of a million, and the layers of a space of networks one by one. Where a target has no such limit, it returns None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from snncompile.ir.types import Array
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.target import Target

Scope: TypeAlias = Literal["population", "projection", "network"]


class Each(NamedTuple):
    """Numbers of which each is compared with the limit.

    Attributes:
        numbers: `[row]`, a whole number for each population or for each projection.
        limit: the largest number that is allowed; 0 where a rule only forbids.
    """

    numbers: Array
    limit: int


class Sums(NamedTuple):
    """Numbers that are added up over the populations of a network. Several sums can share a limit.

    What a network uses is the largest `ceil((sum - free) / per)` of all its sums. Two cores hold at most 100 neurons
    and 1,000 synapses each, and a network has 120 neurons and 2,500 synapses:

    >>> both = Sums(np.array([[70, 50], [2000, 500]]), 2, per=np.array([100, 1000]), free=np.array([0, 0]))
    >>> both.used(both.numbers.sum(1, keepdims=True)).tolist()
    [3]

    Attributes:
        numbers: `[sum, population]`.
        limit: the most that a network may use.
        per, free: `[sum]`.
    """

    numbers: Array
    limit: int
    per: Array
    free: Array

    def used(self, sums: Array) -> Array:
        """What networks use, `[network]`, given their sums `[sum, network]`."""
        return np.asarray(np.max(-(-np.maximum(sums - self.free[:, None], 0) // self.per[:, None]), axis=0, initial=0))


Measured: TypeAlias = Each | Sums | None
Measure: TypeAlias = Callable[[LayerTable, Target], Measured]
Words: TypeAlias = Callable[[LayerTable, Target, int], tuple[str, str]]
Help: TypeAlias = str | Callable[[LayerTable, Target], str]


@dataclass(frozen=True)
class HardwareRule:
    """A rule and the words of its messages.

    Attributes:
        name: the name of the function, with hyphens.
        code: the code of its diagnostics.
        scope: what it judges: each population, each projection, or the network by sums over its populations.
        figure: the figure of the target that holds the limit, `section.name`.
        unit: what is counted, for messages; empty where `words` makes the message.
        help: what a user can do about it; a function where that depends on the network or on the target.
        measure: the function.
        words: for a row that breaks the rule, what the network has there, and what the target allows.
    """

    name: str
    code: str
    scope: Scope
    figure: str
    unit: str
    help: Help
    measure: Measure
    words: Words | None = None


def rule(code: str, scope: Scope, figure: str, unit: str = "", help: Help = "",
         words: Words | None = None) -> Callable[[Measure], HardwareRule]:
    """A decorator that makes a rule of a function; see `HardwareRule` for the arguments."""
    return lambda measure: HardwareRule(measure.__name__.replace("_", "-"), code, scope, figure, unit, help, measure,
                                        words)


def at_most(used: Array, limit: int | None) -> Measured:
    """The rule that numbers are not above a limit, if the target has one."""
    return None if limit is None else Each(used, limit)


def sum_at_most(used: Array, limit: int | None) -> Measured:
    """The rule that the sum over the populations of a network is not above a limit, if the target has one."""
    return None if limit is None else Sums(used[None], limit, np.ones(1, np.int64), np.zeros(1, np.int64))


def forbidden(wrong: Array, allowed: bool) -> Measured:
    """The rule that no row is marked in `wrong`, unless the target allows it."""
    return None if allowed else Each(wrong.astype(np.int64), 0)


def outside(codes: Array, words: Sequence[str], allowed: tuple[str, ...] | None) -> Measured:
    """The rule that the word of a row is among those allowed, if the target lists any. ABSENT breaks no rule.

    Args:
        codes: `[row]`, the index of each row's word in `words`.
    """
    if allowed is None:
        return None
    wrong = np.array([word not in allowed for word in words] + [False])  # ABSENT is -1, the last one
    return Each(wrong[codes].astype(np.int64), 0)


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
    return None if allowed is None else Each((present & ~np.isin(values, allowed)).astype(np.int64), 0)
