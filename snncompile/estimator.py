"""Estimating the cost of a network on a target, before or after it is compiled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from snncompile.cost.activity import measure
from snncompile.cost.estimate import ASSUMED_RATE, Cost, Rate, assumed_cost, assumed_ticks, cost_of, rates_of
from snncompile.cost.work import Messages
from snncompile.inputs import Data, by_name, integers
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array, Stage
from snncompile.lowering import legal_table
from snncompile.targets.layer_options import Layers, Widths
from snncompile.targets.load import load_target
from snncompile.targets.target import Target

if TYPE_CHECKING:
    from snncompile.mapping.partitioned import Partition
    from snncompile.mapping.place import Placement


def estimate(source: Any, target: str | Path | Target, x: Data | None = None, *, rate: Rate = ASSUMED_RATE,
             ticks: int | None = None, profile: str | None = None, weight_bits: Widths = None, layers: Layers = None,
             placed: tuple[Partition, Placement | None] | None = None, **load_options: Any) -> Cost:
    """Estimate what one sample of a network costs on a target.

    Args:
        source: a graph at any stage, or anything `load` takes. Weights may be bare shapes where no samples are given.
        x: samples `[sample, tick, *shape]`, or a mapping of such arrays by input name, on which activity is measured.
        target: the name of a target, the path of its TOML file, or a `Target`.
        rate, ticks: what is assumed where no samples are given: spikes of a neuron in a tick, of all populations and
            inputs or by name, and ticks of a sample; None for the ticks that the network names itself, or else 100.
        profile: the name of a set of energy and time constants of the target; None for its first one.
        weight_bits, layers: the width of weights that are not integers yet, None for that of the target; and options of
            single layers. See `compile`.
        placed: the partition and placement of the network on the target; without them, messages between cores and
            hops are not counted.
        load_options: options of the reader, for what the source leaves open; see `load`.

    Returns:
        Counts, energy in pJ and time for one sample.

    Raises:
        CompileError: SNN404 for an unknown profile or an impossible rate, SNN501 for samples that do not fit.
    """
    chosen = load_target(target)
    legal, table, _ = legal_table(source, chosen, {"weight_bits": weight_bits}, layers, load_options)
    if x is None:
        ticks = assumed_ticks(legal) if ticks is None else ticks
        firings = {name: ticks * min(often, 1) for name, often in rates_of(table, rate, ticks).items()}
        return assumed_cost(legal, table, chosen, ticks, rate, profile, placed and Messages.of(*placed, firings))
    activity = measure(legal, _given(legal, x), table)
    return cost_of(legal, table, chosen, activity, profile, placed and Messages.of(*placed, activity.firings))


def _given(graph: Graph, x: Data) -> dict[str, Array]:
    """Samples by input name, in integers for an INT or MAPPED graph."""
    return integers(graph, x) if graph.stage >= Stage.INT else by_name(graph, x)
