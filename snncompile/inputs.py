"""Checks of what a user gives to the compiler: networks, samples, labels, and data at run time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np

from snncompile.data.collect import as_numbers, collect
from snncompile.diagnostics import Collector, fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.layouts import LAYOUTS
from snncompile.ir.ops import Input
from snncompile.ir.types import Array, ShapeOnly, Stage

Data: TypeAlias = Array | Mapping[str, Array]
"""Samples `[sample, tick, *shape]`, or a mapping of such arrays by input name."""
Outside: TypeAlias = Literal["cut", "error"]
"""What becomes of values outside of the range that a network was compiled for."""
WIDER = "compile with samples that hold the largest values, or with input_high=N (--input-high N)"
"""What helps where data leaves the range that a network was compiled for."""


def expect_numbers(graph: Graph) -> Graph:
    """Check that all arrays of a graph hold numbers, and return the graph.

    Raises:
        CompileError: SNN203 with every array that is a bare shape (`ShapeOnly`).
    """
    operators = [*((f"node {shorten(n)}", op) for n, op in graph.nodes.items()),
                 *((f"edge {shorten(e.label)}", op) for e in graph.edges for op in e.chain)]
    problems = Collector()
    for place, op in operators:
        for name, value in op.arrays.items():
            if isinstance(value, ShapeOnly):
                problems.error("SNN203", f"{place}, {name}", "a shape without numbers", "weights, to compile them")
    problems.finish()
    return graph


def given_samples(graph: Graph, given: Any, labels: Any, kind: str = "calibration", layout: str = LAYOUTS[0]
                  ) -> tuple[Mapping[str, Array] | None, Array | None]:
    """Check samples and labels.

    Args:
        given: samples as `Data`, a data loader, a dataset, a function that gives them for the graph, or None.
        labels: the class of each sample, `[sample]`, or None.
        kind: the word for the samples in messages.
        layout: the order of their leading axes, one of LAYOUTS.

    Returns:
        The samples by input name, and the labels; None for what was not given.

    Raises:
        CompileError: SNN501 for samples that do not fit the inputs or have no ticks, for labels that are not one whole
            number for each sample, and for labels of a graph that arrived in integers.
    """
    if given is None:
        if labels is not None:
            fail("SNN501", "labels", "labels without samples", f"{kind} samples that they belong to")
        return None, None
    data, own_labels = collect(given(graph) if callable(given) else given, layout, kind)
    samples = by_name(graph, data)
    if next(iter(samples.values())).shape[1] == 0:
        fail("SNN501", f"{kind} samples", "samples of 0 ticks", "at least one tick")
    if labels is None and graph.stage != Stage.INT and own_labels is not None:
        labels = own_labels
    if labels is None:
        return samples, None
    if graph.stage == Stage.INT:
        fail("SNN501", "labels", "labels for a network that arrives in integers",
             "no labels, since there is no float network to compare it with",
             "model.run(x).decisions are its decisions")
    classes, count = as_numbers(labels, "labels"), len(next(iter(samples.values())))
    if classes.shape != (count,) or classes.dtype.kind not in "iu":
        ticks = next(iter(samples.values())).shape[1]
        swapped = 'give layout="time-first" (--layout time-first) if the samples are [tick, sample, ...]'
        fail("SNN501", "labels", f"shape {list(classes.shape)} of type {classes.dtype}",
             f"[{count}] whole numbers, one for each {kind} sample", swapped if classes.shape == (ticks,) else "")
    return samples, classes


def integers(graph: Graph, x: Data) -> dict[str, Array]:
    """The integers that the inputs of an INT graph take, as `taken` gives them, `[sample, tick, *shape]` by input."""
    return taken(graph, x)[0]


def taken(graph: Graph, x: Data, outside: Outside = "cut") -> tuple[dict[str, Array], dict[str, int]]:
    """Convert data to the integers that the inputs of an INT graph take.

    Real values are divided by the unit of the input and rounded. Spike counts must be whole already.

    Args:
        outside: what becomes of values outside of the range that the network was compiled for: "cut" to the range, or
            "error".

    Returns:
        `[sample, tick, *shape]` by input name, and how many values were cut, by the names of inputs with such values.

    Raises:
        CompileError: SNN501 for data of the wrong shape, not finite or not whole, or as `outside` says.
    """
    found, cut = {}, {}
    for name, value in by_name(graph, x).items():
        op = graph.inputs[name]
        whole = _whole(name, op, value)
        if whole.size and (whole.min() < op.low or whole.max() > op.high):
            if outside == "error":
                fail("SNN501", f"input {shorten(name)}", f"values from {value.min():g} to {value.max():g}",
                     range_of(op), f"{WIDER}; or leave out outside=\"error\" (--outside error)")
            cut[name] = int(np.count_nonzero((whole < op.low) | (whole > op.high)))
            whole = np.clip(whole, op.low, op.high)
        found[name] = whole if whole.dtype.kind in "iu" else whole.astype(np.int64)
    return found, cut


def range_of(op: Input) -> str:
    """The range of an input in the network's own units, in words."""
    return f"{op.low * op.unit:g} to {op.high * op.unit:g}, as compiled"


