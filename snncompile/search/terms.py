"""`Terms`: what candidates are judged by, and the verdicts on many of them as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from snncompile.checker import CYCLES, WAITING
from snncompile.cost.budget import expect_budget, spent
from snncompile.cost.estimate import ASSUMED_RATE, Cost
from snncompile.cost.totals import SUMS, layer_bits, totals
from snncompile.cost.work import (
    MAX_TICKS,
    Sizes,
    Work,
    assumption,
    constants_of,
    expect_possible,
    figures,
    least_chips,
)
from snncompile.diagnostics import fail, shorten
from snncompile.ir.types import Array
from snncompile.passes.pipeline import Pass
from snncompile.passes.table import Choices, passes_of
from snncompile.search.judged import Judged
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.memory import core_needs, core_room
from snncompile.targets.parts import Limits, Parts, added, measure
from snncompile.targets.target import Target

TIMING = (CYCLES, WAITING)
"""The rules about time, which are counted graph by graph."""


class Uses(NamedTuple):
    """What networks, or parts of them that follow each other, use of a target.

    Attributes:
        parts: of the hardware rules, with violations of the rules about time behind the counts. Where costs are asked
            for, the bits of the largest layer stand behind the tops, and `totals.SUMS` and what cores have to hold
            behind the sums.
        depth: projections on the longest path from the first population to the last one, `[part]`.
        peak: the same to the population that is farthest, `[part]`.
    """

    parts: Parts
    depth: Array
    peak: Array

    def take(self, rows: Array) -> Uses:
        """Those with these numbers."""
        return Uses(self.parts.take(rows), self.depth[rows], self.peak[rows])

    def then(self, other: Uses) -> Uses:
        """Each part followed by the other one of the same number."""
        return Uses(self.parts.joined(other.parts), self.depth + other.depth,
                    np.maximum(self.peak, self.depth + other.peak))


class Timing(NamedTuple):
    """What graphs say that their layer tables do not: `[network, rule]` violations of `TIMING`, and levels."""

    counts: Array
    depth: Array
    peak: Array


@dataclass(frozen=True)
class Terms:
    """What candidates are judged by: a target and the options of `check`.

    Attributes:
        packed: whether those that break no rule are divided among cores.
        cost: whether costs are estimated; a budget asks for them in any case.
    """

    target: Target
    weight_bits: int | str | None = None
    membrane_bits: int | None = None
    dilate: int = 1
    packed: bool = False
    budget: Mapping[str, float] = field(default_factory=dict)
    cost: bool = True
    rate: float = ASSUMED_RATE
    ticks: int | None = None
    profile: str | None = None

    def __post_init__(self) -> None:
        if self.ticks is not None and not 0 <= self.ticks <= MAX_TICKS:
            fail("SNN404", "option ticks", f"{self.ticks:,}", f"0 to {MAX_TICKS:,}")
        expect_possible(self.rate, 0)  # one rate for all: populations differ between candidates
        expect_budget(self.budget)
        if isinstance(self.dilate, str):
            fail("SNN404", "screen, dilate", shorten(self.dilate), "a whole number, the same for all candidates")
        constants_of(self.target, self.profile)  # raises for a profile that the target does not have
        passes_of(Choices(self.target, dilate=self.dilate), "retime")

    @property
    def arithmetic(self) -> Arithmetic:
        """The widths of what is not an integer yet."""
        return self.target.arithmetic.with_options(
            {"weight_bits": self.weight_bits, "membrane_bits": self.membrane_bits})

    @cached_property
    def legalization(self) -> tuple[tuple[Pass, ...], int, int]:
        """What the layer table of a candidate depends on: targets with equal ones share it."""
        arithmetic = self.arithmetic
        passes = passes_of(Choices(self.target, arithmetic), "legalize")
        return passes, arithmetic.stored_bits, arithmetic.membrane_bits or 0

    def options(self) -> dict[str, Any]:
        """The arguments of `check` that give the same verdicts one by one."""
        return {"target": self.target, "weight_bits": self.weight_bits, "membrane_bits": self.membrane_bits,
                "dilate": self.dilate, "packed": self.packed, "budget": self.budget, "cost": self.cost,
                "rate": self.rate, "ticks": self.ticks, "profile": self.profile}

    def uses(self, table: LayerTable, timing: Timing, counted: Array | None = None, seen: Array | None = None
             ) -> tuple[Limits, Uses]:
        """What the networks of a table use; see `parts.measure` for the arguments."""
        limits, parts = measure(table, self.target, counted, seen)
        parts = parts._replace(counts=np.column_stack([parts.counts, timing.counts]))
        if not self.costs_asked:
            return limits, Uses(parts, timing.depth, timing.peak)
        inside = np.ones(len(table.populations), bool) if counted is None else counted
        needs = [need for need, _ in core_needs(table, self.target).values()]
        sums = added(table, np.concatenate([totals(table), np.array(needs).reshape(len(needs), len(inside))]) * inside)
        largest = np.zeros(table.networks, np.int64)
        np.maximum.at(largest, table.populations.network, layer_bits(table) * inside)
        return limits, Uses(Parts(np.column_stack([parts.tops, largest]), parts.counts,
                                  np.column_stack([parts.sums, sums.T])), timing.depth, timing.peak)

    @property
    def costs_asked(self) -> bool:
        """Whether costs are estimated."""
        return self.cost or bool(self.budget)

    def judge(self, limits: Limits, uses: Uses, ticks: Array, valid: Array) -> Judged:
        """The verdicts on networks whose parts are all joined.

        Args:
            ticks: of a sample of each network, `[network]`.
            valid: which networks count.
        """
        tops, counts, sums = uses.parts
        hardware = limits.judge(Parts(tops[:, :len(limits.tops)], counts[:, :-len(TIMING)], sums))
        late = counts[:, -len(TIMING):]
        rules, broken, values = [*hardware.rules, *TIMING], [hardware.broken, late > 0], [hardware.constraints, late]
        costs: dict[str, Array] = {}
        if self.costs_asked:
            cost = self._cost(limits, uses, ticks)
            costs = {n: np.broadcast_to(v, len(valid)) for n, v in numbers_of(cost).items()}
            for name, taken, limit in spent(cost, self.budget):
                rules.append(f"budget-{name}")
                broken.append(np.asarray(taken > limit)[:, None])
                values.append(np.asarray(taken / limit - 1)[:, None])
        return Judged.of(rules, valid, np.concatenate(broken, 1), np.concatenate(values, 1, dtype=np.float64), costs)

    def _cost(self, limits: Limits, uses: Uses, ticks: Array) -> Cost:
        """The costs of all networks as one, with vectors in place of numbers."""
        tops, _, sums = uses.parts
        first = sum(s.sums.stop - s.sums.start for s in limits.sums)
        known = dict(zip(SUMS, sums[:, first:first + len(SUMS)].T, strict=True))
        needs = sums[:, first + len(SUMS):].T
        room = core_room(self.target).values()
        cores = np.max([np.ones(len(sums), np.int64), *(-(-n // r) for n, r in zip(needs, room, strict=True))], 0)
        late = self.target.timing.hop_ticks * uses.peak
        shown = np.where(ticks > 0, self.dilate * (ticks - 1) + 1 + late, 0)
        name, constants = constants_of(self.target, self.profile)
        chips = least_chips(known, cores, self.target.limits)
        sizes = Sizes.of(known, tops[:, -1], cores, chips, shown, late)
        return Cost("", self.target.name, assumption(0, self.rate), name,
                    **figures(sizes, Work.assumed(known, ticks, self.rate), constants))


def numbers_of(cost: Cost) -> dict[str, Any]:
    """The figures of a cost that are numbers, by name, its energy as one sum."""
    known = {name: value for name, value in vars(cost).items()
             if name not in ("network", "target", "basis", "profile", "energy_pj", "uncounted")}
    return {name: value for name, value in {**known, "energy_pj": cost.total_pj}.items() if value is not None}
