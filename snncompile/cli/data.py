"""Reading samples from files, for the inputs of a graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from snncompile.cli.options import SampleOptions
from snncompile.diagnostics import fail, shorten

if TYPE_CHECKING:
    from snncompile.ir.graph import Graph
    from snncompile.ir.types import Array


def samples_for(graph: Graph, path: str, given: SampleOptions) -> dict[str, Array]:
    """Read the samples of a file.

    Returns:
        `[sample, tick, *shape]` by input name. Where the graph has several inputs, each is read from the array of its
        name in an `.npz` file.

    Raises:
        CompileError: SNN701 where a graph of several inputs is given a single array, SNN5xx for data that cannot be
            read.
    """
    from snncompile.data import read_input

    inputs = graph.inputs
    options = given.given()
    if len(inputs) > 1 and ("key" in options or Path(path).suffix.lower() != ".npz"):
        fail("SNN701", f"file {shorten(path)}", "one array", f"an .npz file with the arrays "
             f"{', '.join(shorten(n, 30) for n in inputs)}, for a network of {len(inputs)} inputs")
    keys = {n: {"key": n} if len(inputs) > 1 else {} for n in inputs}
    return {n: read_input(path, op.shape, **{**options, **keys[n]}) for n, op in inputs.items()}


def reader(path: str, given: SampleOptions, count: Callable[[int, int], None]) -> Callable[[Graph], dict[str, Array]]:
    """A function that reads the samples of a file for a graph, as `compile` takes it for calibration.

    Args:
        count: called with the number of samples and of ticks once they are read.
    """
    def read(graph: Graph) -> dict[str, Array]:
        samples = samples_for(graph, path, given)
        first = next(iter(samples.values()))
        count(len(first), first.shape[1])
        return samples

    return read
