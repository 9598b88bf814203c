"""Verdicts: all hardware rules of a target applied to a layer table, of one network in words or of many in numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from snncompile.diagnostics import CompileError, Diagnostic, shorten
from snncompile.ir.types import Array
from snncompile.targets.hardware_rule import HardwareRule
from snncompile.targets.hardware_rules import HARDWARE_RULES
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.target import Target

MAX_NAMED = 4
"""Places that a message names; it counts the others."""


@dataclass(frozen=True)
class Violation:
    """One rule that is broken in one place.

    Attributes:
        used, limit: how much is used there, and how much the target has.
    """

    rule: str
    used: float
    limit: float
    diagnostic: Diagnostic


@dataclass(frozen=True, repr=False)
class Verdict:
    """Whether a network is feasible on a target, and why not.

    Attributes:
        network, target: their names.
        violations: the rules that are broken, one for each place.
        margins: by rule, the largest `used / limit - 1`: above 0 the rule is broken, and -0.25 leaves a quarter.
        dilation: how many ticks of the hardware each tick of the network takes.
        cost: the estimated cost; None where it was not estimated.
    """

    network: str
    target: str
    violations: tuple[Violation, ...]
    margins: Mapping[str, float]
    dilation: int = 1
    cost: Any = None

    @property
    def ok(self) -> bool:
        return not self.violations

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The violations as diagnostics. Violations that differ only in their place are one diagnostic."""
        alike: dict[Diagnostic, list[str]] = {}
        for diagnostic in (v.diagnostic for v in self.violations):
            kind, _, name = diagnostic.place.partition(" ")
            alike.setdefault(dataclasses.replace(diagnostic, place=kind), []).append(name)
        return tuple(dataclasses.replace(d, place=_places(d.place, names)) for d, names in alike.items())

    def expect_ok(self) -> None:
        """Raise a `CompileError` with all violations, if there are any."""
        if self.violations:
            raise CompileError(self.diagnostics)

    def to_json(self) -> dict[str, Any]:
        return {"network": self.network, "target": self.target, "feasible": self.ok, "dilation": self.dilation,
                "margins": dict(self.margins),
                "violations": [{"rule": v.rule, "used": v.used, "limit": v.limit, **v.diagnostic.to_json()}
                               for v in self.violations],
                "cost": None if self.cost is None else self.cost.to_json()}

    def __str__(self) -> str:
        if self.ok:
            slower = f", each of its ticks taking {self.dilation} of the hardware" if self.dilation > 1 else ""
            return f"{shorten(self.network)} is feasible on {self.target}{slower}"
        count = len(self.diagnostics)
        return "\n".join([*map(str, self.diagnostics), f"{shorten(self.network)} is infeasible on {self.target}: "
                          f"{count} problem{'s' * (count > 1)}"])

    def __repr__(self) -> str:
        return f"<Verdict {self}>" if self.ok else f"<Verdict\n{self}>"

    def _repr_html_(self) -> str:
        """The text of the verdict and a table of how much is used, as a notebook shows them."""
        rows = "".join(f"<tr><td>{name}</td><td>{1 + margin:.1%}</td></tr>" for name, margin in self.margins.items())
        return f"<pre>{escape(str(self))}</pre><table><tr><th>rule</th><th>used</th></tr>{rows}</table>"


def _places(kind: str, names: Sequence[str]) -> str:
    """Several places of one kind in words.

    >>> _places("population", ['"a"']), _places("population", [f'"{c}"' for c in "abcdef"])
    ('population "a"', 'populations "a", "b", "c", "d" and 2 more')
    """
    rest = len(names) - MAX_NAMED
    more = f" and {rest} more" if rest > 0 else ""
    return f"{kind}{'s' * (len(names) > 1)} {', '.join(names[:MAX_NAMED])}{more}"


def judge(table: LayerTable, target: Target, name: str) -> Verdict:
    """The verdict on the rule network of a table."""
    violations: list[Violation] = []
    margins: dict[str, float] = {}
    for rule, used, limit in _measured(table, target):
        for row in np.flatnonzero(used > limit):
            violations.append(_violation(rule, table, target, name, int(row), used, limit))
        worst = _margins(used, limit)
        if len(worst):
            margins[rule.name] = float(worst.max())
    return Verdict(name, target.name, tuple(violations), margins)


@dataclass(frozen=True)
class Screened:
    """The verdicts on a stack of networks.

    Attributes:
        rules: the names of the rules.
        broken: `[network, rule]`, whether the network breaks the rule.
        margins: `[network, rule]`, the largest `used / limit - 1`; -1 where nothing is used or nothing is limited.
    """

    rules: tuple[str, ...]
    broken: Array
    margins: Array

    @property
    def ok(self) -> Array:
        """Whether each network is feasible, `[network]`."""
        return np.asarray(~self.broken.any(1))


def screen(table: LayerTable, target: Target) -> Screened:
    """The verdicts on all networks of a table, by the same rules as `judge`."""
    names = tuple(HARDWARE_RULES)
    broken = np.zeros((table.networks, len(names)), bool)
    margins = np.full((table.networks, len(names)), -1.0)
    for rule, used, limit in _measured(table, target):
        at, network = names.index(rule.name), _networks(rule, table)
        np.logical_or.at(broken[:, at], network, used > limit)
        worst = _margins(used, limit)
        if len(worst):
            np.maximum.at(margins[:, at], network, worst)
    return Screened(names, broken, margins)


def _measured(table: LayerTable, target: Target) -> Iterator[tuple[HardwareRule, Array, Array]]:
    """The rules for which the target has a limit, with what each row uses and with its limit."""
    for rule in HARDWARE_RULES.values():
        measured = rule.measure(table, target)
        if measured is not None and len(measured[0]):
            used, limit = measured
            yield rule, used, np.broadcast_to(np.asarray(limit), used.shape)


def _networks(rule: HardwareRule, table: LayerTable) -> Array:
    """The network of each row that a rule measures."""
    if rule.scope == "network":
        return np.arange(table.networks)
    return (table.populations if rule.scope == "population" else table.projections).network


def _margins(used: Array, limit: Array) -> Array:
    """`used / limit - 1` of each row; empty for a rule that forbids something, whose limit is 0."""
    return np.asarray(np.maximum(used, 0) / limit - 1) if len(limit) and limit.min() > 0 else np.zeros(0)


def _violation(rule: HardwareRule, table: LayerTable, target: Target, name: str, row: int, used: Array, limit: Array
               ) -> Violation:
    present, possible = rule.words(table, target, row) if rule.words else (f"{rule.unit}: {used[row]:,}",
                                                                      f"{limit[row]:,}")
    place = {"network": f"network {shorten(name)}", "population": "population", "projection": "projection"}[rule.scope]
    if rule.scope != "network":
        place += f" {shorten((table.names if rule.scope == 'population' else table.labels)[row])}"
    origin = target.origin(rule.figure)
    known = [origin.source] * bool(origin.source) + ["provisional"] * origin.provisional
    source = f" on {target.name}" + (f" ({', '.join(known)})" if known else "")
    return Violation(rule.name, float(used[row]), float(limit[row]),
                     Diagnostic(rule.code, place, present, possible + source, rule.help))