def expect_within(graph: Graph, given: Mapping[str, Array]) -> None:
    """Refuse integers of an INT or MAPPED graph that are fractions, or outside of the range of their input."""
    for name, op in graph.inputs.items():
        value = given[name]
        if value.dtype.kind == "f" and np.any(value != np.rint(value)):
            fail("SNN501", f"input {shorten(name)}", "fractions", "integers, as the graph computes in them",
                 "CompiledModel.run converts real values")
        low, high = (value.min(), value.max()) if value.size else (0, 0)
        if low < op.low or high > op.high:
            fail("SNN501", f"input {shorten(name)}", f"integers from {low:g} to {high:g}",
                 f"{op.low:g} to {op.high:g}, as compiled")


def by_name(graph: Graph, x: Data) -> dict[str, Array]:
    """Arrange data by input name, and check its shape.

    Returns:
        `[sample, tick, *shape]` by input name, in the order of the graph's inputs.

    Raises:
        CompileError: SNN501 for missing or unknown inputs, for data of a wrong shape or type, and for values that are
            not finite.
    """
    given: dict[str, Any] = dict(x) if isinstance(x, Mapping) else dict.fromkeys(graph.inputs, x)
    if set(given) != set(graph.inputs):
        fail("SNN501", "input data", f"inputs {sorted(map(str, given))}", f"inputs {sorted(graph.inputs)}")
    arrays = {n: as_numbers(given[n], f"input {shorten(n)}") for n in graph.inputs}
    lead = {v.shape[:2] for v in arrays.values()}
    for name, value in arrays.items():
        shape = graph.shapes[name]
        wanted = f"[sample, tick{''.join(f', {n}' for n in shape)}]"
        if value.dtype.kind not in "biuf":
            fail("SNN501", f"input {shorten(name)}", f"values of type {value.dtype}", "numbers")
        if value.shape[2:] != shape or value.ndim != len(shape) + 2:
            fail("SNN501", f"input {shorten(name)}", f"shape {list(value.shape)}", wanted)
        if value.shape[0] == 0 or len(lead) > 1:
            fail("SNN501", f"input {shorten(name)}", f"{value.shape[0]} samples of {value.shape[1]} ticks",
                 "at least one sample, and as many for every input")
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            fail("SNN501", f"input {shorten(name)}", "NaN or infinite values", "finite numbers")
    return arrays


def _whole(name: str, op: Input, value: Array) -> Array:
    """The values of an input as whole numbers, of any size."""
    if op.values == "real":
        return np.asarray(np.rint(value / op.unit))
    if value.dtype.kind == "f" and np.any(value != np.rint(value)):
        fail("SNN501", f"input {shorten(name)}", "fractions", "whole spike counts", "encode the data first")
    return value
