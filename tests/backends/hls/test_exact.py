"""The emitted C++ computes what the integer interpreter computes: on random graphs, in every spike and membrane."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snncompile.backends.hls.emit import emit
from snncompile.backends.hls.expressions import literal
from snncompile.backends.hls.host import Compiler, simulate
from snncompile.backends.stream.context import Fold
from snncompile.backends.stream.hardware import Hardware
from snncompile.backends.stream.lower import lower
from snncompile.ir.interp import run
from snncompile.ir.ops import Input, MaxPool, SumPool, Upsample
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.model import inside_differences
from tests.backends.exactness import Case, random_case
from tests.backends.verilog.test_exact import FRAMES, LINED, folding, only, standing
from tests.image_graphs import image_graph
from tests.strategies import random_graph
from tests.tools import needs

GRAPHS, QUICK = 6, 2
PATIENCE_S = 60
"""How long a program may take before it is said to wait for ever, in seconds."""
needs_headers = needs("g++", "hls4ml")


def differences(case: Case, hardware: Hardware) -> list[str]:
    """Where the emitted C++ differs from the interpreter."""
    compiler = Compiler.find()
    assert compiler is not None
    found = simulate(case.graph, emit(hardware), case.x, replace(compiler, flags=("-O0",)), PATIENCE_S).traces
    return [*inside_differences(case.wanted, found),
            *(n for n, v in case.wanted.outputs.items() if not np.array_equal(v, found.outputs[n]))]


@needs_headers
@pytest.mark.parametrize("seed", [pytest.param(n, marks=[pytest.mark.slow] if n >= QUICK else [])
                                  for n in (*range(GRAPHS), 158)])
def test_hls_equals_the_interpreter_on_random_graphs(seed: int) -> None:
    """Folded at random, with several samples one behind another."""
    case = random_case(random_graph(seed), seed)
    assert differences(case, lower(case.graph, *folding(case.graph, seed))) == []


@needs_headers
@pytest.mark.parametrize("seed", [pytest.param(n, marks=[pytest.mark.slow] if n >= QUICK else [])
                                  for n in (*range(GRAPHS), 12, 25, 30)])
def test_hls_equals_the_interpreter_on_random_images(seed: int) -> None:
    """Half of the populations keep the sums of a few rows; frames stand still in every other network."""
    case = random_case(image_graph(seed), seed)
    assert differences(case, lower(case.graph, *folding(case.graph, seed))) == []


@needs_headers
@pytest.mark.parametrize("frames", FRAMES[1:3])
def test_a_frame_that_stands_still_is_sent_once(frames: tuple[int, ...]) -> None:
    assert differences(*standing(frames)) == []


@needs_headers
@pytest.mark.parametrize(("ops", "fold"), LINED)
def test_rows_take_the_place_of_others_when_those_are_done(ops: tuple[Any, ...], fold: Fold) -> None:
    assert differences(*only(*ops, Neuron.of("if", Firing(), threshold=2.0), folds=fold)) == []


@needs_headers
@pytest.mark.parametrize("seed", [5, 158])
@pytest.mark.parametrize("fill", [0, 1])
def test_empty_and_full_ticks_are_exact(seed: int, fill: int) -> None:
    """Nothing arrives at all, or everything that can: streams have their depths here, and nothing waits for ever."""
    case = random_case(random_graph(seed), seed)
    x = {n: np.full_like(v, fill * int(case.graph.inputs[n].high)) for n, v in case.x.items()}
    wanted = run(case.graph, x, record=True, states=True)
    assert differences(Case(case.graph, x, case.rates, wanted), lower(case.graph)) == []


@needs_headers
@pytest.mark.parametrize("ops", [
    (Input((1, 6, 6), "real", low=-1.0, high=0.25), MaxPool((2, 2), (2, 2))),
    (Input((2, 4, 4)), Upsample((2, 2)), SumPool((3, 3), (1, 1)))])
def test_largest_values_and_sums_that_are_reached_twice(ops: tuple[Any, ...]) -> None:
    """Sums of a maximum begin below 0; an event can reach a sum several times."""
    case, hardware = only(*ops, Neuron.of("if", Firing(), threshold=1.0), folds=Fold())
    assert case.wanted.outputs["out"].any()
    assert differences(case, hardware) == []


@needs_headers
def test_names_meet_neither_each_other_nor_cpp() -> None:
    """Populations that are called as parts of the program are, in a network that is called as a namespace of C++."""
    case = random_case(random_graph(1), 1)
    names = dict(zip(case.graph.populations, ("sums0", "inside", "hls", "main", "top", "std"), strict=False))
    edges = tuple(replace(e, src=names.get(e.src, e.src), dst=names.get(e.dst, e.dst)) for e in case.graph.edges)
    nodes = {names.get(n, n): op for n, op in case.graph.nodes.items()}
    graph = case.graph.replace(name="hls", nodes=nodes, edges=edges)
    wanted = run(graph, case.x, record=True, states=True)
    assert differences(Case(graph, case.x, case.rates, wanted), lower(graph)) == []


def test_numbers_are_literals_of_their_type() -> None:
    assert [literal(n) for n in (0, -1, 1 << 31, -(1 << 63))] == ["0", "(-1)", "2147483648LL",
                                                                   "(-9223372036854775807LL - 1)"]
