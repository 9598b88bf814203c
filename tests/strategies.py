"""Random well-formed FLOAT graphs, for hypothesis (`graphs`) and for plain seeds (`random_graph`).

Weights, thresholds and decays are small multiples of powers of two, so that float64 sums over a few ticks are exact.
Graphs are small on purpose: thousands can be run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from hypothesis import strategies as st

from snncompile.ir.graph import Graph
from snncompile.ir.rules import When
from snncompile.ir.types import Array, Stage

T = TypeVar("T")


@dataclass(frozen=True)
class Features:
    """What random graphs may hold; the defaults allow everything. The rule "own" is one that the library lacks."""

    rules: tuple[str, ...] = ("if", "lif", "plif", "cubalif", "alif", "llif", "slif", "qlif", "threshold", "euler_lif",
                              "alpha", "own")
    graded: tuple[str, ...] = ("li", "integrator", "cubali", "accumulator", "euler_li")
    layers: int = 6
    loops: bool = True
    graded_loops: bool = True
    skips: bool = True
    delays: bool = True
    real_inputs: bool = True
    linear_readout: bool = True
    several_inputs: bool = True
    odd_names: bool = True
    max_spikes: tuple[int | None, ...] = (1, 3, None)
    when: tuple[When, ...] = ("same", "before-decay", "after-decay", "drop-input", "carried")
    given: bool = False  # layers whose weights are integers, and a scale of their step


EVERYTHING = Features()
LIBRARY = Features(rules=EVERYTHING.rules[:-1])


class Chooser(Protocol):
    """Where random choices come from; small answers are the simple ones."""

    def integer(self, low: int, high: int) -> int: ...

    def array(self, low: int, high: int, shape: tuple[int, ...]) -> Array: ...


class Dice:
    """Choices from a seed."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)

    def integer(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def array(self, low: int, high: int, shape: tuple[int, ...]) -> Array:
        return self.rng.integers(low, high + 1, shape)


class Drawn:
    """Choices that hypothesis makes, and shrinks."""

    def __init__(self, draw: st.DrawFn):
        self.draw = draw

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def array(self, low: int, high: int, shape: tuple[int, ...]) -> Array:
        return np.random.default_rng(self.integer(0, 255)).integers(low, high + 1, shape)


@dataclass(frozen=True)
class Choices:
    """The choices that builders make, in terms of a chooser's integers."""

    chooser: Chooser

    def integer(self, low: int, high: int) -> int:
        return self.chooser.integer(low, high)

    def one(self, options: Sequence[T]) -> T:
        return options[self.chooser.integer(0, len(options) - 1)]

    def chance(self, percent: int) -> bool:
        return self.chooser.integer(0, 99) >= 100 - percent

    def dyadic(self, low: int, high: int, denominator: int = 64) -> float:
        """A multiple of `1/denominator`, its numerator in `[low, high]`."""
        return self.chooser.integer(low, high) / denominator

    def weights(self, *shape: int, low: int = -40, high: int = 64) -> Array:
        return self.chooser.array(low, high, shape) / 64.0


def random_graph(seed: int, features: Features = EVERYTHING) -> Graph:
    """The well-formed FLOAT graph of a seed."""
    from tests.random_graphs import build

    return build(Choices(Dice(seed)), features)


def random_graphs(first: int, count: int, operator: str | None = None, features: Features = EVERYTHING
                  ) -> Iterator[tuple[int, Graph]]:
    """The FLOAT graphs of so many seeds from the first one on, with their seeds.

    Args:
        operator: the word of an operator, such as "conv"; seeds whose graphs lack it are left out.
    """
    made = ((seed, random_graph(seed, features)) for seed in itertools.count(first))
    return itertools.islice(((seed, graph) for seed, graph in made
                             if operator in (None, *(op.kind() for op in graph.nodes.values()))), count)


@st.composite
def graphs(draw: st.DrawFn, features: Features = EVERYTHING) -> Graph:
    """Well-formed FLOAT graphs."""
    from tests.random_graphs import build

    return build(Choices(Drawn(draw)), features)


def inputs_for(graph: Graph, seed: int = 0, samples: int = 3, ticks: int = 7) -> Mapping[str, Array]:
    """Random input `[sample, tick, *shape]` for every input of a graph, in the range the input declares.

    Integers for an INT graph. Real values are multiples of 1/16.
    """
    rng = np.random.default_rng(seed)
    return {name: _values(rng, graph, name, (samples, ticks)) for name in graph.inputs}


def _values(rng: np.random.Generator, graph: Graph, name: str, lead: tuple[int, int]) -> Array:
    op = graph.inputs[name]
    shape = (*lead, *op.shape)
    kind: Any = np.int64 if graph.stage == Stage.INT else np.float64
    if op.values == "spike":
        counts = rng.integers(1, int(op.high) + 1, shape)
        return np.asarray(counts * (rng.random(shape) < 0.35), kind)
    if graph.stage == Stage.INT:
        return rng.integers(int(op.low), int(op.high) + 1, shape)
    return np.clip(np.round(rng.uniform(op.low, op.high, shape) * 16) / 16, op.low, op.high)
