"""Networks of the field on FPGAs: trained ones, public ones, and the shapes that other generators do not take."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import snncompile as sc
from snncompile.data import read_input
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array
from snncompile.search.net import Net
from snncompile.search.numbers import with_random_numbers

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("SNNC_SHARED_DATA", ROOT.parent / "shared" / "data"))


@dataclass(frozen=True)
class Sampled:
    """A network, samples for it, and how it is compiled."""

    graph: Graph
    x: Array
    options: Mapping[str, Any] = field(default_factory=dict)


def example(name: str) -> ModuleType:
    """A module of the examples."""
    folder = str(ROOT / "examples" / ("digits" if name == "dataset" else name))
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)


def digits() -> Sampled:
    """The demo: convolutions and a pool, with real values for input, on held-out digits."""
    _, held_out = example("dataset").digits()
    return Sampled(sc.load(ROOT / "examples" / "digits" / "digits.nir"), held_out.over_time()[:20])


def cnn_sinabs() -> Sampled:
    """A convolutional network of sinabs, on the first 60 ticks of recordings of an event camera."""
    x = read_input(SHARED / "nmnist" / "test.csv", (2, 34, 34), ticks=310, tick_us=1000)[:2]
    return Sampled(sc.load(SHARED / "nir" / "cnn_sinabs.nir", as_="sinabs", v_min=-1.0), x[:, :60])


def braille() -> Sampled:
    """A recurrent network of snnTorch with current-based neurons."""
    x = (np.random.default_rng(0).random((8, 100, 12)) < 0.1).astype(np.uint8)
    return Sampled(sc.load(SHARED / "nir" / "braille_noDelay_bias_zero.nir", as_="snntorch"), x)


def qsnn(bits: int = 2) -> Sampled:
    """Weights of 1 bit and membranes of 2 bits, whose layers all fire."""
    import torch

    from snncompile.training import over_time

    module = example("qsnn")
    torch.manual_seed(0)
    net = module.network(bits, form="paper")
    frames = np.random.default_rng(0).integers(0, 17, (12, 1, 8, 8)).astype(float)
    with torch.no_grad():
        for at, gain in ((0, 0.3), (2, 6.0), (5, 6.0), (8, 8.0)):
            net[at].weight *= gain
        net.train()
        for _ in range(8):
            over_time(net, [torch.tensor(frames).float()] * 5)
    graph = sc.load(net.double().eval(), example_input=torch.full((1, 1, 8, 8), 16.0), values="spike")
    return Sampled(graph, np.repeat(frames[:, None], 5, axis=1), {"table_bits": 16})


def residual() -> Sampled:
    """Blocks of two convolutions with a shortcut around them, the second one with a stride."""
    net = Net((2, 8, 8))
    net.conv(8, 3).norm().lif(decay=0.5)
    for width, stride in ((8, 1), (16, 2)):
        start = net.tap()
        net.conv(width, 3, stride=stride).norm().lif(decay=0.5).conv(width, 3).norm()
        straight = net.tap()
        if stride > 1:
            net.at(start).conv(width, 1, stride=stride).norm()
            net.add(straight)
        else:
            net.add(start)
        net.lif(decay=0.5)
    return _random(net.pool(4).linear(10).lif(decay=0.75).graph())


def backward() -> Sampled:
    """A chain of convolutions as BCNAS finds them: a backward link of one tick, and a shortcut."""
    net = Net((2, 8, 8))
    net.conv(8, 3).norm().lif(decay=0.5)
    first = net.tap()
    net.conv(8, 3).norm().lif(decay=0.5).conv(8, 3).norm().add(first).lif(decay=0.5)
    net.back(first)
    return _random(net.pool(2).linear(10).lif(decay=0.75).graph())


def _random(graph: Graph) -> Sampled:
    return Sampled(with_random_numbers(graph), (np.random.default_rng(0).random((6, 8, 2, 8, 8)) < 0.2).astype(float))


NETWORKS: Mapping[str, Callable[[], Sampled]] = {
    f.__name__: f for f in (digits, cnn_sinabs, braille, qsnn, residual, backward)}
