"""Passes run in order, each on the stage it needs, each followed by a check of what it gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.populations import Neuron
from snncompile.ir.stand_ins import with_stand_ins
from snncompile.ir.types import Stage
from snncompile.passes.legalize.canonicalize import Canonicalize
from snncompile.passes.legalize.fold_scales import FoldScales
from snncompile.passes.legalize.form_populations import FormPopulations
from snncompile.passes.pipeline import run_passes
from snncompile.passes.table import Choices, passes_of
from snncompile.targets.load import load_target
from tests.passes.chains import chain
from tests.random_candidates import candidate


@dataclass(frozen=True)
class Liar:
    """Says that it gives a LEGAL graph, and gives what it got."""

    name: ClassVar[str] = "liar"
    needs: ClassVar[Stage] = Stage.FLOAT
    ensures: ClassVar[Stage] = Stage.LEGAL

    def run(self, graph: Graph) -> Graph:
        return graph


@dataclass(frozen=True)
class Breaker:
    """Gives a graph in which an edge leads nowhere."""

    name: ClassVar[str] = "breaker"
    needs: ClassVar[Stage] = Stage.FLOAT
    ensures: ClassVar[Stage] = Stage.FLOAT

    def run(self, graph: Graph) -> Graph:
        return graph.replace(edges=(*graph.edges, Edge("a", "nowhere")))


GRAPH = chain(Neuron.of("if"))


def test_a_pass_that_needs_a_later_stage_is_refused_by_name():
    with pytest.raises(AssertionError, match="fold-scales needs stage LEGAL, got FLOAT"):
        run_passes(GRAPH, [FoldScales()])


def test_a_pass_that_gives_another_stage_than_it_says_is_caught():
    with pytest.raises(AssertionError, match="liar ensures stage LEGAL, gave FLOAT"):
        run_passes(GRAPH, [Liar()])


def test_every_pass_is_followed_by_verification():
    with pytest.raises(CompileError, match="nowhere"):
        run_passes(GRAPH, [Breaker(), Canonicalize()])


def test_the_observer_sees_every_pass_with_the_graph_it_gave():
    seen: list[tuple[str, Graph, float]] = []
    last = run_passes(GRAPH, [Canonicalize(), FormPopulations()], lambda *found: seen.append(found))
    assert [name for name, _, _ in seen] == ["canonicalize", "form-populations"]
    assert seen[0][1] is GRAPH
    assert seen[1][1] is last
    assert all(seconds >= 0 for _, _, seconds in seen)


def test_without_verification_between_them_passes_are_followed_by_one():
    with pytest.raises(CompileError, match="nowhere"):
        run_passes(GRAPH, [Canonicalize(), Breaker()], verified=False)
    given = run_passes(GRAPH, [Canonicalize(), FormPopulations(), FoldScales()])
    quick = run_passes(GRAPH, [Canonicalize(), FormPopulations(), FoldScales()], verified=False)
    assert quick.stage == given.stage == Stage.LEGAL
    assert list(quick.nodes) == list(given.nodes)


@pytest.mark.parametrize("target", ["c99", "loihi1", "speck2f"])
@pytest.mark.parametrize("seed", range(12))
def test_the_shapes_that_a_pass_hands_on_are_those_that_are_inferred(seed, target):
    graph = candidate(seed, target)
    graph = with_stand_ins(graph)
    for step in passes_of(Choices(load_target(target)), "legalize"):
        assert graph.shapes == Graph("anew", graph.nodes, graph.edges).shapes
        graph = step.run(graph)
    assert graph.shapes == Graph("anew", graph.nodes, graph.edges).shapes
