"""Checking a network against the rules of a target, without compiling it and without needing its weights."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from snncompile.cost.budget import BUDGETS, expect_budget, spent
from snncompile.cost.estimate import ASSUMED_RATE, Cost, Rate, assumed_cost, assumed_ticks
from snncompile.diagnostics import CompileError, Diagnostic, shorten
from snncompile.ir.expr import evaluate
from snncompile.ir.graph import Graph
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Stage
from snncompile.lowering import has_bare_shapes, legal_table
from snncompile.mapping.partition import has_cores, partition
from snncompile.mapping.place import expect_places
from snncompile.passes.retime.retime import Retime, check_cycles, dilation
from snncompile.passes.table import Choices, passes_of
from snncompile.targets.layer_options import Layers, Widths
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.load import load_target
from snncompile.targets.target import Target
from snncompile.targets.verdict import Verdict, Violation, judge

CYCLES, WAITING, PACKING = "cycles", "waiting", "packing"
"""The names of the rules that are checked here and not in `targets`: they need whole cycles, programs of neurons, or a
division among cores."""
BELOW_THRESHOLD = 0.25
"""The membrane, as a share of the threshold, from which `_changes` runs a neuron for a tick without input."""


def check(source: Any, target: str | Path | Target, *, weight_bits: Widths = None,
          membrane_bits: Widths = None, layers: Layers = None, dilate: int | Literal["auto"] = 1,
          packed: bool = False,
          budget: Mapping[str, float] | None = None, cost: bool = True, rate: Rate = ASSUMED_RATE,
          ticks: int | None = None, profile: str | None = None, **load_options: Any) -> Verdict:
    """Whether a network can run on a target, and at what cost.

    Args:
        source: a graph at any stage, whose weights may be bare shapes, or anything `load` takes.
        target: the name of a target, the path of its TOML file, or a `Target`.
        weight_bits, membrane_bits: the widths of weights and membranes that are not integers yet; None for those of the
            target. A weight of a bare shape that has `bits` keeps them, and so does a neuron that counts its steps.
            Both can be mappings by the name of the layer, or of the population that it leads to.
        layers: options of single layers; see `compile`.
        dilate: ticks of the hardware for each tick of the network; "auto" takes as many as the loop with the least
            delay for its hops needs.
        packed: divide the network among the cores of the target, as `compile` does, if it breaks no rule. Rules know
            only lower bounds on cores; a packing is certain, and takes some tenths of a second to some seconds.
        budget: limits of your own, by the names of `cost.budget.BUDGETS`, such as `{"cores": 64, "energy_uj": 5}`.
        cost: whether to estimate the cost, which a budget does in any case.
        rate, ticks, profile: what the cost is estimated with; see `estimate`. Without `ticks`, those that the candidate
            itself names, as `search.Net(ticks=4)` does, or else 100.
        load_options: options of the reader, for what the source leaves open; see `load`.

    Returns:
        Every rule that the network breaks, every rule as a number, and the estimated cost.

    Raises:
        CompileError: where the source or the target cannot be read, or for an option that does not exist. Rules that
            are broken are in the verdict, and raise nothing.
    """
    expect_budget(budget or {})
    chosen = load_target(target)
    widths = {"weight_bits": weight_bits, "membrane_bits": membrane_bits}
    legal, table, choices = legal_table(source, chosen, widths, layers, load_options)
    verdict = _with_board(judge(table, chosen, legal.name), legal, table, chosen)
    period = period_of(legal, chosen, dilate)
    verdict = dataclasses.replace(_joined(verdict, timing_problems(legal, chosen, period)), dilation=period)
    if packed and has_cores(chosen):
        verdict = _packed(verdict, legal, dataclasses.replace(choices, dilate=period))
    if cost or budget:
        ticks = assumed_ticks(legal) if ticks is None else ticks
        estimated = assumed_cost(legal, table, chosen, ticks, rate, profile, period=period)
        estimated = dataclasses.replace(estimated, cores=verdict.cores or estimated.cores,
                                        chips=verdict.chips or estimated.chips)
        verdict = _within(dataclasses.replace(verdict, cost=estimated), estimated, budget or {})
    return verdict


def _joined(verdict: Verdict, found: Mapping[str, Iterable[Violation]]) -> Verdict:
    """A verdict with the violations of rules that only forbid, by the name of the rule, none for one that is kept."""
    lists = {name: tuple(violations) for name, violations in found.items()}
    return dataclasses.replace(verdict, violations=(*verdict.violations, *itertools.chain(*lists.values())),
                               forbidden={**verdict.forbidden, **{n: len(v) for n, v in lists.items()}})


def _with_board(verdict: Verdict, graph: Graph, table: LayerTable, target: Target) -> Verdict:
    """The verdict with the memory of a microcontroller, which integers tell exactly: rules know a lower bound."""
    if target.board.processor is None or not verdict.ok or not table.integers or has_bare_shapes(graph):
        return verdict
    from snncompile.backends.firmware.lower import lowered
    from snncompile.backends.firmware.memory import memory_use, misfits

    use = memory_use(lowered(graph, target, {}), target.board.processor)
    taken = {"flash": (use.flash.used, target.board.flash_bytes), "ram": (use.ram.used, target.board.data_bytes)}
    small = misfits(graph.name, use, target)
    over = tuple(Violation(rule, *taken[rule], small[f"{rule}_kib"]) for rule in taken if f"{rule}_kib" in small)
    margins = {rule: used / limit - 1 for rule, (used, limit) in taken.items() if limit and rule in verdict.margins}
    return dataclasses.replace(verdict, violations=over, margins={**verdict.margins, **margins})


def _packed(verdict: Verdict, graph: Graph, choices: Choices) -> Verdict:
    """The verdict with what dividing the network among cores shows, if it is feasible so far."""
    if not verdict.ok or not graph.populations:
        return _joined(verdict, {PACKING: ()})
    try:
        found = partition(_outline(graph, choices), choices.target, choices.arithmetic.stored_bits, own=choices.own)
        expect_places(found, choices.target)
    except CompileError as e:
        return dataclasses.replace(_joined(verdict, {PACKING: [Violation(PACKING, 1, 0, d) for d in e.diagnostics]}),
                                   basis="packing")
    return dataclasses.replace(_joined(verdict, {PACKING: ()}), basis="packing", cores=found.cores, chips=found.chips)


def _outline(graph: Graph, choices: Choices) -> Graph:
    """The graph with the relays and sources that retiming adds, which cores have to hold too."""
    if graph.stage > Stage.INT:
        return graph
    for step in passes_of(choices, "retime"):
        graph = step.outline(graph) if isinstance(step, Retime) and graph.stage == Stage.LEGAL else step.run(graph)
    return graph


def _within(verdict: Verdict, cost: Cost, budget: Mapping[str, float]) -> Verdict:
    """The verdict with the budgets of the user, each as a limit."""
    spending = {f"budget-{name}": (name, taken, limit) for name, taken, limit in spent(cost, budget)}
    over = tuple(Violation(rule, taken, limit, Diagnostic(
        "SNN420", f"network {shorten(verdict.network)}, budget {name}", f"{BUDGETS[name].meaning}: {taken:,.6g}",
        f"{limit:,.6g}", "a smaller network, or a larger budget"))
        for rule, (name, taken, limit) in spending.items() if taken > limit)
    return dataclasses.replace(verdict, violations=(*verdict.violations, *over), margins={
        **verdict.margins, **{rule: taken / limit - 1 for rule, (_, taken, limit) in spending.items()}})


def timing_problems(graph: Graph, target: Target, period: int) -> dict[str, tuple[Violation, ...]]:
    """The violations of the rules about time, CYCLES and WAITING, in a LEGAL or later graph.

    Args:
        period: ticks of the hardware for each tick of the network.
    """
    return {CYCLES: tuple(_quick_cycles(graph, target, period)),
            WAITING: tuple(_restless(graph, target)) if period > 1 else ()}


def period_of(graph: Graph, target: Target, dilate: int | Literal["auto"]) -> int:
    """Hardware ticks for each tick of the network.

    Raises:
        CompileError: SNN404 for a dilation that the target does not offer.
    """
    passes_of(Choices(target, dilate=dilate), "retime")  # raises for a dilation that the target does not offer
    if dilate != "auto":
        return dilate
    return dilation(graph, target.timing.hop_ticks) if target.timing.dilation and _retimed(graph, target) else 1


def _retimed(graph: Graph, target: Target) -> bool:
    """Whether the cycles of a graph must be checked against the delay of hops.

    On a target without recurrence each edge that closes a cycle breaks a rule already.
    """
    return target.network.recurrence and graph.stage <= Stage.INT


def _quick_cycles(graph: Graph, target: Target, period: int) -> Iterator[Violation]:
    """A violation for each cycle that has less delay than its hops take, so that `retime` would refuse it."""
    try:
        if _retimed(graph, target):
            check_cycles(graph, target.timing.hop_ticks, period)
    except CompileError as e:
        yield from (Violation(CYCLES, 1, 0, d) for d in e.diagnostics)


def _restless(graph: Graph, target: Target) -> Iterator[Violation]:
    """A violation for each population that would change between two ticks of a dilated network.

    There are none on targets with programmable neurons, which can wait.
    """
    for name, op in graph.nodes.items():
        if not target.neurons.programmable and isinstance(op, Neuron) and _changes(op):
            yield Violation(WAITING, 1, 0, Diagnostic(
                "SNN304", f"population {shorten(name)}", "its membrane changes without input, as by a leak",
                f"neurons that hold still between two of their ticks on {target.name}",
                "neurons without a leak, a target whose neurons are programmed, or longer delays and no dilation"))


def _changes(neuron: Neuron) -> bool:
    """Whether a neuron fires or changes its state in a tick without input.

    Its program is run for one tick with all membranes at BELOW_THRESHOLD times the threshold.
    """
    threshold = 1.0 if neuron.threshold is None else float(np.min(neuron.threshold))
    states = {n: np.asarray(BELOW_THRESHOLD * threshold if q.dimension == "membrane" else q.default, np.float64)
              for n, q in neuron.traced.states.items()}
    params = {n: np.asarray(v, np.float64) for n, v in neuron.params.items()}
    with np.errstate(all="ignore"):
        output, after = evaluate(neuron.traced.program, params, states, np.zeros(np.broadcast_shapes(
            *(v.shape for v in params.values()))))
    spikes = neuron.rule.spiking and bool(np.any(output))
    return spikes or any(bool(np.any(after[n] != v)) for n, v in states.items())
