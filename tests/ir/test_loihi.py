"""Loihi's neuron against a scalar rendering of what Lava's bit-accurate model does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import Traces, run
from snncompile.ir.loihi import LoihiLif, Periodic
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import Population
from snncompile.ir.types import Stage
from snncompile.ir.verify import verify
from snncompile.passes.quantize.prove_ranges import ProveRanges


@dataclass
class Scalar:
    """One neuron in plain Python, after lava-nc 0.10.0."""

    threshold: int
    current_decay: int
    voltage_decay: int
    bias: int
    u: int = 0
    v: int = 0

    def step(self, x: int) -> int:
        self.u = _toward_zero(self.u, self.current_decay) + x * 64
        if self.u > 1 << 23:
            self.u -= 1 << 24
        if self.u <= -(1 << 23):
            self.u += 1 << 24
        v = _toward_zero(self.v, self.voltage_decay) + self.u + self.bias
        v = max(-(1 << 23) + 1, min((1 << 23) - 1, v))
        spike = int(v > self.threshold * 64)
        self.v = 0 if spike else v
        return spike


def _toward_zero(value: int, decay: int) -> int:
    size = abs(value) * (4096 - decay) // 4096
    return size if value >= 0 else -size


def traces(lif: LoihiLif, x: list[int], largest: int, prove: bool = True) -> Traces:
    graph = Graph("one", {"x": Input((1,), "real", -largest, largest), "n": lif.population(), "y": Output()},
                  (Edge("x", "n", 0, (Linear(np.array([[1]], np.int8)),)), Edge("n", "y")), Stage.INT)
    graph = ProveRanges().run(verify(graph)) if prove else verify(graph)
    return run(graph, np.array(x).reshape(1, -1, 1), record=True, states=True)


DECAYS = st.one_of(st.sampled_from([0, 1, 4095, 4096]), st.integers(0, 4096))
PEAK = 3 * (1 << 23) // 128


@given(st.integers(1, 131071), DECAYS, DECAYS, st.integers(-4096 << 7, 4095 << 7),
       st.lists(st.integers(-PEAK, PEAK), min_size=1, max_size=12), st.booleans())
def test_it_computes_what_lava_does(threshold: int, current: int, voltage: int, bias: int, x: list[int],
                                    prove: bool) -> None:
    """Also where the current wraps and the membrane saturates, and after ranges were proved."""
    found = traces(LoihiLif(threshold, current, voltage, bias), x, PEAK, prove)
    cell = Scalar(threshold, current, voltage, bias)
    for t, value in enumerate(x):
        assert cell.step(value) == found.emitted["n"][0, t, 0]
        assert cell.v == found.states["n"]["v"][0, t, 0]
        assert cell.u == found.states["n"]["u"][0, t, 0] if "u" in found.states["n"] else current == 4096


def test_a_membrane_at_its_threshold_does_not_fire() -> None:
    assert traces(LoihiLif(1), [1, 0, 1], 8).emitted["n"].ravel().tolist() == [0, 0, 1]


def test_what_is_left_of_a_current_is_rounded_toward_zero() -> None:
    """Lava's `du = 0` still takes one from a thousand each tick."""
    found = traces(LoihiLif(131071, current_decay=1), [-16, 0, 0, 0], 16)
    assert found.states["n"]["u"].ravel().tolist() == [-1024, -1023, -1022, -1021]


@pytest.mark.parametrize("phase", [0, 1, 3])
def test_periodic_resets_come_before_the_tick(phase: int) -> None:
    """`v / 64` counts the ticks since the last reset, as Lava's LIFReset does."""
    found = traces(LoihiLif(100, 2048, 0, 64, Periodic(4, phase)), [0] * 10, 4)
    since = [t if t < phase else (t - phase) % 4 for t in range(10)]
    assert (found.states["n"]["v"].ravel() // 64 - 1).tolist() == since


def test_registers_may_differ_between_neurons() -> None:
    lif = LoihiLif(np.array([1, 2]), np.array([4096, 2048]), np.array([0, 4096]), np.array([0, 64]))
    graph = Graph("two", {"x": Input((2,), "real", -9, 9), "n": lif.population(), "y": Output()},
                  (Edge("x", "n"), Edge("n", "y")), Stage.INT)
    x = np.array([[[1, 1], [1, 0], [1, 2], [0, 1]]])
    found = run(ProveRanges().run(verify(graph)), x).outputs["y"]
    cells = [Scalar(1, 4096, 0, 0), Scalar(2, 2048, 4096, 64)]
    assert found[0].tolist() == [[c.step(int(v)) for c, v in zip(cells, row, strict=True)] for row in x[0]]


def test_where_nothing_can_wrap_or_saturate_nothing_does() -> None:
    """Proved ranges leave the bare arithmetic."""
    graph = Graph("one", {"x": Input((1,), "real", -9, 9), "n": LoihiLif(10, 4096, 1024).population(), "y": Output()},
                  (Edge("x", "n"), Edge("n", "y")), Stage.INT)
    (proved,) = ProveRanges().run(graph).populations.values()
    assert isinstance(proved, Population)
    assert not {"wrap", "min", "max"} & {s.op for s in proved.program.steps}
