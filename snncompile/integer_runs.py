"""Running a network in integers on many samples: by emitted C where that takes less time than the interpreter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snncompile.backends.c.host import Host, compiler
from snncompile.backends.products import expect_no_products
from snncompile.diagnostics import CompileError, fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces, run
from snncompile.ir.types import Array
from snncompile.report.report import synapses_into

WORTH_BUILDING = 5e10
"""From so many operations on, C is built: synapses, and UPDATE operations for each neuron, times ticks and samples. The
interpreter takes about two seconds for them, as long as a C compiler takes for some ten layers."""
UPDATE = 300
LEAST_SAMPLES = 32
"""Fewer samples are interpreted, since some are in any case."""
CHECKED_OF = 64
"""One of so many samples is interpreted too, and compared."""
RATED_SAMPLES = 8
"""The samples by which the activity of the inputs is measured."""


@dataclass
class IntegerRuns:
    """Runs an INT graph on samples.

    Attributes:
        host: the emitted C; None where the interpreter runs all samples.
        checked: the samples that the interpreter runs too, drawn by chance, by their number among all.
        done: how many samples were run so far.
    """

    graph: Graph
    host: Host | None = None
    checked: frozenset[int] = frozenset()
    done: int = 0

    @classmethod
    def of(cls, graph: Graph, samples: Mapping[str, Array]) -> IntegerRuns:
        """For these samples, `[sample, tick, *shape]` by input name, in real values."""
        count, ticks = next(iter(samples.values())).shape[:2]
        neurons = sum(math.prod(graph.shapes[n]) for n in graph.populations)
        work = count * ticks * (sum(synapses_into(graph, n) for n in graph.populations) + UPDATE * neurons)
        if count < LEAST_SAMPLES or work < WORTH_BUILDING:
            return cls(graph)
        drawn = np.random.default_rng(count).choice(count, -(-count // CHECKED_OF), replace=False)
        return cls(graph, _host(graph, samples), frozenset(map(int, drawn)))

    def run(self, x: Mapping[str, Array]) -> Traces:
        """The outputs, and what all populations emit, on the next samples: integers `[sample, tick, *shape]` by input.

        Raises:
            CompileError: SNN603 where emitted C computes something else than the interpreter.
        """
        if self.host is None:
            return run(self.graph, x, record=True)
        traces = self.host.trace(x, states=False)
        count = len(next(iter(x.values())))
        for i in range(count):
            if self.done + i in self.checked:
                self._check({n: v[i:i + 1] for n, v in x.items()}, traces, i)
        self.done += count
        return traces

    def _check(self, x: Mapping[str, Array], traces: Traces, i: int) -> None:
        wanted = run(self.graph, x, record=True)
        pairs = [(n, v, of[n]) for whole, of in ((wanted.outputs, traces.outputs), (wanted.emitted, traces.emitted))
                 for n, v in whole.items()]
        for name, value, found in pairs:
            if not np.array_equal(value[0], found[i]):
                fail("SNN603", shorten(name), f"emitted C gives other values than the interpreter in sample "
                     f"{self.done + i}", "the same in every tick", "report it with the network, please")


def _host(graph: Graph, samples: Mapping[str, Array]) -> Host | None:
    """The graph as emitted C, loaded; None where there is no C compiler that takes it."""
    if compiler() is None:
        return None
    try:
        expect_no_products(graph, "C")
        return Host.of(graph, {n: float(np.mean(v[:RATED_SAMPLES] != 0)) for n, v in samples.items()})
    except CompileError:
        return None
