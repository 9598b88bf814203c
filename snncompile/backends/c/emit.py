"""The files of the C backend: a C99 library that computes in integers, its weights, a self-test, and build files."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from snncompile.backends.artifact import Artifact, Golden
from snncompile.backends.c.context import Net, PortCode
from snncompile.backends.c.lower import lower
from snncompile.backends.c.structs import working_memory
from snncompile.backends.c.text import own_helpers, render
from snncompile.backends.c.types import DTYPES
from snncompile.backends.c.weights import little_endian, numbers, weight_files
from snncompile.backends.names import prefix
from snncompile.backends.network_ticks import in_hardware_ticks
from snncompile.backends.plan.plan import plan
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array

SELFTEST_VALUES = 200_000
"""The most values of inputs and outputs that a self-test holds, unless a single sample has more."""


def emit(graph: Graph, *, rates: Mapping[str, float] | None = None, golden: Golden | None = None,
         costs: Mapping[str, float] | None = None, chunk: int | None = None,
         weights_as: str | None = None) -> Artifact:
    """Emit an INT or MAPPED graph as C; a step of the program is a tick of the hardware.

    Args:
        graph: what the program computes.
        rates: the mean share of elements that are not 0 in a tick, from 0 to 1, of inputs and populations by name.
            Projections from active sources get dense kernels, the others event-driven ones. Both compute the same.
        golden: vectors for the self-test, in ticks of the network. The first samples are used, as many as hold
            SELFTEST_VALUES values together, and at least one. Without vectors there are no self-test and build files.
        costs: what a synapse costs with each kernel, by the kernel's name; see `kernels.table.choose`.
        chunk: how many ticks run layer by layer; see `targets.program.Program`.
        weights_as: the form of the constants; see `targets.program.Program`.

    Returns:
        The files, and sizes in bytes: those of `memory`, and "weights", which are all constants.

    Raises:
        CompileError: SNN204 for an output that reads a sum or an operator.
    """
    net = lower(plan(graph, rates or {}, costs or {}), prefix(graph.name), graph.schedule, chunk)
    return artifact(graph, net, golden, weights_as)


def artifact(graph: Graph, net: Net, golden: Golden | None, weights_as: str | None = None) -> Artifact:
    """The files of a network that was lowered, and its sizes; see `emit`."""
    weights = weight_files(net, weights_as)
    files: dict[str, str | bytes] = {
        f"{net.prefix}.h": _header(net),
        f"{net.prefix}.c": own_helpers(render("net.c.j2", net=net), net.prefix),
        f"{net.prefix}_snn.h": own_helpers(render("snn.h.j2", net=net), net.prefix),
        f"{net.prefix}_weights.h": render("weights.h.j2", net=net),
        **weights,
        f"{net.prefix}_probe.c": render("probe.c.j2", net=net, fields=fields_per_population(net)),
    }
    if golden is not None:
        golden = in_hardware_ticks(golden, graph)
        source = next(f for f in weights if f.endswith((".c", ".S")))
        files[f"{net.prefix}_selftest.c"] = _selftest(graph, net, golden)
        files[f"{net.prefix}_example.c"] = render("example.c.j2", net=net)
        files["Makefile"] = render("Makefile.j2", net=net, weights=source)
        files["CMakeLists.txt"] = render("CMakeLists.txt.j2", net=net, weights=source)
    sizes = {name: size for name, size in memory(net).items() if size or name != "rows"}
    return Artifact(files, {"weights": net.weight_bytes, **sizes})


def _header(net: Net) -> str:
    """The public header. The macro that guards it holds a hash of it and of the constants.

    Where another network of the same name is included too, the compiler says so, instead of leaving out one of them.
    """
    text = render("net.h.j2", net=net, bytes=memory(net), fingerprint="")
    found = zlib.crc32(text.encode())
    for data in net.data:
        found = zlib.crc32(little_endian(data), found)
    return render("net.h.j2", net=net, bytes=memory(net), fingerprint=f"{found:#010x}")


def fields_per_population(net: Net) -> int:
    """How many field numbers the probe reserves for each population: one for what it emits, then its states."""
    return 1 + max((len(p.states) for p in net.populations), default=0)


def memory(net: Net) -> dict[str, int]:
    """Bytes of memory that a running network takes, without what alignment adds.

    Returns:
        "states": all states. "working": the synaptic sums and scratch memory; populations share them, save those that
        keep their sums. "rows": what inputs and populations emitted, in past ticks and in a chunk of `net.chunk` ticks.
        "total_one_tick": the sum of all, for a chunk of one tick. Where rows share memory with sums and scratch memory,
        all of it is "working".
    """
    item = {name: dtype.itemsize for name, dtype in DTYPES.items()}
    states = sum(item[s.type] * p.source.size for p in net.populations for s in p.states)
    sizes = [(p.standing, sum(item[a.type] for a in p.accumulators) * p.source.size) for p in net.populations]
    sums = sum(b for stands, b in sizes if stands) + max((b for stands, b in sizes if not stands), default=0)
    if net.offsets:
        working = sum(size for size, _ in working_memory(net))
        return {"states": states, "working": working, "rows": 0, "total_one_tick": states + working}
    scratch = max((sum(item[r.type] * r.size for r in j.rows) + 4 * j.scratch.bit_words
                   + (item[j.index_type] * (j.scratch.events + 8) if j.scratch.events else 0)
                   for j in net.projections), default=0)
    rows = {chunk: sum(s.row_bytes(chunk) for s in net.sources) for chunk in (1, net.chunk)}
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


def _nested(values: Array, port: PortCode) -> str:
    """The values `[sample, tick, *shape]` of a port as C initialisers of an array `[sample][tick][element]`."""
    typed = np.ascontiguousarray(values).astype(DTYPES[port.source.type]).reshape(*values.shape[:2], -1)
    return "".join("{\n" + "".join("{\n" + numbers(tick) + "},\n" for tick in sample) + "},\n" for sample in typed)
