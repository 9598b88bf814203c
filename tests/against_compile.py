"""`check` against `compile`: what is refused can indeed not be placed, and what was packed compiles.

Candidates are small and random, without weights for `check` and with random ones for `compile`. Half of the targets
have a limit near what their candidate uses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import snncompile as sc
from snncompile.backends.table import BACKENDS
from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Graph
from snncompile.ir.types import Stage
from snncompile.lowering import legal_table
from snncompile.mapping.partition import has_cores, partition
from snncompile.mapping.place import place
from snncompile.passes.pipeline import run_passes
from snncompile.passes.table import Choices, passes_of
from snncompile.search.numbers import with_random_numbers
from snncompile.targets.layer_table import layer_table
from snncompile.targets.load import load_target
from snncompile.targets.target import Target
from snncompile.targets.verdict import Verdict, judge
from tests.random_candidates import WHOLE, candidate, near

TARGETS = ("loihi1", "loihi2", "speck2f", "truenorth", "xylo-a2", "c99")
PLACED = frozenset({"cores", "in-axons", "synapse-memory", "layer-memory", "layer-cores"})
"""The rules about resources that a partition counts too."""
COUNTED = frozenset(WHOLE.values())
"""The rules about resources that are counted in the network that was quantized and retimed."""
OTHER = frozenset({"SNN401", "SNN402", "SNN403", "SNN405"})
"""Codes of diagnostics about numbers and samples, which `check` does not ask for."""


@dataclass(frozen=True)
class Case:
    """A candidate on a target.

    Attributes:
        near: whether a limit of the target was chosen near what the candidate uses.
        rules, packed: the verdicts of `check` on the candidate without weights.
        unplaced: why the network with numbers could not be divided among cores with the judge switched off; "" where it
            could.
        refused: why `compile` refused the network with numbers; "" where it did not.
        numeric: whether that was for its numbers alone.
    """

    seed: int
    target: str
    near: bool
    rules: Verdict
    packed: Verdict
    unplaced: str
    refused: str
    numeric: bool
    counted: frozenset[str]

    @property
    def faults(self) -> list[str]:
        """What must not be: refusals by rules about resources that are wrong, and packings that do not compile."""
        broken = {v.rule for v in self.rules.violations}
        wrong = [f"refused for {rule}, and placed" for rule in sorted(broken & PLACED) if not self.unplaced]
        wrong += [f"refused for {rule}, which is kept" for rule in sorted((broken & COUNTED) - self.counted)]
        if self.packed.ok and self.refused and not self.numeric:
            wrong.append(f"packed, and refused: {self.refused}")
        if self.packed.ok and not self.rules.ok:
            wrong.append("packed, and refused by rules")
        return wrong


def case(seed: int) -> Case:
    """The candidate with a number; those with odd numbers are near a limit."""
    name = TARGETS[seed // 2 % len(TARGETS)]
    bare, target = candidate(seed, name), load_target(name)
    if seed % 2:
        target = near(bare, target, seed)
    rules, packed = sc.check(bare, target, cost=False), sc.check(bare, target, cost=False, packed=True)
    full = with_random_numbers(bare, seed)
    unplaced, counted = _placed(full, target)
    refused, numeric = _compiled(full, target, seed) if packed.ok else ("not tried", True)
    return Case(seed, name, bool(seed % 2), rules, packed, unplaced, refused, numeric, counted)


def _placed(full: Graph, target: Target) -> tuple[str, frozenset[str]]:
    """Why a network cannot be divided among cores, no rule being asked; and the rules that it breaks as it is divided.

    A network that the hardware's neurons or numbers are not made for is divided as it is before it is quantized.
    """
    legal, table, _ = legal_table(full, target, {}, None, {})
    choices = Choices(target)
    try:
        graph = run_passes(legal, passes_of(choices, "quantize", "ranges", "retime"))
        table = layer_table(graph)
    except CompileError:
        graph = legal
    counted = frozenset(v.rule for v in judge(table, target, "net").violations)
    if not has_cores(target) or not graph.populations:
        return "it has no cores", counted
    try:
        partition(graph, target, choices.arithmetic.stored_bits)
    except CompileError as e:
        return str(e), counted
    return "", counted


def _compiled(full: Graph, target: Target, seed: int) -> tuple[str, bool]:
    """Why a network does not compile, and whether that is for its numbers. Without a backend, it is mapped only."""
    try:
        if target.backend in BACKENDS:
            samples = np.random.default_rng(seed).random((2, 4, *next(iter(full.inputs.values())).shape)) < 0.3
            sc.compile(full, target, calibration=samples.astype(np.float64))
        else:
            _mapped(full, target)
    except CompileError as e:
        return str(e), all(d.code in OTHER for d in e.diagnostics)
    return "", False


def _mapped(full: Graph, target: Target) -> None:
    legal, table, _ = legal_table(full, target, {}, None, {})
    judge(table, target, "net").expect_ok()
    assert legal.stage == Stage.LEGAL
    graph = run_passes(legal, passes_of(Choices(target), "quantize", "ranges", "retime"))
    if has_cores(target) and graph.populations:
        place(partition(graph, target), target)
