"""The benchmarks' networks compiled by snncompile, checked against the integer reference, ready to be timed."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
from networks import Array, Network

import snncompile as sc
from snncompile.backends.c.host import Host
from snncompile.inputs import integers

CALIBRATION_SEED = 2
Call = Callable[[], Array]


def compiled(network: Network) -> sc.CompiledModel:
    """8-bit weights for C99, kernels chosen from rates on samples other than those that are timed."""
    return sc.compile(network.graph, "c99", calibration=network.spikes(4, CALIBRATION_SEED), weight_bits=8)


def check(model: sc.CompiledModel, x: Array) -> str:
    """Raise unless the emitted C equals the integer reference in every population, tick and sample."""
    given = integers(model.graph, x)
    wanted, got = sc.run(model.graph, given, record=True, states=True), model.trace(x)
    outputs = model.run(x).all_outputs
    for name, values in wanted.outputs.items():
        if not np.array_equal(values, outputs[name]):
            raise SystemExit(f"{model.graph.name}: output {name} differs from the integer reference")
    for name, values in wanted.emitted.items():
        states = all(np.array_equal(v, got.states[name][s]) for s, v in wanted.states[name].items())
        if not states or not np.array_equal(values, got.emitted[name]):
            raise SystemExit(f"{model.graph.name}: population {name} differs from the integer reference")
    return f"C = integers in {len(wanted.emitted)} populations"


def c_calls(model: sc.CompiledModel, x: Array) -> list[Call]:
    """For each sample a call of the emitted `reset` and `run` on buffers that are ready."""
    if model.host is None:
        raise SystemExit("a C compiler is needed")
    host = model.host.host
    assert isinstance(host, Host)
    prefix, library = host.interface.prefix, host.library
    size = getattr(library, f"{prefix}_size")
    size.restype = ctypes.c_size_t
    memory = ctypes.create_string_buffer(size())
    reset, run = getattr(library, f"{prefix}_reset"), getattr(library, f"{prefix}_run")
    getattr(library, f"{prefix}_init")(memory)
    ticks = ctypes.c_uint32(x.shape[1])

    given = np.ascontiguousarray(x, np.uint8)
    outputs = np.empty((*x.shape[:2], *model.golden.outputs["output"].shape[2:]), np.uint8)

    def call(i: int, source: ctypes.c_void_p, target: ctypes.c_void_p) -> Array:
        reset(memory)
        run(memory, ticks, source, target)
        return outputs[i]

    pointers = [[ctypes.c_void_p(a[i].ctypes.data) for a in (given, outputs)] for i in range(len(x))]
    # The default argument keeps the arrays alive, which pointers do not.
    return [lambda i=i, p=p, alive=given: call(i, *p) for i, p in enumerate(pointers)]


def python_calls(model: sc.CompiledModel, x: Array) -> list[Call]:
    """For each sample a call of `model.run`."""
    samples = [np.asarray(sample[None], np.uint8) for sample in x]
    return [lambda sample=sample: model.run(sample).outputs[0] for sample in samples]
