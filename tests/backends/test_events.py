"""Inputs as lists of events: the same as the frames that they stand for, and what does not fit is counted."""

from __future__ import annotations

import ctypes
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from snncompile.backends.c.emit import emit
from snncompile.backends.c.host import Host, build, compiler
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Conv, Input, Linear, Output
from snncompile.ir.populations import Neuron
from tests.backends.exactness import Case, flags, random_case
from tests.backends.firmware.running import on_this_machine
from tests.passes.chains import integer
from tests.strategies import random_graph

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler")
RNG = np.random.default_rng(5)


def counts(case: Case) -> list[str]:
    """The inputs whose values are numbers of spikes."""
    return [n for n, op in case.graph.inputs.items() if op.unit == 1 and op.low <= 0 < op.high]


def events_of(frame: np.ndarray, kind: Any) -> np.ndarray:
    """The positions of the spikes of a frame, in any order."""
    flat = frame.reshape(-1)
    return RNG.permutation(np.repeat(np.arange(flat.size), np.maximum(flat, 0))).astype(kind)


def step(host: Host, call: Any, inputs: list[np.ndarray | None], events: list[np.ndarray]) -> tuple[list[Any], int]:
    """A step with events where an input has them, else a frame; its outputs, and what is returned."""
    given, arguments = iter(events), []
    for frame, dtype in zip(inputs, host.interface.inputs.values(), strict=True):
        value = next(given) if frame is None else np.ascontiguousarray(frame, dtype)
        arguments.append(ctypes.c_void_p(value.ctypes.data))
        arguments += [ctypes.c_uint32(len(value))] if frame is None else []
        given_now.append(value)
    outputs = [np.empty(host.graph.shapes[n], dtype) for n, dtype in host.interface.outputs.items()]
    returned = call("step_events", *arguments, *(ctypes.c_void_p(v.ctypes.data) for v in outputs))
    return outputs, returned


given_now: list[np.ndarray] = []
"""Keeps what was passed alive."""


def start(host: Host) -> Any:
    memory = ctypes.create_string_buffer(getattr(host.library, f"{host.interface.prefix}_size")())

    def call(name: str, *arguments: Any) -> int:
        function = getattr(host.library, f"{host.interface.prefix}_{name}")
        function.restype = ctypes.c_uint32
        return int(function(ctypes.byref(memory), *arguments))

    call("init")
    return call


@pytest.mark.parametrize("shared", [False, True], ids=["own memory", "shared memory"])
@pytest.mark.parametrize("seed", range(7000, 7024))
def test_events_give_what_their_frames_give(seed, shared):
    """Memory is shared in programs for microcontrollers, which also compute the same on this machine."""
    case = random_case(random_graph(seed), seed)
    listed = [n for n in counts(case) if case.x[n].min(initial=0) >= 0]
    if listed != counts(case) or not listed:
        assert ("step_events" in emit(case.graph).files[f"{Host.of(case.graph).interface.prefix}.h"]) == bool(
            counts(case))
        return
    host = Host.load(case.graph, build(on_this_machine(case), flags())) if shared else Host.of(
        case.graph, case.rates, flags())
    call = start(host)
    kinds = {n: np.uint16 if case.x[n][0, 0].size <= 1 << 16 else np.uint32 for n in listed}
    for t in range(next(iter(case.x.values())).shape[1]):
        frames = [None if n in listed else case.x[n][0, t] for n in case.graph.inputs]
        found, left_out = step(host, call, frames, [events_of(case.x[n][0, t], kinds[n]) for n in listed])
        assert left_out == 0
        for value, wanted in zip(found, case.wanted.outputs.values(), strict=True):
            np.testing.assert_array_equal(value, wanted[0, t])


def test_most_random_networks_take_events():
    """So that the test above has something to compare."""
    taken = [seed for seed in range(7000, 7024) if counts(random_case(random_graph(seed), seed))]
    assert len(taken) > 10


def test_events_outside_of_the_frame_and_above_the_range_are_left_out():
    """A frame of 2 channels of 3 x 3. Of two events too many at one place, both are left out."""
    nodes = {"x": Input((2, 3, 3), high=2), "c": Conv(RNG.normal(0.3, 0.5, (4, 2, 2, 2))), "n": Neuron.of("if"),
             "y": Output()}
    graph = integer_chain(nodes)
    host = Host.of(graph)
    call = start(host)
    high = int(graph.inputs["x"].high)
    given = np.array([18, *[17] * (high + 2), 4, 60_000], np.uint16)
    frame = np.zeros(18, np.int64)
    frame[[17, 4]] = high, 1
    (found,), left_out = step(host, call, [None], [given])
    assert left_out == 4
    np.testing.assert_array_equal(found, run(graph, frame.reshape(1, 1, 2, 3, 3)).outputs["y"][0, 0])


def test_no_events_are_a_frame_of_zeros():
    """The membrane of the first tick leaks into the second, in which nothing arrives."""
    nodes = {"x": Input((4,), high=1), "c": Linear(np.full((3, 4), 0.4)), "n": Neuron.of("lif", decay=0.9),
             "y": Output()}
    graph = integer_chain(nodes)
    host = Host.of(graph)
    call = start(host)
    wanted = run(graph, np.array([[[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]])).outputs["y"][0]
    for t, events in enumerate(([0, 1], [], [3, 1, 2, 0])):
        (found,), _ = step(host, call, [None], [np.array(events, np.uint16)])
        np.testing.assert_array_equal(found, wanted[t])
    assert wanted.any()


def integer_chain(nodes: dict[str, Any]) -> Graph:
    """A chain of nodes in integers, calibrated on random counts."""
    graph = Graph("net", nodes, tuple(Edge(a, b) for a, b in pairwise(nodes)))
    shape = nodes["x"].shape
    return integer(graph, {"x": RNG.integers(0, nodes["x"].high + 1, (2, 8, *shape)).astype(float)})
