"""Writing a graph as bytes and reading it back: its text form, and its arrays in the safetensors format."""

from __future__ import annotations

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from snncompile.diagnostics import fail
from snncompile.ir.graph import Graph
from snncompile.ir.text import arrays_of, digest, from_text, to_text


def dump(graph: Graph) -> tuple[str, bytes]:
    """The text form of a graph, and its arrays as the bytes of a safetensors file."""
    return to_text(graph), weights_of(graph)


def weights_of(*graphs: Graph) -> bytes:
    """The arrays of one or several graphs as the bytes of a safetensors file, in which equal arrays stand once."""
    arrays = {name: array for graph in graphs for name, array in arrays_of(graph).items()}
    return save({n: np.ascontiguousarray(a) for n, a in arrays.items()})


def restore(text: str, weights: bytes, *, where: str = "text form") -> Graph:
    """The graph that `dump` wrote. Every array is compared with its hash.

    Args:
        where: the file or folder, as diagnostics name it.

    Raises:
        CompileError: SNN102 where the text or the weights are damaged; see also `text.from_text`.
    """
    try:
        arrays = load(weights)
    except (SafetensorError, ValueError, KeyError) as e:
        fail("SNN102", f"{where}, weights", str(e)[:200], "a safetensors file")
    for name, array in arrays.items():
        if digest(array) != name:
            fail("SNN102", f"{where}, weights", f"array {name} has other content than its hash says")
    return from_text(text, arrays, where=where)
