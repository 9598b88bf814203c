"""Retimed graphs against the graphs they came from, and the link patterns of searched networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import in_network_ticks, run
from snncompile.ir.op import Op
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array
from snncompile.model import inside_differences
from snncompile.passes.pipeline import run_passes
from snncompile.passes.retime.retime import Retime
from tests.passes.chains import integer
from tests.strategies import inputs_for

SIZE = 5


def retimed(graph: Graph, **options: Any) -> Graph:
    return run_passes(graph, [Retime(**options)])


def delays_apart(graph: Graph, mapped: Graph, x: Mapping[str, Array]) -> list[str]:
    """Where a retimed graph does not do what the graph does, in the ticks that its schedule names."""
    schedule = mapped.schedule
    ticks = next(iter(x.values())).shape[1]
    wanted = run(graph, x, record=True, states=True)
    hardware = run(mapped, schedule.present(x), record=graph.populations, states=True)
    got = in_network_ticks(mapped, hardware, ticks)
    wrong = inside_differences(wanted, got)
    return wrong + [n for n, v in wanted.outputs.items() if not np.array_equal(v, got.outputs[n])]


def differences(graph: Graph, **options: Any) -> list[str]:
    """The same for random input."""
    return delays_apart(graph, retimed(graph, **options), inputs_for(graph, ticks=11))


def hops(mapped: Graph) -> dict[str, int]:
    """The delay of every projection, by its label."""
    return {e.label: e.delay for e in mapped.edges if not isinstance(mapped.nodes[e.dst], Output)}


def lif(**choices: Any) -> Neuron:
    return Neuron.of("lif", Firing(), **{"decay": 0.75, "threshold": 1.0, **choices})


def leakless(**choices: Any) -> Neuron:
    """A neuron that stays as it is between two inputs."""
    return Neuron.of("if", Firing(reset="value"), **{"threshold": 1.0, **choices})


def wired(links: Sequence[tuple[str, str, int]], make: Any = lif, seed: int = 0) -> Graph:
    """An INT graph of populations of equal size, one for each name but `x` and `y`, with a weight for each link."""
    rng = np.random.default_rng(seed)
    names = dict.fromkeys(n for a, b, _ in links for n in (a, b))
    nodes: dict[str, Op] = {n: Input((SIZE,)) if n == "x" else Output() if n == "y" else make() for n in names}
    edges: list[Edge] = []
    for k, (a, b, delay) in enumerate(links):
        if b == "y":
            edges.append(Edge(a, b, delay))
            continue
        nodes[f"w{k}"] = Linear(rng.integers(-20, 40, (SIZE, SIZE)) / 64)
        edges += [Edge(a, f"w{k}", delay), Edge(f"w{k}", b)]
    return integer(Graph("net", nodes, tuple(edges)), calibration_of(nodes))


def calibration_of(nodes: Mapping[str, Op]) -> dict[str, Array]:
    return {"x": (np.random.default_rng(1).random((3, 12, SIZE)) < 0.6).astype(float)}


def chain(*names: str) -> list[tuple[str, str, int]]:
    return [(a, b, 0) for a, b in pairwise(names)]


RESIDUAL = [*chain("x", "a", "b", "c", "d", "e", "y"), ("a", "c", 0), ("c", "e", 0)]
DENSE = [("x", "a", 0), *((s, t, 0) for i, t in enumerate("bcde") for s in ["x", *"abcd"[:i + 1]]), ("e", "y", 0)]
U_SHAPED = [*chain("x", "a", "b", "c", "d", "e", "f", "y"), ("a", "f", 0), ("b", "e", 0), ("x", "f", 0)]
BACKWARD = [*chain("x", "a", "b", "c", "d", "y"), ("b", "a", 1), ("d", "b", 1), ("c", "c", 1)]
CELL = [("x", "a", 0), ("x", "b", 0), ("a", "b", 0), ("a", "c", 0), ("b", "c", 0), ("c", "a", 1), ("c", "b", 1),
        ("b", "a", 1), ("c", "y", 0)]
"""Four nodes of which each sends forward to all later ones in the same tick, and backward one tick later."""
PATTERNS = {"residual": RESIDUAL, "densenet": DENSE, "u-net": U_SHAPED, "backward": BACKWARD, "cell": CELL}
