"""Budgets: limits of the user's own on what a network may cost, beside the rules of the target."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from snncompile.cost.estimate import Cost
from snncompile.diagnostics import expect_known, fail, shorten


class Budget(NamedTuple):
    """Something that can be limited: what it is, in words, and what a network takes of it, None where that is unknown.
    """

    meaning: str
    taken: Callable[[Cost], float | None]


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


BUDGETS: dict[str, Budget] = {
    "cores": Budget("cores, at least, or those of the packing", lambda cost: cost.cores),
    "chips": Budget("chips, at least, or those of the packing", lambda cost: cost.chips),
    "neurons": Budget("neurons", lambda cost: cost.neurons),
    "synapses": Budget("synapses", lambda cost: cost.synapses),
    "weight_kib": Budget("KiB of weights", lambda cost: cost.weight_bits / 8192),
    "kept_kib": Budget("KiB of the weights that are not zero", lambda cost: cost.kept_bits / 8192),
    "state_kib": Budget("KiB of membranes and other states", lambda cost: cost.state_bits / 8192),
    "resident_kib": Budget("KiB of the weights and states of all layers", lambda cost: cost.resident_bits / 8192),
    "peak_kib": Budget("KiB of the weights and states of the largest layer", lambda cost: cost.peak_bits / 8192),
    "latency_ticks": Budget("ticks from an input to the output that follows", lambda cost: cost.latency_ticks),
    "energy_uj": Budget("energy of a sample in uJ", lambda cost: _scaled(cost.total_pj, 1e6)),
    "time_us": Budget("time of a sample in us", lambda cost: _scaled(cost.time_ns, 1e3)),
}
"""Everything that a budget can limit, by its name."""


def expect_budget(budget: Mapping[str, float]) -> None:
    """Raises SNN404 for a name that no budget has, or a limit that is not a finite number above 0."""
    for name, limit in budget.items():
        expect_known(name, BUDGETS, "option budget")
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0 < limit < math.inf:
            fail("SNN404", f"option budget, {name}", shorten(limit), "a number above 0")


def spent(cost: Cost, budget: Mapping[str, float]) -> Iterator[tuple[str, float, float]]:
    """The name, what is taken and the limit of every budget.

    Raises:
        CompileError: SNN404 for a budget of which nothing is known on the target, such as energy without constants.
    """
    for name, limit in budget.items():
        taken = BUDGETS[name].taken(cost)
        if taken is None:
            fail("SNN404", f"option budget, {name}", f"{cost.target} has no figures for it",
                 ", ".join(n for n, b in BUDGETS.items() if b.taken(cost) is not None),
                 "a target with a table [costs.NAME], see docs/targets.md")
        yield name, taken, limit
