"""Small graphs for the tests of passes, and the passes in the order of the line."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from snncompile.inputs import integers
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import Traces, run
from snncompile.ir.op import Op
from snncompile.ir.ops import Input, Output
from snncompile.ir.types import Array, Shape
from snncompile.passes.legalize.canonicalize import Canonicalize
from snncompile.passes.legalize.fold_scales import FoldScales
from snncompile.passes.legalize.form_populations import FormPopulations
from snncompile.passes.pipeline import run_passes
from snncompile.passes.quantize.calibrate import calibrate
from snncompile.passes.table import Choices, passes_of
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.load import load_target
from tests.strategies import inputs_for


def joined(nodes: Mapping[str, Op], *edges: Edge, shape: Shape = (4,), name: str = "net", **entry: Any) -> Graph:
    """A graph of an input `x`, these nodes, and an output `y`."""
    return Graph(name, {"x": Input(shape, **entry), **nodes, "y": Output()}, edges)


def chain(*ops: Op, shape: Shape = (4,), **entry: Any) -> Graph:
    """Operators `a`, `b`, `c`... one after the other; numbered where they are many."""
    nodes = {chr(ord("a") + i) if len(ops) < 20 else f"op{i}": op for i, op in enumerate(ops)}
    return joined(nodes, *(Edge(a, b) for a, b in pairwise(["x", *nodes, "y"])), shape=shape, **entry)


def legal(graph: Graph, shared: Any = "accumulate") -> Graph:
    return run_passes(graph, (Canonicalize(), FormPopulations(shared), FoldScales()))


def integer(graph: Graph, x: Mapping[str, Array] | None = None, **options: Any) -> Graph:
    """The graph in integers: calibrated on these samples, or on random ones."""
    formed = legal(graph)
    seen = calibrate(formed, dict(inputs_for(graph) if x is None else x))
    return run_passes(formed, passes_of(Choices(load_target("c99"), Arithmetic(**options), seen), "quantize", "ranges"))


def uncalibrated(graph: Graph, **options: Any) -> Graph:
    return run_passes(legal(graph), passes_of(Choices(load_target("c99"), Arithmetic(**options)), "quantize", "ranges"))


def both(graph: Graph, x: Mapping[str, Array], **options: Any) -> tuple[Traces, Traces, Graph]:
    """What the LEGAL and the INT graph do on the same samples, and the INT graph."""
    whole = integer(graph, x, **options)
    return (run(legal(graph), x, record=True, states=True),
            run(whole, integers(whole, x), record=True, states=True), whole)


def ones(samples: int, ticks: int, *shape: int) -> dict[str, Array]:
    return {"x": np.ones((samples, ticks, *shape))}
