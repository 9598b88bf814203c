"""Samples from files, for the inputs that a graph has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from snncompile.cli.options import Samples
from snncompile.diagnostics import fail, shorten

if TYPE_CHECKING:
    from snncompile.ir.graph import Graph
    from snncompile.ir.types import Array


def samples_for(graph: Graph, path: str, given: Samples) -> dict[str, Array]:
    """The samples of a file, by input name; several inputs take theirs from arrays of their names in an `.npz`."""
    from snncompile.data import read_input

    inputs = graph.inputs
    options = given.said()
    if len(inputs) > 1 and ("key" in options or Path(path).suffix.lower() != ".npz"):
        fail("SNN701", f"file {shorten(path)}", "one array", f"an .npz file with the arrays "
             f"{', '.join(shorten(n, 30) for n in inputs)}, for a network of {len(inputs)} inputs")
    keys = {n: {"key": n} if len(inputs) > 1 else {} for n in inputs}
    return {n: read_input(path, op.shape, **{**options, **keys[n]}) for n, op in inputs.items()}


def reader(path: str, given: Samples, seen: Callable[[int, int], None]) -> Callable[[Graph], dict[str, Array]]:
    """What gives a graph its samples; `seen` is told how many they are, and their ticks."""
    def read(graph: Graph) -> dict[str, Array]:
        found = samples_for(graph, path, given)
        first = next(iter(found.values()))
        seen(len(first), first.shape[1])
        return found

    return read
