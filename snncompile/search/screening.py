"""`screen`: the verdicts on many candidates of a space, for one target or several."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from snncompile.checker import PACKING, check, timing_problems
from snncompile.cost.estimate import ASSUMED_RATE, assumed_ticks
from snncompile.diagnostics import CompileError, fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.stand_ins import with_stand_ins
from snncompile.ir.types import Array, Stage
from snncompile.ir.verify import verify
from snncompile.mapping.partition import has_cores
from snncompile.passes.pipeline import run_passes
from snncompile.search.blocks import NotInLayersError
from snncompile.search.chain import Chain
from snncompile.search.judged import Judged
from snncompile.search.layered import Layered, digits_of, layered_for
from snncompile.search.net import Net
from snncompile.search.ranges import judge_range
from snncompile.search.space import Space, numbers_of_candidates
from snncompile.search.terms import Terms, Timing, numbers_of
from snncompile.targets.layer_table import LayerTable, layer_table, stack
from snncompile.targets.load import load_target
from snncompile.targets.target import Target

BATCH = 256
"""Candidates whose tables are judged together."""
CACHED = 1 << 13
"""Candidates of a chain that are judged together, so that their numbers stay in the processor's cache."""
MAX_CANDIDATES, MAX_DETAILED = 1 << 28, 1 << 23
"""The most candidates at a time: where only the rules that they break are kept, and where margins or costs are kept.
Those take up to 500 bytes for each candidate."""
CHECKED = 20
"""Candidates that `screen` also checks one by one."""


Targets: TypeAlias = str | Path | Target | Sequence[str | Path | Target]
"""One target or several: names, TOML files or `Target`s."""


class Built(NamedTuple):
    """A candidate in the form in which it is judged."""

    legal: Graph
    table: LayerTable
    ticks: int


@dataclass(frozen=True)
class Screening:
    """What `screen` found.

    Attributes:
        space: whose candidates these are.
        indices: the numbers of the candidates.
        targets: the verdicts on them by the name of the target.
        why_slow: why the candidates of a `Chain` were built one by one; empty where they were not.
    """

    space: Space
    indices: Array | range
    targets: Mapping[str, Judged]
    why_slow: str = ""


def screen(space: Space, targets: Targets, *, indices: Iterable[int] | None = None, sample: int | None = None,
           seed: int = 0, shard: tuple[int, int] = (0, 1), budget: Mapping[str, float] | None = None,
           weight_bits: int | str | None = None, membrane_bits: int | None = None, dilate: int = 1,
           packed: bool = False, cost: bool = True, rate: float = ASSUMED_RATE, ticks: int | None = None,
           profile: str | None = None, margins: bool = True, checked: int = CHECKED
           ) -> Screening:
    """The verdicts of `check` on many candidates, as arrays.

    Args:
        space: whose candidates are judged.
        targets: names, TOML files or `Target`s.
        indices: the numbers of the candidates; all of the space without it.
        sample: so many different candidates at random instead, drawn with `seed`.
        shard: `(i, n)` for the candidates of part `i` of `n` equal parts, which follow each other.
        budget, weight_bits, membrane_bits, dilate, packed, cost, rate, ticks, profile: see `check`. With `packed`, the
            candidates that break no rule are divided among cores one by one, which takes some tenths of a second each,
            and up to half a minute where they are refused for too many cores.
        margins: whether the constraints of each candidate are kept, and not only which rules it breaks. Without them
            and without costs, whole ranges of a `Chain` take a hundredth of the time.
        checked: how many candidates, drawn at random, are also checked one by one.

    Raises:
        CompileError: SNN404 for an option that is wrong.
        AssertionError: where `check` gives another verdict than the one found here, which is a fault of the compiler.
    """
    terms = terms_of(targets, weight_bits=weight_bits, membrane_bits=membrane_bits, dilate=dilate, packed=packed,
                     budget=dict(budget or {}), cost=cost, rate=rate, ticks=ticks, profile=profile)
    numbers = part_of(chosen(space, indices, sample, seed), shard)
    count, most = count_of(numbers), MAX_DETAILED if margins or cost or budget else MAX_CANDIDATES
    if count > most:
        fail("SNN404", "screen, indices", f"{count:,} candidates", f"at most {most:,}" + (
            " with margins or costs" if most == MAX_DETAILED else ""), "ask for a sample, or for one shard of several")
    return screened(Screener(space, terms), numbers, margins=margins, checked=checked, seed=seed)


