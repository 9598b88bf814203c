"""Small random candidates of a search, and variants of targets whose limits lie near what a candidate uses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

import snncompile as sc
from snncompile.ir.graph import Graph
from snncompile.ir.rules import Firing
from snncompile.mapping.partition import has_cores
from snncompile.search.hardware import variants
from snncompile.search.net import Net
from snncompile.targets.target import Target

Generator = np.random.Generator
NEURONS = {"loihi1": ("if", "lif", "cubalif"), "speck2f": ("if",), "truenorth": ("if",), "xylo-a2": ("cubalif",)}
"""The neurons that candidates have on a target, nearly always; on other targets, those of `ANY`."""
ANY = ("if", "lif", "cubalif")
POOLS = {"c99": ("avg", "max", "sum")}
WIDTHS = {"truenorth": (2,), "c99": (None, 1, 4, 8)}
"""Bits of weights by target; TrueNorth has 4 different weights a neuron."""
WHOLE = {"neurons": "neurons", "synapses": "synapses", "fan_in": "fan-in", "inputs": "inputs", "outputs": "outputs",
         "hidden_neurons": "hidden-neurons"}
"""Limits of chips and neurons, and the rules that compare them."""
CORE = {"in_axons_per_core": "in-axons", "synapse_bits_per_core": "synapse-memory"}
"""Limits of cores that a rule compares with what a neuron needs."""
WORDS = ("kernel_words", "neuron_words")
LOOSE = 1 << 40


def candidate(seed: int, target: str) -> Graph:
    """A small network without weights, of what a target has, with now and then something that it lacks."""
    rng = np.random.default_rng(seed)
    kind = target if rng.random() < 0.95 else "c99"
    shape = (int(rng.integers(2, 17)),)
    if kind != "xylo-a2" and rng.random() < 0.8:
        shape = (int(rng.integers(1, 4)), *(int(n) for n in rng.integers(4, 11, 2)))
    net = Net(shape, name=f"candidate{seed}")
    for _ in range(int(rng.integers(1, 5))):
        _layer(net, kind, rng)
    if rng.random() < 0.5:
        net.linear(int(rng.integers(2, 11)), **_weights(kind, rng))
        _neuron(net, kind, rng)
    return net.graph()


def _layer(net: Net, kind: str, rng: Generator) -> None:
    """A layer of weights and its neurons, some with a pool, a shortcut, a loop or a delay."""
    loops = kind not in ("speck2f", "xylo-a2") or rng.random() < 0.05
    if len(net.shape) > 1 and min(net.shape[1:]) > 3 and rng.random() < 0.2 and kind != "xylo-a2":
        net.pool(2, kind=str(rng.choice(POOLS.get(kind, ("sum",)))))
    entry = net.tap()
    _connect(net, kind, rng)
    before = net.tap()
    if loops and before.shape == entry.shape and rng.random() < 0.5:
        net.add(entry, delay=int(rng.integers(0, 3)))
    elif loops and rng.random() < 0.1:
        net.late(int(rng.integers(1, 12)))
    before = net.tap()
    _neuron(net, kind, rng)
    if loops and rng.random() < 0.2:
        after = net.tap()
        if rng.random() < 0.5:
            _connect(net, kind, rng, int(before.shape[0]))
        if net.shape == before.shape:
            net.back(before, int(rng.integers(1, 4)))
        net.at(after)


def _connect(net: Net, kind: str, rng: Generator, same: int | None = None) -> None:
    """A convolution or a linear layer; with `same`, one of so many channels that keeps the shape."""
    if kind == "xylo-a2" or len(net.shape) == 1:
        net.linear(same or int(rng.integers(2, 24)), **_weights(kind, rng))
        return
    channels, kernel = same or int(rng.integers(1, 13)), int(rng.choice([1, 3, 3, 5]))
    stride = 2 if same is None and min(net.shape[1:]) > 3 and rng.random() < 0.25 else 1
    groups = net.shape[0] if kind != "speck2f" and channels % net.shape[0] == 0 and rng.random() < 0.15 else 1
    net.conv(channels, kernel, stride=stride, groups=groups, **_weights(kind, rng))


def _weights(kind: str, rng: Generator) -> dict[str, Any]:
    widths = WIDTHS.get(kind, (None, 1, 3, 4, 8))
    return {"bits": widths[int(rng.integers(len(widths)))], "bias": bool(rng.random() < 0.15),
            "density": float(rng.choice([0.1, 0.4, 0.8])) if rng.random() < 0.2 else None}


def _neuron(net: Net, kind: str, rng: Generator) -> None:
    firing = Firing(reset="value") if kind == "loihi1" or rng.random() < 0.2 else Firing()
    net.neuron(str(rng.choice(NEURONS.get(kind, ANY))), firing=firing)


def near(graph: Graph, target: Target, seed: int) -> Target:
    """A variant of the target in which one limit is at most 20 % above or below what the candidate uses of it.

    Targets with cores have small ones, so that a small network takes many. The number of cores lies between 0.8 times
    what the rules know and 1.2 times what a packing takes.
    """
    rng = np.random.default_rng(seed)
    if target.network.layer_per_core:
        return _few_words(graph, target, rng)
    small = _small_cores(target, rng) if has_cores(target) else target
    known = {**WHOLE, **CORE} if has_cores(target) else WHOLE
    margins = sc.check(graph, small.with_(**dict.fromkeys(known, LOOSE)), cost=False).margins
    limits = [figure for figure, rule in known.items() if margins[rule] > -1]
    if has_cores(target) and rng.random() < 0.6:
        return _few_cores(graph, small, rng)
    figure = str(rng.choice(limits))
    used = round((margins[known[figure]] + 1) * LOOSE)
    return _variant(small, **{figure: _about(used, used, rng)})


def _about(low: int, high: int, rng: Generator) -> int:
    return max(1, round(rng.uniform(0.8 * low, 1.2 * high)))


def _variant(target: Target, **figures: Any) -> Target:
    return variants(target, **{name: (value,) for name, value in figures.items()})[0]


def _small_cores(target: Target, rng: Generator) -> Target:
    sizes = {"neurons_per_core": (4, 200), "in_axons_per_core": (30, 1000), "out_axons_per_core": (30, 1000),
             "synapse_bits_per_core": (2_000, 100_000)}
    present = [name for name in sizes if getattr(target.limits, name) is not None]
    drawn = {n: round(float(np.exp(rng.uniform(*np.log(sizes[n]))))) for n in present if rng.random() < 0.8}
    return dataclasses.replace(target.with_(**drawn), name=f"small {target.name}") if drawn else target


def _few_cores(graph: Graph, target: Target, rng: Generator) -> Target:
    """A variant with about as many cores as the candidate needs."""
    many = sc.check(graph, target.with_(cores=LOOSE), cost=False, packed=True)
    least = round((many.margins["cores"] + 1) * LOOSE)
    return _variant(target, cores=_about(least, many.cores or least, rng))


def _few_words(graph: Graph, target: Target, rng: Generator) -> Target:
    """A variant whose cores have about as many words of one kind as the layers of the candidate need."""
    kind = str(rng.choice(WORDS))
    words = getattr(target.memory, kind)

    def scaled(factor: float) -> Target:
        return _variant(target, **{kind: tuple(max(1, round(n * factor)) for n in words)})

    return scaled(_least(lambda f: sc.check(graph, scaled(f), cost=False).ok) * float(rng.uniform(0.8, 1.2)))


def _least(fits: Callable[[float], bool]) -> float:
    """The least factor up to 1 with which a candidate fits, to some percent; 1 where none does."""
    low, high = 2.0 ** -16, 1.0
    if not fits(high):
        return high
    for _ in range(10):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


