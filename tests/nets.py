"""Small networks, and samples for them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from snncompile.frontends.nir.export import export_nir
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Identity, Input, Linear, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array

INPUTS, HIDDEN, CLASSES = 6, 8, 3
SAMPLES, TICKS = 5, 9


def weights(out: int, into: int, seed: int) -> Array:
    return np.random.default_rng(seed).normal(0.3, 0.6, (out, into)).astype(np.float32)


def small(name: str = "small") -> Graph:
    """Six inputs, eight leaky neurons that also feed themselves, three more."""
    nodes = {
        "in": Input((INPUTS,)),
        "fc1": Linear(weights(HIDDEN, INPUTS, 1)),
        "lif1": Neuron.of("lif", Firing(), decay=0.875, threshold=1.0),
        "back": Linear(weights(HIDDEN, HIDDEN, 2) / 4),
        "fc2": Linear(weights(CLASSES, HIDDEN, 3)),
        "lif2": Neuron.of("lif", Firing(), decay=0.75, threshold=1.0),
        "out": Output(),
    }
    ends = [("in", "fc1"), ("fc1", "lif1"), ("lif1", "fc2"), ("fc2", "lif2"), ("lif2", "out"), ("back", "lif1")]
    return Graph(name, nodes, (*(Edge(a, b) for a, b in ends), Edge("lif1", "back", 1)))


def two_inputs() -> Graph:
    """Two inputs of different kinds into one population, and an output for each of two populations."""
    nodes = {
        "spikes": Input((4,)), "frame": Input((5,), "real", low=-1.0, high=1.0),
        "a": Linear(weights(HIDDEN, 4, 4)), "b": Linear(weights(HIDDEN, 5, 5)),
        "lif": Neuron.of("lif", Firing(), decay=0.5, threshold=1.0), "c": Linear(weights(CLASSES, HIDDEN, 6)),
        "li": Neuron.of("li", decay=0.5), "first": Output("last"), "second": Output(),
    }
    ends = [("spikes", "a"), ("frame", "b"), ("a", "lif"), ("b", "lif"), ("lif", "c"), ("c", "li"), ("li", "first"),
            ("lif", "second")]
    return Graph("two inputs", nodes, tuple(Edge(a, b) for a, b in ends))


def relay(name: str, population: str = "lif") -> Graph:
    """The smallest network, with names of one's choice."""
    nodes = {"in": Input((2,)), "join": Identity(), population: Neuron.of("lif", Firing(), decay=0.5, threshold=1.0),
             "out": Output()}
    return Graph(name, nodes, tuple(Edge(a, b) for a, b in zip(list(nodes), list(nodes)[1:], strict=False)))


def spikes(samples: int = SAMPLES, ticks: int = TICKS, size: int = INPUTS, seed: int = 0) -> Array:
    return (np.random.default_rng(seed).random((samples, ticks, size)) < 0.4).astype(np.float32)


def reals(samples: int = SAMPLES, ticks: int = TICKS, size: int = 5, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(-1, 1, (samples, ticks, size))


def nir_file(folder: Path, *, silent: bool = False) -> Path:
    """The small network as a NIR file; `silent` leaves out everything that NIR itself has no word for."""
    path = export_nir(small(), folder / ("silent.nir" if silent else "small.nir"))
    if silent:
        with h5py.File(path, "r+") as file:
            for group in (file["node"], *file["node/nodes"].values()):
                group.pop("metadata", None)
    return path
