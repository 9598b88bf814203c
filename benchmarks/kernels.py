"""Time of each kernel of the emitted C on single layers, at several rates: what the costs of kernels are taken from.

    python benchmarks/kernels.py [--rates 0.01 0.03 0.1 0.3 0.8] [--rounds 9] [--json FILE]

Each layer is a network of its own, whose population emits what reaches it. All kernels of a layer take turns in one
process, and their outputs must be equal.
Figures are the least CPU time of a tick, in microseconds.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from inference import machine, pin_to_one_core

from snncompile.backends.c.emit import emit
from snncompile.backends.c.host import Host, build
from snncompile.backends.plan.kernels.table import WEIGHTED
from snncompile.backends.plan.plan import plan
from snncompile.ir.expr import Expr, flatten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Input, Linear, Output
from snncompile.ir.populations import Population
from snncompile.ir.types import Array, Shape, Stage
from snncompile.passes.pipeline import run_passes
from snncompile.passes.quantize.prove_ranges import ProveRanges

TICKS = 8
TURN_US = 3000
PASSING = Population(flatten(Expr("input"), {}), {}, {}, 1.0, -(1 << 62), 1 << 62, True)


@dataclass(frozen=True)
class Site:
    """A layer, the shape of what it reads, and the largest count of spikes of an element."""

    name: str
    op: Layer
    shape: Shape
    most: int


def linear(fan_in: int, out: int, most: int = 1) -> Site:
    """A fully connected layer."""
    return Site(f"linear {fan_in}-{out}" + f" counts to {most}" * (most > 1), Linear(_weights((out, fan_in))),
                (fan_in,), most)


def conv(fan_in: int, out: int, size: int, kernel: int = 3, stride: int = 1, groups: int = 1, most: int = 1) -> Site:
    """A convolution over an image of `size` x `size` places, padded to keep the size at a stride of 1."""
    pad = kernel // 2
    op = Conv(_weights((out, fan_in // groups, kernel, kernel)), None, (stride, stride), ((pad, pad), (pad, pad)),
              groups=groups)
    name = f"conv {fan_in}-{out} k{kernel} at {size}" + f" stride {stride}" * (stride > 1) + \
        f" groups {groups}" * (groups > 1) + f" counts to {most}" * (most > 1)
    return Site(name, op, (fan_in, size, size), most)


def _weights(shape: Shape) -> Array:
    return np.random.default_rng(0).integers(-127, 128, shape).astype(np.int8)


SITES = (
    linear(784, 800), linear(800, 10), linear(4096, 1024, 4), linear(1024, 10), linear(256, 64), linear(64, 32),
    linear(2048, 10, 4), linear(512, 512),
    conv(2, 16, 34, 5), conv(16, 32, 17, most=4), conv(3, 64, 32), conv(64, 64, 32), conv(64, 128, 16, most=4),
    conv(128, 128, 16), conv(128, 256, 8, most=4), conv(256, 256, 8), conv(64, 128, 32, stride=2), conv(16, 16, 16),
    conv(32, 32, 16, kernel=1), conv(128, 128, 16, groups=4), conv(8, 8, 28), conv(1, 8, 28, 5), conv(64, 64, 4),
)


def main() -> None:
    options = _options()
    pin_to_one_core()
    rows = []
    for site in SITES:
        if options.only in site.name:
            for rate in options.rates:
                times = measured(site, rate, options.rounds, options.only_kernels)
                rows.append({"layer": site.name, "rate": rate, "us": times})
                best = min(times.values())
                print(f"{site.name:<34}{rate:>6.0%}  "
                      + "  ".join(f"{n} {t:.1f}{'*' if t == best else ''}" for n, t in times.items()), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1))


def measured(site: Site, rate: float, rounds: int, only: list[str]) -> dict[str, float]:
    """Microseconds of a tick, by the name of the kernel."""
    x = spikes(site, rate)
    calls = {name: call_of(site, name, rate, x) for name in kernels(site, only)}
    times: dict[str, list[float]] = {name: [] for name in calls}
    wanted = None
    for _ in range(rounds):
        for name, call in calls.items():
            got = call()
            assert wanted is None or np.array_equal(got, wanted), name
            wanted = got.copy()
            once = _timed(call, 1)
            times[name].append(_timed(call, max(1, int(TURN_US / max(once, 1)))))
    return {name: min(t) / TICKS for name, t in times.items()}


def _timed(call: Callable[[], Array], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) * 1e6 / repeats


def kernels(site: Site, only: list[str]) -> Iterator[str]:
    """The names of the kernels that compute a layer."""
    for kind in WEIGHTED:
        if kind.name != "packed" and (not only or kind.name in only):
            costs = {k.name: 1e-9 if k is kind else 1e9 for k in WEIGHTED}
            (population,) = plan(graph_of(site), {"x": 0.1}, costs).populations
            if population.projections[0].kernels[0].name == kind.name:
                yield kind.name


def graph_of(site: Site) -> Graph:
    nodes: dict[str, Op] = {"x": Input(site.shape, "spike", 0, site.most), "n": PASSING, "y": Output()}
    graph = Graph("layer", nodes, (Edge("x", "n", 0, (site.op,)), Edge("n", "y")), Stage.INT)
    return run_passes(graph, [ProveRanges()])


def spikes(site: Site, rate: float) -> Array:
    """Spikes, or counts that are sums of as many spikes as they may count; `rate` of the elements are active."""
    rng = np.random.default_rng(1)
    each = 1 - (1 - rate) ** (1 / site.most)
    return (rng.random((site.most, TICKS, *site.shape)) < each).sum(0).astype(np.uint8)


def call_of(site: Site, kernel: str, rate: float, x: Array) -> Callable[[], Array]:
    """A call of the program in which a kernel computes the layer."""
    graph = graph_of(site)
    costs = {k.name: 1e-9 if k.name == kernel else 1e9 for k in WEIGHTED}
    host = Host.load(graph, build(emit(graph, rates={"x": rate}, costs=costs).files))
    prefix, library = host.interface.prefix, host.library
    size = getattr(library, f"{prefix}_size")
    size.restype = ctypes.c_size_t
    memory = ctypes.create_string_buffer(size())
    getattr(library, f"{prefix}_init")(memory)
    out = np.empty((TICKS, *graph.shapes["n"]), host.interface.outputs["y"])
    run = getattr(library, f"{prefix}_run")
    pointers = ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(out.ctypes.data)

    def call() -> Array:
        run(memory, ctypes.c_uint32(TICKS), *pointers)
        return out

    return call


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", nargs="+", type=float, default=[0.01, 0.03, 0.1, 0.3, 0.8])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="a part of the names of the layers")
    parser.add_argument("--only-kernels", nargs="+", default=[])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
