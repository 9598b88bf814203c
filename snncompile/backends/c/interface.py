"""The interface of an emitted network: the types of its arguments and the order of its populations.

It follows from the graph alone, so that a library can be called that an earlier run built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snncompile.backends.c.types import DTYPES, c_type
from snncompile.backends.names import prefix
from snncompile.ir.graph import Graph
from snncompile.ir.populations import Population
from snncompile.ir.ranges import source_range


@dataclass(frozen=True)
class Interface:
    """What a caller of an emitted network has to know.

    Attributes:
        prefix: begins the names of everything that the network exports.
        inputs, outputs: the type of each argument by the name of the input or output, in the order of the arguments.
        populations: their names in the order in which the program numbers them, which is that of the plan.
    """

    prefix: str
    inputs: Mapping[str, np.dtype[np.integer]]
    outputs: Mapping[str, np.dtype[np.integer]]
    populations: tuple[str, ...]

    @classmethod
    def of(cls, graph: Graph) -> Interface:
        """The interface of the program that is emitted for an INT or MAPPED graph."""
        read = {name: graph.edges_into[name][0].src for name in graph.outputs}
        return cls(prefix(graph.name), {n: _dtype(graph, n) for n in graph.inputs},
                   {n: _dtype(graph, source) for n, source in read.items()},
                   tuple(n for c in graph.components for n in c if isinstance(graph.nodes[n], Population)))


def _dtype(graph: Graph, name: str) -> np.dtype[np.integer]:
    """The type of the values that an input or population emits."""
    return DTYPES[c_type(*source_range(graph, name))]