def screened(screener: Screener, numbers: Array | range, *, margins: bool = True, checked: int = CHECKED, seed: int = 0
             ) -> Screening:
    """The verdicts on candidates by their numbers, some of which are also checked one by one; see `screen`."""
    screening = Screening(screener.space, numbers, screener.judge(numbers, margins), screener.why_slow)
    expect_same(screening, screener.terms, checked, seed)
    return screening


def terms_of(targets: Targets, **options: Any) -> list[Terms]:
    """The terms for each of several targets, whose names have to differ. Raises SNN404 for what is wrong."""
    terms = [Terms(load_target(t), **options)
             for t in ([targets] if isinstance(targets, (str, Path, Target)) else targets)]
    names = [t.target.name for t in terms]
    if not names or len(set(names)) < len(names):
        fail("SNN404", "screen, targets", ", ".join(map(shorten, names)) or "none", "targets of different names",
             "name variants of a target, as search.variants does")
    return terms


def part_of(numbers: Array | range, shard: tuple[int, int]) -> Array | range:
    """One of several equal parts, which follow each other. Raises SNN404 for a part that does not exist."""
    place, shards = shard
    if not 0 <= place < shards:
        fail("SNN404", "screen, shard", f"{place}/{shards}", "i/n with 0 <= i < n")
    count = count_of(numbers)
    return numbers[count * place // shards:count * (place + 1) // shards]


def count_of(numbers: Array | range) -> int:
    """How many numbers there are. Python's `len` fails for ranges that are too long."""
    return max(numbers.stop - numbers.start, 0) if isinstance(numbers, range) else len(numbers)


def chosen(space: Space, indices: Iterable[int] | None, sample: int | None, seed: int) -> Array | range:
    """The numbers of the candidates that are asked for: Python's own integers where 63 bits are too few."""
    if not _is_count(seed):
        fail("SNN404", "screen, seed", shorten(seed), "a whole number, at least 0")
    if sample is not None:
        if indices is not None or not _is_count(sample) or sample > min(space.size, MAX_CANDIDATES):
            fail("SNN404", "screen, sample", f"{sample!r}" + (" and indices" if indices is not None else ""),
                 f"0 to {min(space.size, MAX_CANDIDATES):,}, without indices")
        return _drawn(space.size, sample, seed)
    listed = range(space.size) if indices is None else indices
    if isinstance(listed, range) and listed.step == 1:
        numbers: Array | range = listed
        ends = [listed.start, listed.stop - 1] if listed else []
    else:
        given = listed.tolist() if isinstance(listed, np.ndarray) else list(listed)
        odd = next((n for n in given if isinstance(n, bool) or not isinstance(n, (int, np.integer))), None)
        if odd is not None:
            fail("SNN404", "screen, indices", f"{shorten(odd)} of type {type(odd).__name__}", "whole numbers")
        numbers = numbers_of_candidates(given)
        ends = [numbers.min(), numbers.max()] if numbers.size else []
    if ends and not 0 <= ends[0] <= ends[1] < space.size:
        fail("SNN404", "screen, indices", f"{ends[0]:,} to {ends[1]:,}", f"0 to {space.size - 1:,}")
    return numbers


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= 0


def _drawn(size: int, count: int, seed: int) -> Array:
    """So many different numbers below `size`, in random order."""
    if size >= 1 << 62:
        draw, found = random.Random(seed), dict[int, None]()
        while len(found) < count:
            found[draw.randrange(size)] = None
        return np.array(list(found), object)
    generator = np.random.default_rng(seed)
    if size <= 4 * count:
        return generator.permutation(size)[:count]
    drawn = np.zeros(0, np.int64)
    while len(drawn) < count:
        drawn = np.concatenate([drawn, generator.integers(0, size, count)])
        drawn = drawn[np.sort(np.unique(drawn, return_index=True)[1])]
    return drawn[:count]


def expect_same(screening: Screening, terms: Sequence[Terms], count: int, seed: int) -> None:
    """Check some candidates one by one. Raises AssertionError where a verdict differs."""
    for row in _drawn(len(screening.indices), min(count, len(screening.indices)), seed).tolist():
        index = int(screening.indices[row])
        for term in terms:
            judged = screening.targets[term.target.name]
            found: Any = judged.reasons_of(row), judged.constraints_of(row)
            expected = _checked(screening.space, index, term, judged.constraints is not None)
            if found != expected:
                raise AssertionError(f"candidate {index} of {screening.space.name} on {term.target.name}: {found} "
                                     f"found, {expected} expected")


def _checked(space: Space, index: int, term: Terms, margins: bool) -> tuple[set[str] | None, dict[str, float] | None]:
    """What `check` says of a candidate: the rules that it breaks and its constraints; None for no network."""
    try:
        verdict = check(space.build(index), **term.options())
    except CompileError:
        return None, None
    return {v.rule for v in verdict.violations}, verdict.constraints if margins else None


class Screener:
    """A space and the terms for its candidates, ready to judge them: the tables of a `Chain` are made once.

    Attributes:
        space: whose candidates are judged.
        terms: one for each target.
        why_slow: why the candidates of a `Chain` are built one by one; empty where they are not.
    """

    def __init__(self, space: Space, terms: Sequence[Terms]):
        self.space, self.terms, self.why_slow = space, terms, ""
        self._tables: list[Layered] = []
        if isinstance(space, Chain):
            try:
                self._tables = layered_for(space, terms)
            except NotInLayersError as e:
                self.why_slow = str(e)

    @property
    def in_layers(self) -> bool:
        """Whether the layers of the candidates are judged by themselves."""
        return bool(self._tables)

    def judge(self, numbers: Array | range, margins: bool = True) -> dict[str, Judged]:
        """The verdicts on candidates, by the name of the target.

        Args:
            numbers: those of the candidates.
            margins: whether constraints are kept.
        """
        if self._tables:
            judged = [judge_layered(tables, numbers, margins) for tables in self._tables]
        else:
            judged = judge_graphs(self.space, self.terms, numbers_of_candidates(numbers))
            judged = judged if margins else [j.without_constraints() for j in judged]
        judged = [self._packed(term, numbers, found) if term.packed and has_cores(term.target) else found
                  for term, found in zip(self.terms, judged, strict=True)]
        return dict(zip((term.target.name for term in self.terms), judged, strict=True))

    def _packed(self, term: Terms, numbers: Array | range, judged: Judged) -> Judged:
        """The verdicts in which the candidates that break no rule of the hardware were divided among cores."""
        rules, count = (*judged.rules, PACKING), len(numbers)
        broken = np.column_stack([judged.broken, np.zeros(count, bool)])
        kept = judged.constraints
        constraints = None if kept is None else np.column_stack([kept, np.zeros(count)])
        costs = {name: np.array(values) for name, values in judged.costs.items()}
        hardware = [not name.startswith("budget-") for name in judged.rules]
        for row in np.flatnonzero(judged.valid & ~judged.broken[:, hardware].any(1)).tolist():
            verdict = check(self.space.build(int(numbers[row])), **term.options())
            wrong = {v.rule for v in verdict.violations}
            broken[row] = [name in wrong for name in rules]
            if constraints is not None:
                constraints[row] = [verdict.constraints[name] for name in rules]
            for name in costs:
                costs[name][row] = numbers_of(verdict.cost)[name]
        return Judged.of(rules, judged.valid, broken, constraints, costs)


def judge_layered(tables: Layered, numbers: Array | range, margins: bool) -> Judged:
    """The verdicts on candidates of a chain for one target."""
    if isinstance(numbers, range) and not margins and not tables.terms.costs_asked:
        return judge_range(tables, numbers)
    sizes = [step.choices for step in tables.steps]
    parts = (tables.judge(digits_of(numbers_of_candidates(numbers[i:i + CACHED]), sizes))
             for i in range(0, max(len(numbers), 1), CACHED))
    return Judged.joined([part if margins else part.without_constraints() for part in parts])


def judge_graphs(space: Space, terms: Sequence[Terms], numbers: Array) -> list[Judged]:
    """The verdicts for each target on candidates that are built one by one. Equal tables are judged once."""
    settings = [(t.legalization, t.ticks) for t in terms]
    groups = [settings.index(setting) for setting in settings]
    seen = {group: _Seen(any(t.dilate > 1 for t in terms)) for group in groups}
    judged: list[list[Judged]] = [[] for _ in terms]
    for start in range(0, len(numbers), BATCH):
        for index in numbers[start:start + BATCH].tolist():
            for group, candidate in _built(space, index, {g: terms[g] for g in seen}).items():
                seen[group].add(candidate)
        new = {group: found.fresh() for group, found in seen.items()}
        for term, group, parts in zip(terms, groups, judged, strict=True):
            if new[group]:
                parts.append(judge_built(term, new[group]))
    return [Judged.joined(parts or [judge_built(term, [])]).take(np.array(seen[group].rows, np.int64))
            for term, parts, group in zip(terms, judged, groups, strict=True)]


class _Seen:
    """The different candidates so far, and which of them each candidate is.

    Where neurons may have to wait, whether they can is asked of themselves, for their rows do not say it.
    """

    def __init__(self, waiting: bool) -> None:
        self.rows: list[int] = []
        self._waiting = waiting
        self._known: dict[Any, int] = {}
        self._fresh: list[Built | None] = []

    def add(self, candidate: Built | None) -> None:
        key = None if candidate is None else (_key(candidate),
                                              *(candidate.legal.populations.values() if self._waiting else ()))
        if key not in self._known:
            self._known[key] = len(self._known)
            self._fresh.append(candidate)
        self.rows.append(self._known[key])

    def fresh(self) -> list[Built | None]:
        """Those that are new since this was last asked."""
        fresh, self._fresh = self._fresh, []
        return fresh


def _key(built: Built) -> Any:
    """A value that is equal for candidates with the same verdict."""
    table = built.table
    columns = [c.tobytes() for part in (table.populations, table.projections) for c in vars(part).values()]
    return b"".join(columns), table.reaches, built.ticks, max(built.legal.levels.values())


def _built(space: Space, index: int, terms: Mapping[int, Terms]) -> dict[int, Built | None]:
    """A candidate, legalized in each of several ways; None where it is no network."""
    try:
        graph = with_stand_ins(verify(space.build(index)))
    except CompileError:
        return dict.fromkeys(terms)
    return {group: _legal(graph, term) for group, term in terms.items()}


def _legal(graph: Graph, term: Terms) -> Built | None:
    passes, stored_bits, state_bits = term.legalization
    try:
        legal = graph if graph.stage != Stage.FLOAT else run_passes(graph, passes, verified=False)
    except CompileError:
        return None
    return Built(legal, layer_table(legal, stored_bits, state_bits),
                 assumed_ticks(legal) if term.ticks is None else term.ticks)


def judge_built(term: Terms, candidates: Sequence[Built | None]) -> Judged:
    """The verdicts on candidates that are built; those that are None are not valid."""
    stand_in = _legal(Net((1,)).lif(0.5).graph(), term)  # where none is valid
    built = [c for c in (*candidates, stand_in) if c is not None]
    counts = np.array([[len(found) for found in timing_problems(c.legal, term.target, term.dilate).values()]
                       for c in built], np.int64)
    depth = np.array([max(c.legal.levels.values()) for c in built], np.int64)
    limits, uses = term.uses(stack([c.table for c in built]), Timing(counts, depth, depth))
    valid = np.array([c is not None for c in candidates], bool)
    rows = np.where(valid, np.cumsum(valid) - 1, len(built) - 1)
    return term.judge(limits, uses.take(rows), np.array([c.ticks for c in built], np.int64)[rows], valid)
