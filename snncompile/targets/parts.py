"""Parts: what a network, or a part of a network, uses of each hardware rule, as whole numbers that can be joined.

    limits, parts = measure(table, target)         # of every network of the table
    limits.judge(parts)                            # which rules are broken, and by how much

Each rule is one of three kinds, by which its numbers are joined. Of rules with a limit on single rows the largest
number counts, of rules that only forbid the places are counted, and sums over populations are added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from snncompile.ir.types import Array
from snncompile.targets.hardware_rule import Each, HardwareRule, Sums
from snncompile.targets.hardware_rules import HARDWARE_RULES
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.target import Target


class Parts(NamedTuple):
    """What networks, or parts of them, use: `[part, rule]` for tops and counts, `[part, sum]` for sums."""

    tops: Array
    counts: Array
    sums: Array

    def take(self, rows: Array) -> Parts:
        """Those with these numbers."""
        return Parts(self.tops[rows], self.counts[rows], self.sums[rows])

    def joined(self, other: Parts) -> Parts:
        """Each part together with the other one of the same number."""
        return Parts(np.maximum(self.tops, other.tops), self.counts + other.counts, self.sums + other.sums)


class SumRule(NamedTuple):
    """A rule on sums: its name, the sums that it compares, and what a network may use; see `hardware_rule.Sums`."""

    name: str
    sums: slice
    rule: Sums


@dataclass(frozen=True)
class Screened:
    """Verdicts on many networks.

    Attributes:
        rules: the names of the rules for which the target has a limit.
        broken: which rules each network breaks, `[network, rule]` booleans.
        constraints: the numbers of `Verdict.constraints`, `[network, rule]`.
    """

    rules: tuple[str, ...]
    broken: Array
    constraints: Array

    @property
    def ok(self) -> Array:
        """Which networks break no rule, `[network]` booleans."""
        return np.asarray(~self.broken.any(1))


@dataclass(frozen=True)
class Limits:
    """The rules for which a target has a limit.

    Attributes:
        tops: the name and the limit of each rule on single rows.
        forbidden: the names of the rules that only forbid.
        sums: the rules on sums.
    """

    tops: tuple[tuple[str, int], ...]
    forbidden: tuple[str, ...]
    sums: tuple[SumRule, ...]

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of all rules, in the order of the columns of a verdict."""
        return (*(name for name, _ in self.tops), *self.forbidden, *(s.name for s in self.sums))

    def judge(self, parts: Parts) -> Screened:
        """The verdict on networks whose parts are all joined."""
        tops = np.array([limit for _, limit in self.tops], np.int64)
        used = [s.rule.used(parts.sums[:, s.sums].T) for s in self.sums]
        broken = [parts.tops > tops, parts.counts > 0, *((u > s.rule.limit)[:, None]
                                                         for u, s in zip(used, self.sums, strict=True))]
        values = [parts.tops / tops - 1, parts.counts, *(
            (u / s.rule.limit - 1 if s.rule.limit else u > 0)[:, None] for u, s in zip(used, self.sums, strict=True))]
        return Screened(self.rules, np.concatenate(broken, 1), np.concatenate(values, 1, dtype=np.float64))


def measure(table: LayerTable, target: Target, counted: Array | None = None, seen: Array | None = None
            ) -> tuple[Limits, Parts]:
    """What each network of a table uses of the rules of a target.

    Args:
        counted: `[population]`, whether its rows, and those of the projections into it, belong to the part that is
            measured; all without it.
        seen: the same for the populations that count for rules on single rows; as `counted` without it.
    """
    every = np.ones(len(table.populations), bool)
    counted = every if counted is None else counted
    seen = counted if seen is None else seen
    tops: list[tuple[str, int, Array]] = []
    counts: list[tuple[str, Array]] = []
    sums: list[tuple[str, Sums]] = []
    for rule in HARDWARE_RULES.values():
        match rule.measure(table, target):
            case Each(numbers, limit) if limit > 0:
                tops.append((rule.name, limit, _largest(table, rule, numbers, seen, counted)))
            case Each(numbers, _):
                counts.append((rule.name, _count(table, rule, numbers, counted)))
            case Sums() as measured:
                sums.append((rule.name, measured))
    ends = np.cumsum([0, *(len(s.per) for _, s in sums)]).tolist()
    rows = np.concatenate([s.numbers for _, s in sums]) if sums else np.zeros((0, len(every)), np.int64)
    limits = Limits(tuple((name, limit) for name, limit, _ in tops), tuple(name for name, _ in counts),
                    tuple(SumRule(name, slice(a, b), Sums(s.numbers[:, :0], s.limit, s.per, s.free))
                          for (name, s), a, b in zip(sums, ends[:-1], ends[1:], strict=True)))
    return limits, Parts(_columns([t for *_, t in tops], table.networks), _columns([c for _, c in counts],
                         table.networks), added(table, rows * counted).T)


def added(table: LayerTable, numbers: Array) -> Array:
    """Numbers `[sum, population]`, added up by network, `[sum, network]`."""
    if table.networks == 1:
        return np.asarray(numbers.sum(1, keepdims=True))
    result = np.zeros((len(numbers), table.networks), np.int64)
    np.add.at(result.T, table.populations.network, numbers.T)
    return result


def _columns(values: list[Array], networks: int) -> Array:
    return np.stack(values, 1) if values else np.zeros((networks, 0), np.int64)


def _largest(table: LayerTable, rule: HardwareRule, numbers: Array, seen: Array, counted: Array) -> Array:
    """The largest number of each network, `[network]`; 0 at least."""
    most = np.zeros(table.networks, np.int64)
    network, kept = _rows(table, rule, seen if rule.scope == "population" else counted)
    np.maximum.at(most, network, numbers * kept)
    return most


def _count(table: LayerTable, rule: HardwareRule, numbers: Array, counted: Array) -> Array:
    """How many rows of each network have a number above 0, `[network]`."""
    network, kept = _rows(table, rule, counted)
    return np.bincount(network[(numbers > 0) & kept], minlength=table.networks)


def _rows(table: LayerTable, rule: HardwareRule, populations: Array) -> tuple[Array, Array]:
    """The network of each row for which a rule gives a number, and whether it belongs to one of these populations."""
    if rule.scope == "population":
        return table.populations.network, populations
    return table.projections.network, populations[table.projections.target]
