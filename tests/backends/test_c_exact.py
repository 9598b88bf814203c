"""The emitted C computes what the integer interpreter computes: on random graphs, in every spike and membrane."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from snncompile.backends.c.host import FLAGS, compiler
from snncompile.ir.graph import Graph
from tests.backends.exactness import Case, differences, families, flags, random_case, random_costs
from tests.strategies import LIBRARY, graphs, random_graph

GRAPHS, BLOCK, QUICK = 200, 8, 64

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")


@needs_compiler
@pytest.mark.parametrize("first", [pytest.param(n, marks=[pytest.mark.slow] if n >= QUICK else [])
                                   for n in range(0, GRAPHS, BLOCK)])
def test_c_equals_the_interpreter_on_random_graphs(first: int) -> None:
    cases = [random_case(random_graph(seed), seed) for seed in range(first, first + BLOCK)]
    for seed, case in enumerate(cases, start=first):
        assert differences(case) == [], f"seed {seed}"
    assert sum(_activity(c) > 0 for c in cases) >= BLOCK // 2, "most of the graphs must do something"


def _activity(case: Case) -> float:
    """The share of populations that emit anything."""
    return float(np.mean([bool(np.any(v)) for v in case.wanted.emitted.values()] or [0.0]))


@needs_compiler
@pytest.mark.parametrize("first", [5000, *(pytest.param(n, marks=pytest.mark.slow) for n in range(5008, 5040, BLOCK))])
def test_any_kernel_with_any_vectors_computes_the_same(first: int) -> None:
    """Each graph gets kernels by chance, whatever their speed, and is built for one family of vector instructions."""
    for seed in range(first, first + BLOCK):
        built = (*flags(), *families()[seed % len(families())])
        assert differences(random_case(random_graph(seed), seed), built, costs=random_costs(seed)) == [], f"seed {seed}"


@needs_compiler
@pytest.mark.parametrize("seed", [3000664, 3001418])
def test_clips_that_never_act_are_not_emitted(seed: int) -> None:
    """States that were anywhere in their widths would need them, and strict compilers call them always true."""
    assert differences(random_case(random_graph(seed), seed)) == []


@needs_compiler
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_c_equals_the_interpreter_on_graphs_that_hypothesis_finds(graph: Graph) -> None:
    assert differences(random_case(graph, 1)) == []


@needs_compiler
@pytest.mark.parametrize("seed", range(1000, 1012))
def test_c_is_the_same_when_built_as_users_build_it(seed: int) -> None:
    """Built with full optimisation and wide vectors, over more ticks than a chunk holds.

    Graded loops are left out, because their values may grow without bound over so many ticks.
    """
    graph = random_graph(seed, dataclasses.replace(LIBRARY, graded_loops=False))
    assert differences(random_case(graph, seed, ticks=150), FLAGS) == []
