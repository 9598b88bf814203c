"""Verdicts: all hardware rules applied to the layer table of a network, with a diagnostic for each that is broken."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

import numpy as np

from snncompile.diagnostics import CompileError, Diagnostic, shorten
from snncompile.ir.types import Array
from snncompile.targets.hardware_rule import Each, HardwareRule, Sums
from snncompile.targets.hardware_rules import HARDWARE_RULES
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.target import Target

MAX_NAMED = 4


@dataclass(frozen=True)
class Violation:
    """One rule that is broken in one place.

    Attributes:
        rule: the name of the rule.
        used, limit: how much is used there, and how much is allowed.
        diagnostic: the same in words.
    """

    rule: str
    used: float
    limit: float
    diagnostic: Diagnostic


@dataclass(frozen=True, repr=False)
class Verdict:
    """Whether a network can run on a target.

    Attributes:
        network, target: their names.
        violations: the rules that are broken, with each place where they are.
        margins: by rule with a limit, the largest `used / limit - 1`. Above 0 the rule is broken; at -0.25 a quarter of
            the limit is left.
        forbidden: by rule that only forbids, in how many places it is broken.
        basis: "rules" where only the rules were checked, which know lower bounds on what cores have to hold; "packing"
            where the network was divided among cores.
        cores, chips: how many cores the network was divided among, and on how many chips they lie; None where it was
            not divided.
        dilation: the ticks of the hardware for each tick of the network for which it was judged.
        cost: the estimated cost; None where it was not estimated.
    """

    network: str
    target: str
    violations: tuple[Violation, ...]
    margins: Mapping[str, float]
    forbidden: Mapping[str, int] = field(default_factory=dict)
    basis: Literal["rules", "packing"] = "rules"
    cores: int | None = None
    chips: int | None = None
    dilation: int = 1
    cost: Any = None

    @property
    def ok(self) -> bool:
        """Whether no rule is broken."""
        return not self.violations

    @property
    def constraints(self) -> dict[str, float]:
        """Every rule as a number that is at most 0 where the rule is kept, as optimizers take it: `margins`, and how
        often a rule that only forbids is broken. A target gives all networks the same names. A packing is 0 where it
        was not tried, because another rule is broken."""
        return {**self.margins, **self.forbidden}

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The violations as diagnostics. Those that differ only in their places become one, which lists the places."""
        alike: dict[Diagnostic, list[str]] = {}
        for diagnostic in (v.diagnostic for v in self.violations):
            kind, _, name = diagnostic.place.partition(" ")
            alike.setdefault(dataclasses.replace(diagnostic, place=kind), []).append(name)
        return tuple(dataclasses.replace(d, place=_places(d.place, names)) for d, names in alike.items())

    def expect_ok(self) -> None:
        """Raise a `CompileError` with every violation, if there is one."""
        if self.violations:
            raise CompileError(self.diagnostics)

    def to_json(self) -> dict[str, Any]:
        return {"network": self.network, "target": self.target, "feasible": self.ok, "basis": self.basis,
                "cores": self.cores, "chips": self.chips, "dilation": self.dilation,
                "margins": dict(self.margins), "forbidden": dict(self.forbidden),
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
        """The verdict in words, and the used share of each limit, as a notebook shows them."""
        rows = "".join(f"<tr><td>{name}</td><td>{1 + margin:.1%}</td></tr>" for name, margin in self.margins.items())
        return f"<pre>{escape(str(self))}</pre><table><tr><th>rule</th><th>used</th></tr>{rows}</table>"


def _places(kind: str, names: Sequence[str]) -> str:
    """`population "a"`, or `populations "a", "b", "c" and 4 more`."""
    rest = len(names) - MAX_NAMED
    more = f" and {rest} more" if rest > 0 else ""
    return f"{kind}{'s' * (len(names) > 1)} {', '.join(names[:MAX_NAMED])}{more}"


def judge(table: LayerTable, target: Target, name: str) -> Verdict:
    """The verdict on a network.

    Args:
        table: its layer table, with no other network in it.
        name: the name of the network.
    """
    violations: list[Violation] = []
    margins: dict[str, float] = {}
    forbidden: dict[str, int] = {}
    for rule, used, limit in _measured(table, target):
        broken = used > limit
        count = int(np.count_nonzero(broken))
        if count:
            violations += [_violation(rule, table, target, name, int(row), int(used[row]), limit)
                           for row in np.flatnonzero(broken)]
        if limit > 0:
            margins[rule.name] = int(used.max(initial=0)) / limit - 1
        else:
            forbidden[rule.name] = count
    return Verdict(name, target.name, tuple(violations), margins, forbidden)


def _measured(table: LayerTable, target: Target) -> Iterator[tuple[HardwareRule, Array, int]]:
    """The rules for which the target has a limit, each with what is used of it, by row or by network, and the limit."""
    for rule in HARDWARE_RULES.values():
        measured = rule.measure(table, target)
        match measured:
            case Each(numbers, limit):
                yield rule, numbers, limit
            case Sums(numbers, limit):
                yield rule, measured.used(numbers.sum(1, keepdims=True)), limit


def _violation(rule: HardwareRule, table: LayerTable, target: Target, name: str, row: int, used: int, limit: int
               ) -> Violation:
    present, allowed = rule.words(table, target, row) if rule.words else (f"{rule.unit}: {used:,}", f"{limit:,}")
    place = {"network": f"network {shorten(name)}", "population": "population", "projection": "projection"}[rule.scope]
    if rule.scope != "network":
        place += f" {shorten((table.names if rule.scope == 'population' else table.labels)[row])}"
    origin = target.origin(rule.figure)
    known = [origin.source] * bool(origin.source) + ["provisional"] * origin.provisional
    source = f" on {target.name}" + (f" ({', '.join(known)})" if known else "")
    help = rule.help if isinstance(rule.help, str) else rule.help(table, target)
    return Violation(rule.name, used, limit, Diagnostic(rule.code, place, present, allowed + source, help))
