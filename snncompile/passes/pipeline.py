"""What a pass is, and how passes are run one after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import ClassVar, Protocol

from snncompile.ir.graph import Graph
from snncompile.ir.types import Stage
from snncompile.ir.verify import verify


class Pass(Protocol):
    """A function from a graph to a graph: a frozen dataclass whose fields are its options.

    Where nothing changes, `run` returns the graph that it was given, the same object.

    Attributes:
        name: words joined by dashes, as `--print-after` takes it.
        needs: the stage of the graphs that it accepts.
        ensures: the stage of the graphs that it returns.
    """

    name: ClassVar[str]
    needs: ClassVar[Stage]
    ensures: ClassVar[Stage]

    def run(self, graph: Graph) -> Graph: ...


Observer = Callable[[str, Graph, float], None]


def run_passes(graph: Graph, passes: Iterable[Pass], observe: Observer | None = None, *, verified: bool = True
               ) -> Graph:
    """Run passes in order, and verify the graph after each.

    Args:
        verified: whether the graph is verified after each pass, or, if False, after the last one only. That is a sixth
            of the time that a candidate of a search takes.
        observe: called after each pass with its name, the graph that it returned, and the seconds that it took.

    Raises:
        AssertionError: where a pass is given or returns a graph of another stage than it declares.
        CompileError: what a pass or the verification finds wrong with the graph.
    """
    given = graph
    for p in passes:
        if graph.stage != p.needs:
            raise AssertionError(f"pass {p.name} needs stage {p.needs.name}, got {graph.stage.name}")
        start = time.perf_counter()
        result = p.run(graph)
        graph = verify(result) if verified and result is not graph else result  # the same graph was verified before
        if graph.stage != p.ensures:
            raise AssertionError(f"pass {p.name} ensures stage {p.ensures.name}, gave {graph.stage.name}")
        if observe:
            observe(p.name, graph, time.perf_counter() - start)
    return graph if verified or graph is given else verify(graph)
