"""Check: what a target says of a network, in milliseconds and without needing its weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from snncompile.diagnostics import CompileError
from snncompile.driver import legal_table
from snncompile.ir.graph import Graph
from snncompile.ir.types import Stage
from snncompile.passes.activity import assume
from snncompile.passes.estimate import ASSUMED_RATE, ASSUMED_TICKS, cost_of
from snncompile.passes.retime import check_cycles
from snncompile.targets.target import Target, load_target
from snncompile.targets.verdict import Verdict, Violation, judge

CYCLES = "cycles"
"""The rule that no row of a table can tell: it needs the way round."""


def check(source: Any, target: str | Path | Target, *, weight_bits: int | str | None = None, dilate: int = 1,
          rate: float = ASSUMED_RATE, ticks: int = ASSUMED_TICKS, **load_options: Any) -> Verdict:
    """Whether a network can run on a target, with every rule that it breaks, and by how much it keeps the others.

    Args:
        source: a graph at any stage, whose weights may be bare shapes, or anything `load` takes.
        weight_bits: the width that weights will have; the target's own choice without it.
        dilate: ticks of the hardware for each tick of the network.
        rate, ticks: assumed for the verdict's cost: spikes a neuron and tick, and ticks of a sample.
        load_options: what the source does not say; see `load`.

    Raises:
        CompileError: where the source or target cannot be read. What the target forbids is in the verdict.
    """
    chosen = load_target(target)
    legal, table = legal_table(source, chosen, weight_bits, load_options)
    found = judge(table, chosen, legal.name)
    late = tuple(Violation(CYCLES, 1, 0, d) for d in _quick_cycles(legal, chosen, dilate))
    cost = cost_of(legal, table, chosen, assume(table, ticks, rate))
    return dataclasses.replace(found, violations=found.violations + late, cost=cost)


def _quick_cycles(graph: Graph, target: Target, dilate: int) -> tuple[Any, ...]:
    """What `retime` will say of cycles; a target that allows none has said so of each link already."""
    if not target.network.recurrence or graph.stage > Stage.INT:
        return ()
    try:
        check_cycles(graph, target.timing.hop_ticks, dilate)
    except CompileError as e:
        return e.diagnostics
    return ()
