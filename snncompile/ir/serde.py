"""A graph as bytes: its text form, and its weights as safetensors."""

from __future__ import annotations

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from snncompile.diagnostics import fail
from snncompile.ir.graph import Graph
from snncompile.ir.text import arrays_of, digest, from_text, to_text


def dump(graph: Graph) -> tuple[str, bytes]:
    """The text and the weights of a graph."""
    return to_text(graph), weights_of(graph)


def weights_of(*graphs: Graph) -> bytes:
    """The weights of several graphs together; arrays that more than one of them holds are written once."""
    arrays = {name: array for graph in graphs for name, array in arrays_of(graph).items()}
    return save({n: np.ascontiguousarray(a) for n, a in arrays.items()})


def restore(text: str, weights: bytes, *, where: str = "text form") -> Graph:
    """The graph that `dump` took apart.

    Raises:
        CompileError: SNN102 where text or weights are damaged; every array is checked against its hash.
    """
    try:
        arrays = load(weights)
    except (SafetensorError, ValueError, KeyError) as e:
        fail("SNN102", f"{where}, weights", str(e)[:200], "a safetensors file")
    for name, array in arrays.items():
        if digest(array) != name:
            fail("SNN102", f"{where}, weights", f"array {name} has other content than its hash says")
    return from_text(text, arrays, where=where)
