"""A chain in tables: for each layer, what each of its choices uses of a target behind each state that can enter.

A candidate is judged by one look-up a layer: its state leads to the next one, and what the layers use is added up.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from snncompile.checker import timing_problems
from snncompile.cost.estimate import ASSUMED_TICKS
from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Graph
from snncompile.ir.ops import Output
from snncompile.ir.stand_ins import with_stand_ins
from snncompile.ir.types import Array
from snncompile.ir.verify import MAX_NEURONS, MAX_NODES, verify
from snncompile.passes.legalize.form_populations import MAX_PROJECTIONS
from snncompile.passes.pipeline import run_passes
from snncompile.search.blocks import (
    BEFORE,
    ENTRY,
    READ,
    READER,
    Block,
    Names,
    NotInLayersError,
    State,
    block_of,
    expect_no_clash,
)
from snncompile.search.chain import Chain
from snncompile.search.judged import Judged
from snncompile.search.space import divided
from snncompile.search.terms import Terms, Timing, Uses
from snncompile.targets.layer_table import LayerTable, layer_table, stack
from snncompile.targets.parts import Limits, Parts

MAX_BLOCKS = 1 << 17
"""The most different layers, each behind each state, that are worked out."""
NO_NAMES = Names(frozenset(), frozenset())


class Step(NamedTuple):
    """One layer of a chain as a table, in which a state and a choice stand at `state * choices + choice`.

    Attributes:
        choices: how many combinations of its choices the layer has.
        leads: the state that enters the next layer, `[state and choice]`; -1 where the layer cannot be built.
        block: the number of the block, `[state and choice]`; -1 for one that uses nothing.
        partial: whether there are layers that cannot be built.
    """

    choices: int
    leads: Array
    block: Array
    partial: bool


@dataclass(frozen=True)
class Skeleton:
    """A chain before it is judged: its layers as tables, and the blocks that they refer to.

    Attributes:
        steps: one for each layer.
        blocks: all that differ, in the order of their numbers.
    """

    steps: tuple[Step, ...]
    blocks: tuple[Block, ...]


class Found(NamedTuple):
    """A block: its number, -1 where it uses nothing; the state that it leaves, None where it cannot be built; and the
    names of its nodes."""

    block: int
    leaving: State | None
    names: Names


def skeleton_of(chain: Chain) -> Skeleton:
    """Find the states that can enter each layer, and the blocks.

    Raises:
        NotInLayersError: where a layer depends on others, or there are more than MAX_BLOCKS blocks.
    """
    known: dict[Any, Found] = {}
    blocks: list[Block] = []
    steps: list[Step] = []
    names: list[Names] = []
    states = {State(chain.entry, chain.entry.shape): 0}
    for position, layer in enumerate(chain.layers):
        if not states:
            raise NotInLayersError(f"layer {position} cannot be built")
        picks, ends = chain.layer_picks(position), position == len(chain.layers) - 1
        names.append(NO_NAMES)
        leaving: dict[State, int] = {}
        rows: list[tuple[int, int]] = []
        for state in states:
            for number, pick in enumerate(picks):
                key = id(layer), number, state, ends
                if key not in known:
                    known[key] = _found(layer, pick, state, ends, blocks)
                block, after, own = known[key]
                names[-1] = names[-1].joined(own)
                rows.append((-1 if after is None else leaving.setdefault(after, len(leaving)), block))
        leads, block_rows = np.array(rows, np.int64).reshape(-1, 2).T
        steps.append(Step(len(picks), leads, block_rows, bool((leads < 0).any())))
        states = leaving
    expect_no_clash(names)
    _expect_small(steps, blocks)
    return Skeleton(tuple(steps), tuple(blocks))


def _expect_small(steps: Sequence[Step], blocks: Sequence[Block]) -> None:
    """Raises NotInLayersError where the layers together may be a network that is too large to be one."""
    nodes = np.array([len(b.graph.nodes) for b in blocks if b.graph is not None] + [0], np.int64)
    values = np.array([sum(map(math.prod, b.graph.shapes.values())) for b in blocks if b.graph is not None] + [0])
    for sizes, most in ((nodes, MAX_NODES), (values, MAX_NEURONS)):
        if sum(int(sizes[step.block].max(initial=0)) for step in steps) > most:
            raise NotInLayersError("the layers together may be too large")


def _found(layer: Any, pick: dict[str, Any], state: State, ends: bool, blocks: list[Block]) -> Found:
    """A block, which is added to the others."""
    try:
        block = block_of(layer, pick, state, ends)
        if block.graph is not None:
            verify(block.graph)
    except CompileError:
        return Found(-1, None, NO_NAMES)
    if block.graph is None:
        return Found(-1, block.leaving, block.names)
    if len(blocks) == MAX_BLOCKS:
        raise NotInLayersError(f"there are more than {MAX_BLOCKS:,} different layers")
    blocks.append(block)
    return Found(len(blocks) - 1, block.leaving, block.names)


@dataclass(frozen=True)
class Layered:
    """A chain in tables for one target.

    Attributes:
        uses: of each block; behind them one that uses nothing.
        valid: which blocks are networks for the target, in the same order.
        ticks: of a sample.
    """

    terms: Terms
    steps: tuple[Step, ...]
    limits: Limits
    uses: Uses
    valid: Array
    ticks: int

    @cached_property
    def _packed(self) -> tuple[Array, Array, Array, Array]:
        """The columns of all blocks that are not zero everywhere, those that are joined by their largest number first,
        in the narrowest integers that hold their sums; and the columns that they are, of tops and of the rest."""
        tops, counts, sums = self.uses.parts
        rest = np.concatenate([counts, sums], 1)
        high, added = (np.flatnonzero(c.any(0)) for c in (tops, rest))
        columns = np.concatenate([tops[:, high], rest[:, added]], 1)
        largest = int(columns.max(initial=0)) * len(self.steps)
        return columns.astype(np.int32 if largest < 1 << 31 else np.int64), high, added, self.valid

    def judge(self, digits: Sequence[Array]) -> Judged:
        """The verdicts on candidates.

        Args:
            digits: the number of each layer's combination of choices, `[candidate]` for each layer.
        """
        uses, valid, _ = self.follow(digits, self.steps, 0)
        return self.terms.judge(self.limits, uses, np.full(len(valid), self.ticks), valid)

    def follow(self, digits: Sequence[Array], steps: Sequence[Step], entering: int) -> tuple[Uses, Array, Array]:
        """What candidates use in some of the layers that follow each other, which of them are networks so far, and in
        which states they leave.

        Args:
            digits: those of these layers.
            entering: the state that enters the first of them.
        """
        columns, high, added, fine = self._packed
        count, first = len(digits[0]) if steps else 1, len(high)
        state, valid = np.full(count, entering, np.int64), np.ones(count, bool)
        total = np.zeros((count, columns.shape[1]), columns.dtype)
        depth, peak = np.zeros(count, np.int64), np.zeros(count, np.int64)
        for step, digit in zip(steps, digits, strict=True):
            at = state * step.choices + digit
            block, state = step.block[at], step.leads[at]
            if step.partial or not fine.all():
                valid &= (state >= 0) & fine[block]
                state = np.maximum(state, 0)
            used = columns.take(block, 0)
            np.maximum(total[:, :first], used[:, :first], out=total[:, :first])
            total[:, first:] += used[:, first:]
            if self.terms.costs_asked:
                peak = np.maximum(peak, depth + self.uses.peak[block])
                depth += self.uses.depth[block]
        tops, counts, sums = self.uses.parts
        rest = _spread(total[:, first:], added, counts.shape[1] + sums.shape[1])
        return Uses(Parts(_spread(total[:, :first], high, tops.shape[1]), rest[:, :counts.shape[1]],
                          rest[:, counts.shape[1]:]), depth, peak), valid, state


def _spread(values: Array, columns: Array, width: int) -> Array:
    """So many columns, of which some have values and the others are zero."""
    spread = np.zeros((len(values), width), np.int64)
    spread[:, columns] = values
    return spread


class _Legal(NamedTuple):
    """Blocks in the form in which they are judged.

    Attributes:
        depth, peak: see `terms.Uses`.
        shows_entry: whether an output reads the population that enters a block.
        projections: the most of a block.
    """

    graphs: Sequence[Graph | None]
    table: LayerTable
    depth: Array
    peak: Array
    shows_entry: bool
    projections: int


def legalize(blocks: Sequence[Block], terms: Terms) -> _Legal:
    """All blocks, legalized for a target, and their layer tables as one."""
    passes, stored_bits, state_bits = terms.legalization
    graphs: list[Graph | None] = []
    for block in blocks:
        assert block.graph is not None
        try:
            legal = run_passes(with_stand_ins(block.graph), passes, verified=False)
        except CompileError:
            graphs.append(None)
            continue
        if block.entry not in legal.nodes:
            raise NotInLayersError("a layer does not depend on what enters it")
        graphs.append(legal)
    some = next((g for g in graphs if g is not None), None)
    if some is None:
        raise NotInLayersError("no layer can be built")
    table = stack([layer_table(some if g is None else g, stored_bits, state_bits) for g in graphs])
    levels = [(0, 0) if g is None else _levels(g, b) for g, b in zip(graphs, blocks, strict=True)]
    depth, peak = np.array(levels, np.int64).reshape(-1, 2).T
    built = [g for g in graphs if g is not None]
    shows_entry = any(isinstance(g.nodes[e.dst], Output) for g in built for e in g.edges if e.src == ENTRY)
    return _Legal(graphs, table, depth, peak, shows_entry, max(len(g.edges) for g in built))


def _levels(graph: Graph, block: Block) -> tuple[int, int]:
    """Projections on the longest path through a block, and to its farthest population."""
    first, own = graph.levels[block.entry], [n for n in graph.nodes if n not in (BEFORE, READER, READ)]
    peak = max(graph.levels[n] for n in own) - first
    return (graph.levels[block.last] - first if block.last else peak), peak


def layered(skeleton: Skeleton, legal: _Legal, terms: Terms, ticks: int) -> Layered:
    """The tables of a chain for one target. Raises NotInLayersError where layers cannot be judged by themselves."""
    shown = terms.target.limits.outputs, terms.target.limits.hidden_neurons
    if legal.shows_entry and any(limit is not None for limit in shown):
        raise NotInLayersError("the last layer may show the neurons of the layer before it")
    if legal.projections * len(skeleton.steps) > MAX_PROJECTIONS:
        raise NotInLayersError("the layers together may have too many projections")
    counts = np.array([_timing(g, terms) for g in legal.graphs], np.int64).reshape(len(legal.graphs), -1)
    own, seen = _rows(legal.table)
    limits, uses = terms.uses(_hushed(legal.table, own), Timing(counts, legal.depth, legal.peak), own, seen)
    valid = np.array([g is not None for g in legal.graphs] + [True], bool)
    padded = Uses(Parts(*map(_with_nothing, uses.parts)), _with_nothing(uses.depth), _with_nothing(uses.peak))
    return Layered(terms, skeleton.steps, limits, padded, valid, ticks)


def _with_nothing(rows: Array) -> Array:
    """The rows, and a last one of zeros, which -1 refers to."""
    return np.concatenate([rows, np.zeros((1, *rows.shape[1:]), np.int64)])


def _timing(graph: Graph | None, terms: Terms) -> list[int]:
    if graph is None:
        return [0, 0]
    found = timing_problems(graph, terms.target, terms.dilate)
    return [sum(not any(f'"{name}"' in v.diagnostic.place for name in (ENTRY, READER)) for v in violations)
            for violations in found.values()]


def _rows(table: LayerTable) -> tuple[Array, Array]:
    """Which populations belong to their blocks, and which count for rules on single rows: the population that enters
    too, for only its own readers know how many they are."""
    own = np.array([name not in (BEFORE, ENTRY, READER) for name in table.names], bool)
    return own, own | np.array([name == ENTRY for name in table.names], bool)


def _hushed(table: LayerTable, own: Array) -> LayerTable:
    """The table in which nothing leads into the populations that enter: what does was counted in the layer before."""
    cells = table.populations
    quiet = {name: getattr(cells, name) * own for name in ("fan_in", "least_axons", "synapses", "sources", "bias")}
    return dataclasses.replace(table, populations=dataclasses.replace(cells, **quiet))


def layered_for(chain: Chain, terms: Sequence[Terms]) -> list[Layered]:
    """The tables of a chain for each of several targets.

    Raises:
        NotInLayersError: where a layer depends on others.
    """
    skeleton = skeleton_of(chain)
    settings = [term.legalization for term in terms]
    legal: dict[int, _Legal] = {}
    tables = []
    for term, setting in zip(terms, settings, strict=True):
        group = settings.index(setting)
        if group not in legal:
            legal[group] = legalize(skeleton.blocks, term)
        ticks = next(t for t in (term.ticks, chain.ticks, ASSUMED_TICKS) if t is not None)
        tables.append(layered(skeleton, legal[group], term, ticks))
    return tables


def digits_of(numbers: Array, sizes: Sequence[int]) -> list[Array]:
    """The number of each layer's combination of choices, `[candidate]` for each layer, of which the last one changes
    fastest.

    >>> [d.tolist() for d in digits_of(np.array([0, 1, 3, 5]), (2, 3))]
    [[0, 0, 1, 1], [0, 1, 0, 2]]
    """
    digits = []
    for size in reversed(sizes):
        numbers, digit = divided(numbers, size)
        digits.append(digit)
    return digits[::-1]
