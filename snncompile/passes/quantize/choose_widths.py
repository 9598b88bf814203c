"""Choosing widths: bits for each layer, so that a network fits a budget and loses little, or loses no more than it may.

Each population is narrowed by itself, with all others as wide as they can be. What that changes of the outputs on the
calibration samples is what a width costs; what it saves is memory. Then one width is chosen for each population so that
the costs together are least and the memory is within the budget; see `allocation`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from snncompile.diagnostics import expect_known, fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run, sample_chunks
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.operations import bit_width
from snncompile.ir.ops import Input
from snncompile.ir.populations import Population
from snncompile.ir.types import Array
from snncompile.passes.quantize.allocation import Choice, cheapest
from snncompile.passes.quantize.quantize import Known, Quantize
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.layer_options import ByLayer, own_of

WIDTHS: Mapping[str, tuple[int, ...]] = {"weight_bits": (16, 12, 10, 8, 7, 6, 5, 4, 3, 2),
                                         "membrane_bits": (24, 20, 16, 14, 12, 10, 8, 6)}
"""The widths that are tried of each option, if they are below those that the network has without a choice."""
BUDGETS: Mapping[str, tuple[str, ...]] = {"weight_kib": ("weight_bits",), "state_kib": ("membrane_bits",),
                                          "resident_kib": ("weight_bits", "membrane_bits")}
"""The budgets that widths can be chosen for, and whose memory counts for each."""
BITS_OF_KIB = 8192
MEASURED = 16
"""The most samples on which the outputs of narrowed networks are compared."""
MAX_DROP = 0.01
"""The share of decisions that may be lost where nothing else is asked for."""
STEPS = 7
"""How often the bound on the costs is halved to find the smallest memory that keeps decisions."""
NEARLY = 1e-9
"""Shares of samples that differ by no more are equal."""
LEAST_COST = -10.0
"""The logarithm of the smallest bound on costs that is tried."""
FROM = "from "
"""Stands before the name of a population whose spikes are given."""


@dataclass(frozen=True)
class Wish:
    """Which widths are left to the compiler, and within which limits.

    Attributes:
        options: those of `LAYER_OPTIONS` whose widths are chosen.
        budget: limits by the names of `BUDGETS`; empty where the smallest memory is looked for.
        max_drop: the share of samples whose decision may get lost: with labels, of those that the float network
            decides rightly.
    """

    options: tuple[str, ...]
    budget: Mapping[str, float]
    max_drop: float = MAX_DROP

    @classmethod
    def of(cls, options: Sequence[str], budget: Mapping[str, float] | None, max_drop: float | None) -> Wish | None:
        """The wish of a user, or None where no option is left to the compiler.

        Raises:
            CompileError: SNN404 for limits from which nothing follows, or that cannot be.
        """
        named = "option max_drop" if max_drop is not None and budget is None else "option budget"
        if not options and (budget is not None or max_drop is not None):
            fail("SNN404", named, "no width to choose", 'weight_bits="auto" or membrane_bits="auto" beside it')
        if budget is not None and max_drop is not None:
            fail("SNN404", named, "beside max_drop", "one of the two: how much memory, or how small a loss")
        if budget is not None and not isinstance(budget, Mapping):
            fail("SNN404", "option budget", shorten(budget), "limits by name, such as {'resident_kib': 64}")
        for name, limit in (budget or {}).items():
            expect_known(name, BUDGETS, named)
            if not _is_number(limit) or not 0 < limit < math.inf:
                fail("SNN404", f"{named}, {name}", shorten(limit), "a number above 0")
        if max_drop is not None and (not _is_number(max_drop) or not 0 <= max_drop <= 1):
            fail("SNN404", named, shorten(max_drop), "a share from 0 to 1")
        return cls(tuple(options), dict(budget or {}), MAX_DROP if max_drop is None else max_drop) if options else None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass
class WidthSearch:
    """The search for the widths of one network.

    Attributes:
        graph: the LEGAL graph.
        quantize: how it becomes integers, with a calibration; its widths are the widest that are chosen.
        base: the INT graph with these widths.
        x: the samples of the calibration by input name, as `base` takes them.
        fixed: the options that populations have already, by population.
        lost: for an INT graph, the share of samples whose decision gets lost; see `Wish`.
        progress: called with how many networks were tried, and how many are.
        known: the populations that were quantized so far.
    """

    graph: Graph
    quantize: Quantize
    base: Graph
    x: Mapping[str, Array]
    fixed: ByLayer
    lost: Callable[[Graph], float]
    progress: Callable[[int, int], None] | None = None
    known: Known = field(default_factory=dict)

    def choose(self, wish: Wish) -> dict[str, dict[str, Any]]:
        """The options of each population: those that it had, and the widths that are chosen.

        Raises:
            CompileError: SNN420 for a budget that is below the least memory.
        """
        asked = [(name, option) for name in self.graph.populations for option in wish.options
                 if option not in self.fixed.get(name, {})]
        if not asked:
            return self._options([])
        groups = self._groups(asked, 0 if wish.budget else STEPS)
        found = self._within(groups, wish.budget) if wish.budget else self._smallest(groups, wish.max_drop)
        return self._options(found)

    @cached_property
    def sent(self) -> dict[str, Array]:
        """What the inputs and populations of `base` send on the first samples, by name."""
        recorded = self.quantize.calibration.recorded
        assert recorded is not None, "widths are chosen on samples"
        count = min(MEASURED, recorded.samples)
        x = {name: values[:count] for name, values in self.x.items()}
        ticks = next(iter(x.values())).shape[1]
        parts: dict[str, list[Array]] = {}
        for part in sample_chunks(self.base, count, ticks):
            emitted = run(self.base, {n: v[part] for n, v in x.items()}, record=True).emitted
            for name, values in (*emitted.items(), *((n, v[part]) for n, v in x.items())):
                parts.setdefault(name, []).append(np.asarray(values, np.min_scalar_type(
                    -int(np.abs(values).max(initial=1)) - 1)))
        return {name: np.concatenate(values) for name, values in parts.items()}

    def _groups(self, asked: Sequence[tuple[str, str]], later: int) -> list[list[Choice]]:
        """The choices for each population and option, from the widest on, and what they cost.

        Args:
            later: how many more networks will be tried, for the progress.
        """
        tried = {key: self._tried(*key) for key in asked}
        count, done, groups = sum(map(len, tried.values())) + later, 0, []
        before = self._changed(self.base, list(self.graph.populations))
        for (name, option), widths in tried.items():
            group = [Choice(name, option, getattr(self._of(name), option), self._bits(self.base, name, option), 0.0)]
            for width in widths:
                narrowed = self._with({**self.fixed, name: {**self.fixed.get(name, {}), option: width}})
                cost = max(self._changed(narrowed, [name]) - before, group[-1].cost)  # noise is no gain
                group.append(Choice(name, option, width, self._bits(narrowed, name, option), cost))
                done += 1
                if self.progress:
                    self.progress(done, count)
            groups.append(group)
        return groups

    def _within(self, groups: Sequence[Sequence[Choice]], budget: Mapping[str, float]) -> list[Choice]:
        """The choices that cost least within a budget."""
        chosen = {(group[0].population, group[0].option) for group in groups}
        room = {}
        for name, limit in budget.items():
            others = sum(self._bits(self.base, population, option) for population in self.graph.populations
                         for option in BUDGETS[name] if (population, option) not in chosen)
            room[BUDGETS[name]] = limit * BITS_OF_KIB - others
            least = others + sum(min(c.bits for c in group) for group in groups if group[0].option in BUDGETS[name])
            if least > limit * BITS_OF_KIB:
                fail("SNN420", f"network {shorten(self.graph.name)}, budget {name}",
                     f"at least {least / BITS_OF_KIB:,.6g}", f"{limit:,.6g}",
                     'a larger budget, or "auto" for the other width too')
        return cheapest(groups, room) or [min(group, key=lambda choice: choice.bits) for group in groups]

    def _smallest(self, groups: Sequence[Sequence[Choice]], max_drop: float) -> list[Choice]:
        """The choices of the smallest memory that was found to keep decisions, by halving the bound on their costs.

        Where the widest choices lose more decisions, as many may get lost.
        """
        best, narrowest = ([group[i] for group in groups] for i in (0, -1))
        allowed = max(max_drop, self.lost(self.base))
        low, high = LEAST_COST, math.log2(max(sum(choice.cost for choice in narrowest), 2**LEAST_COST))
        for step in range(STEPS):
            bound = (low + high) / 2 if step else high
            found = cheapest(groups, {}, 2**bound) if step else narrowest
            assert found is not None, "the widest choices cost nothing"
            kept = self.lost(self._with(self._options(found))) <= allowed + NEARLY
            best, low, high = (found, bound, high) if kept else (best, low, bound)
        return best

    def _options(self, chosen: Iterable[Choice]) -> dict[str, dict[str, Any]]:
        options = {name: dict(own) for name, own in self.fixed.items()}
        for choice in chosen:
            if choice.width is not None:
                options.setdefault(choice.population, {})[choice.option] = choice.width
        return options

    def _tried(self, name: str, option: str) -> list[int]:
        """The widths of an option below the one that a population has without a choice."""
        widest = getattr(self._of(name), option)
        if option == "membrane_bits":
            widest = max((state.bits for state in self.base.population(name).states.values()), default=0)
        return [width for width in WIDTHS[option] if isinstance(widest, int) and width < widest]

    def _of(self, name: str) -> Arithmetic:
        return self.quantize.own.get(name, self.quantize.arithmetic)

    def _with(self, options: ByLayer) -> Graph:
        """The network in integers, with options of populations."""
        own = own_of(self.quantize.arithmetic, options)
        return dataclasses.replace(self.quantize, own=own).run(self.graph, self.known)

    def _bits(self, graph: Graph, name: str, option: str) -> int:
        """The memory of the weights into a population of an INT graph, or of its states."""
        if option == "membrane_bits":
            population = graph.population(name)
            return math.prod(graph.shapes[name]) * sum(state.bits for state in population.states.values())
        weights = [np.asarray(op.weight) for edge in graph.edges_into[name] for op in edge.chain
                   if isinstance(op, Layer)]
        return sum(w.size * bit_width((int(w.min(initial=0)), int(w.max(initial=0)))) for w in weights)

    def _changed(self, graph: Graph, names: Collection[str]) -> float:
        """By which share the outputs of an INT graph differ from those of the float network on the first samples.

        Args:
            names: the populations in which the graph differs from `base`. What others do is known, unless they read
                those.
        """
        recorded = self.quantize.calibration.recorded
        assert recorded is not None
        rest, given = _behind(graph, names)
        shown = dict.fromkeys((e.src, op.decode) for n, op in graph.outputs.items() for e in graph.edges_into[n]
                              if e.src in graph.populations)
        count, ticks = next(iter(self.sent.values())).shape[:2]
        apart = most = 0.0
        for part in sample_chunks(graph, count, ticks):
            emitted = run(rest, {n: self.sent[given.get(n, n)][part] for n in rest.inputs},
                          record=[n for n, _ in shown if n in rest.populations]).emitted
            for name, decode in shown:
                op = graph.nodes[name]
                ours, wanted = emitted.get(name, self.sent[name][part]), recorded.values[name][part].astype(np.float64)
                ours = ours * (op.unit if isinstance(op, Population) and op.graded else 1.0)
                if decode == "rate":
                    ours, wanted = ours.sum(1), wanted.sum(1)
                apart += float(np.abs(ours - wanted).sum())
                most += float(np.maximum(np.abs(ours), np.abs(wanted)).sum())
        return apart / most if most else 0.0


def _behind(graph: Graph, names: Collection[str]) -> tuple[Graph, dict[str, str]]:
    """The part of an INT graph that some populations can change. What it reads of the others are inputs of it.

    Returns:
        That part, and for each input that stands for another node the name of that.
    """
    inside, pending = set(names), list(names)
    while pending:
        for edge in graph.edges_from[pending.pop()]:
            if edge.dst not in inside:
                inside.add(edge.dst)
                pending.append(edge.dst)
    nodes: dict[str, Op] = {name: op for name, op in graph.nodes.items() if name in inside}
    outside = dict.fromkeys(e.src for e in graph.edges if e.dst in inside and e.src not in inside)
    stand_ins = {source: f"{i} {FROM}{source}" for i, source in enumerate(outside, len(graph.nodes))}
    while any(name in graph.nodes for name in stand_ins.values()):
        stand_ins = {source: f"{name} " for source, name in stand_ins.items()}
    nodes |= {name: Input(graph.shapes[source]) for source, name in stand_ins.items()}
    edges = tuple(dataclasses.replace(e, src=stand_ins.get(e.src, e.src)) for e in graph.edges if e.dst in inside)
    return Graph(graph.name, nodes, edges, graph.stage), {name: source for source, name in stand_ins.items()}
