"""The C backend: an INT graph as a C99 library in integers, with its weights, a self-test, and build files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snncompile.backends.artifact import Artifact, Golden
from snncompile.backends.c.context import Net, Port
from snncompile.backends.c.lower import lower
from snncompile.backends.c.text import render
from snncompile.backends.c.types import DTYPES
from snncompile.backends.c.weights import numbers, weight_files
from snncompile.backends.names import prefix
from snncompile.backends.network_ticks import in_hardware_ticks
from snncompile.backends.plan.plan import plan
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array

SELFTEST_VALUES = 200_000


def emit(graph: Graph, *, rates: Mapping[str, float] | None = None, golden: Golden | None = None,
         costs: Mapping[str, float] | None = None) -> Artifact:
    """Emit an INT or MAPPED graph; a step of the program is a tick of the hardware.

    Args:
        rates: share of active elements of inputs and populations, by name; layers that are active enough get
            dense kernels, the others event-driven ones. Both compute the same.
        costs: what a synapse costs with each kernel, by name, on the hardware; by which the kernels are chosen.
        golden: vectors for the self-test, in ticks of the network; as many samples are used as keep the self-test
            small.
    """
    net = lower(plan(graph, rates or {}, costs or {}), prefix(graph.name), graph.schedule)
    weights = weight_files(net)
    files: dict[str, str | bytes] = {
        f"{net.prefix}.h": render("net.h.j2", net=net),
        f"{net.prefix}.c": render("net.c.j2", net=net),
        f"{net.prefix}_snn.h": render("snn.h.j2", net=net),
        f"{net.prefix}_weights.h": render("weights.h.j2", net=net),
        **weights,
        f"{net.prefix}_probe.c": render("probe.c.j2", net=net, fields=fields_per_population(net)),
    }
    if golden is not None:
        golden = in_hardware_ticks(golden, graph)
        source = next(f for f in weights if f.endswith((".c", ".S")))
        files[f"{net.prefix}_selftest.c"] = _selftest(graph, net, golden)
        files["Makefile"] = render("Makefile.j2", net=net, weights=source)
        files["CMakeLists.txt"] = render("CMakeLists.txt.j2", net=net, weights=source)
    return Artifact(files, {"weights": net.weight_bytes, **memory(net)})


def fields_per_population(net: Net) -> int:
    return 1 + max((len(p.states) for p in net.populations), default=0)


def memory(net: Net) -> dict[str, int]:
    """Bytes of memory that a running network takes, by what they hold, for a chunk of one tick and as emitted."""
    item = {name: dtype.itemsize for name, dtype in DTYPES.items()}
    states = sum(item[s.type] * p.source.size for p in net.populations for s in p.states)
    rows = {c: sum(item[s.type] * s.size * (s.history + c) for s in net.sources) for c in (1, net.chunk)}
    sizes = [(p.keeps, sum(item[a.type] for a in p.accumulators) * p.source.size) for p in net.populations]
    sums = sum(b for keeps, b in sizes if keeps) + max((b for keeps, b in sizes if not keeps), default=0)
    scratch = max((sum(item[r.type] * r.size for r in j.rows) + 4 * j.scratch.bit_words
                   + (item[j.index_type] * (j.scratch.events + 8) if j.scratch.events else 0)
                   for j in net.projections), default=0)
    return {"states": states, "working": sums + scratch, "rows": rows[net.chunk],
            "total_one_tick": states + sums + scratch + rows[1]}


def _selftest(graph: Graph, net: Net, golden: Golden) -> str:
    values = [*golden.inputs.values(), *golden.outputs.values()]
    samples, ticks = values[0].shape[:2]
    used = max(1, min(samples, SELFTEST_VALUES // max(1, sum(v[0].size for v in values))))
    ports = [*zip(net.inputs, [golden.inputs[n] for n in graph.inputs], strict=True),
             *zip(net.outputs, [golden.outputs[n] for n in graph.outputs], strict=True)]
    arrays = [(f"golden_{p.argument}", p.source.type, None, p.source.size, _nested(v[:used], p)) for p, v in ports]
    return render("selftest.c.j2", net=net, samples=used, ticks=ticks, arrays=arrays)


def _nested(values: Array, port: Port) -> str:
    """Braced initialisers of `[sample][tick][element]`."""
    typed = np.ascontiguousarray(values).astype(DTYPES[port.source.type]).reshape(*values.shape[:2], -1)
    return "".join("{\n" + "".join("{\n" + numbers(tick) + "},\n" for tick in sample) + "},\n" for sample in typed)
