"""Small networks in integers: Loihi's own neurons with registers of all kinds, and link patterns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from snncompile.inputs import integers
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.loihi import LoihiLif
from snncompile.ir.op import Op
from snncompile.ir.ops import (
    AvgPool,
    Conv,
    Identity,
    Input,
    Linear,
    Output,
    Pad,
    Reshape,
    Scale,
    Upsample,
)
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array, Stage
from snncompile.passes.legalize.canonicalize import Canonicalize
from snncompile.passes.legalize.fold_scales import FoldScales
from snncompile.passes.legalize.form_populations import FormPopulations
from snncompile.passes.pipeline import run_passes
from snncompile.passes.quantize.calibrate import calibrate
from snncompile.passes.quantize.prove_ranges import ProveRanges
from snncompile.passes.table import Choices, passes_of
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.load import load_target
from tests.strategies import Features, inputs_for, random_graph

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


LOIHI = Arithmetic(membrane_bits=24, decay_bits=12, rounding="zero", per="layer", neuron="loihi")
PLAIN = Features(rules=("if", "lif", "cubalif"), graded=(), when=("same",), max_spikes=(1,), real_inputs=False)


def random_loihi(seed: int) -> tuple[Graph, dict[str, Array]]:
    """A random graph in Loihi's registers as far as its neurons have that form, and input for it."""
    graph = random_graph(seed, PLAIN)
    nodes = {n: _plain(op, seed) if isinstance(op, Neuron) else op for n, op in graph.nodes.items()}
    graph = graph.replace(nodes=nodes)
    legal = run_passes(graph, (Canonicalize(), FormPopulations("flatten"), FoldScales()))
    x = dict(inputs_for(graph, seed, 2))
    whole = run_passes(legal, passes_of(Choices(load_target("c99"), LOIHI, calibrate(legal, x)), "quantize", "ranges"))
    return whole, integers(whole, x)


def u_net(reset: Any) -> Graph:
    """Convolutions, a norm and pools down, a residual sum, up again, a concatenation, and a recurrent readout."""
    rng = np.random.default_rng(0)

    def conv(out: int, into: int) -> Conv:
        return Conv(rng.normal(0.15, 0.5, (out, into, 3, 3)), rng.normal(0.05, 0.05, out), padding=((1, 1), (1, 1)))

    def lif() -> Neuron:
        return Neuron.of("lif", Firing(reset=reset), decay=0.75, threshold=1.0)

    nodes: dict[str, Op] = {
        "x": Input((2, 8, 8)), "c1": conv(4, 2), "norm": Scale(rng.uniform(0.5, 1.5, (4, 1, 1)), 0.05), "n1": lif(),
        "pool": AvgPool((2, 2), (2, 2)), "c2": conv(8, 4), "n2": lif(), "c3": conv(8, 8), "n3": lif(),
        "sum": Identity(), "up": Upsample((2, 2)), "first": Pad(((0, 4), (0, 0), (0, 0))),
        "second": Pad(((8, 0), (0, 0), (0, 0))), "both": Identity(), "c4": conv(4, 12), "n4": lif(),
        "flat": Reshape((256,)), "fc": Linear(rng.normal(0, 0.2, (5, 256))), "n5": lif(),
        "back": Linear(rng.normal(0, 0.2, (5, 5))), "y": Output(),
    }
    paths = ["x c1 norm n1 pool c2 n2 c3 n3 sum up first both c4 n4 flat fc n5 y", "n2 sum", "n1 second both",
             "back n5"]
    edges = [Edge(a, b) for path in paths for a, b in pairwise(path.split())]
    return Graph("u-net", nodes, (*edges, Edge("n5", "back", 1)))


def _plain(neuron: Neuron, seed: int) -> Neuron:
    """The neuron of one threshold, one decay and a hard reset; for some seeds what else it has stays."""
    if seed % 4 == 0:
        return neuron
    kept = {n: v if n == "bias" else float(np.asarray(v).flat[0]) for n, v in neuron.params.items()
            if n not in ("v_min", "v_reset")}
    return Neuron(neuron.rule, kept, Firing(neuron.firing.compare, "value"), neuron.options)


def spikes(samples: int = 2, ticks: int = 25, seed: int = 0, rate: float = 0.4) -> dict[str, Array]:
    return {"x": (np.random.default_rng(seed).random((samples, ticks, SIZE)) < rate).astype(np.int64)}
