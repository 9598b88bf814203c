"""Small networks in integers: Loihi's own neurons with registers of all kinds, and link patterns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from snncompile.ir.cells import Population
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.loihi import LoihiLif
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.types import Array, Stage
from snncompile.passes.pipeline import run_passes
from snncompile.passes.prove_ranges import ProveRanges

SIZE = 8


def loihi(populations: dict[str, LoihiLif | Population], links: Sequence[tuple[str, str, int]], seed: int = 0,
          weights: tuple[int, int] = (-60, 100), **entry: Any) -> Graph:
    """Populations of equal size, joined by even weights."""
    rng = np.random.default_rng(seed)
    made = {n: p.population() if isinstance(p, LoihiLif) else p for n, p in populations.items()}
    edges = [Edge(a, b, d, () if b == "y" else (Linear(2 * rng.integers(*weights, (SIZE, SIZE))),))
             for a, b, d in links]
    nodes = {"x": Input((SIZE,), **entry), **made, "y": Output()}
    return run_passes(Graph("loihi", nodes, tuple(edges), Stage.INT), [ProveRanges()])


REGISTERS = {
    "a": LoihiLif(100), "b": LoihiLif(200, 1000, 500), "c": LoihiLif(150, 0, 4096),
    "d": LoihiLif(150, 4096, 128, bias=320), "e": LoihiLif(90, 2048, 64, bias=np.arange(SIZE) * 7),
}
LINKS = [("x", "a", 0), ("a", "b", 0), ("b", "c", 0), ("a", "c", 0), ("c", "c", 1), ("c", "d", 0), ("d", "e", 0),
         ("e", "b", 4), ("e", "y", 0)]


def spikes(samples: int = 2, ticks: int = 25, seed: int = 0, rate: float = 0.4) -> dict[str, Array]:
    return {"x": (np.random.default_rng(seed).random((samples, ticks, SIZE)) < rate).astype(np.int64)}
