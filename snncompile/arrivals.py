"""What a user hands to the line, checked at its door: networks, samples, classes, options."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from snncompile.diagnostics import Collector, CompileError, fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array, ShapeOnly, Stage
from snncompile.model import by_name
from snncompile.passes.arithmetic import Arithmetic
from snncompile.targets.target import Target


def arithmetic_of(target: Target, given: Mapping[str, Any]) -> Arithmetic:
    """The target's arithmetic with the user's choices."""
    own = f"target {shorten(target.name)}, arithmetic."
    _expect_options(target.arithmetic, own)
    _expect_options(given, "option ")
    try:
        found = Arithmetic(**target.arithmetic)
    except CompileError as e:
        raise CompileError(tuple(dataclasses.replace(d, place=d.place.replace("option ", own))
                                 for d in e.diagnostics)) from None
    return dataclasses.replace(found, **{k: v for k, v in given.items() if v is not None})


def _expect_options(names: Iterable[str], place: str) -> None:
    known = {f.name for f in dataclasses.fields(Arithmetic)}
    for name in names:
        if name not in known:
            fail("SNN404", place + name, "no such option", ", ".join(sorted(known)))


def expect_numbers(graph: Graph) -> Graph:
    """The graph, if its weights are more than shapes."""
    operators = [*((f"node {shorten(n)}", op) for n, op in graph.nodes.items()),
                 *((f"edge {shorten(e.label)}", op) for e in graph.edges for op in e.chain)]
    found = Collector()
    for place, op in operators:
        for name, value in op.arrays().items():
            if isinstance(value, ShapeOnly):
                found.error("SNN203", f"{place}, {name}", "a shape without numbers", "weights, to compile them")
    found.finish()
    return graph


def given_samples(graph: Graph, calibration: Any, labels: Any) -> tuple[Mapping[str, Array] | None, Array | None]:
    """The calibration samples by input name, and their classes."""
    if calibration is None:
        if labels is not None:
            fail("SNN501", "labels", "labels without samples", "calibration samples that they belong to")
        return None, None
    samples = by_name(graph, calibration(graph) if callable(calibration) else calibration)
    if next(iter(samples.values())).shape[1] == 0:
        fail("SNN501", "calibration samples", "samples of 0 ticks", "at least one tick")
    if labels is None:
        return samples, None
    if graph.stage == Stage.INT:
        fail("SNN501", "labels", "labels for a network that arrives in integers", "none: it is compared with nothing",
             "model.run(x).decisions are its decisions")
    classes, count = np.asarray(labels), len(next(iter(samples.values())))
    if classes.shape != (count,) or classes.dtype.kind not in "iu":
        fail("SNN501", "labels", f"shape {list(classes.shape)} of type {classes.dtype}",
             f"[{count}] whole numbers, one a calibration sample")
    return samples, classes
