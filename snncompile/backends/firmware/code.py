"""An estimate of the bytes of code that a cross compiler makes of a network.

Code is a weighted sum of what is printed: statements of updates, kernels, helper functions, arguments and so on. The
weights were fitted to random networks that were built and linked; `benchmarks/firmware_code.py` does that, and tells
how far the estimate is off. The start-up code and the self-test are counted too, as `program`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

from snncompile.backends.c.context import KernelView, Net, PopulationCode, UpdateView

FITTED_AS = {"cortex-m3": "cortex-m4", "cortex-m4": "cortex-m4", "cortex-m7": "cortex-m4", "rv32imac": "rv32imac"}
"""The processor whose weights stand for a processor: the Cortex-M have nearly the same instructions."""
SMALL = ("add", "gather", "rectify", "scale", "upsample")
"""Kernels of one short loop."""


def code_bytes(net: Net, processor: str) -> int:
    """Bytes of code for a processor, by its name, constants not counted."""
    weights = fitted()[FITTED_AS[processor]]
    return round(sum(weights.get(what, 0.0) * count for what, count in printed(net).items()))


@cache
def fitted() -> Mapping[str, Mapping[str, float]]:
    """The bytes of everything that is printed, by processor."""
    found: dict[str, dict[str, float]] = json.loads(
        files("snncompile.backends.firmware").joinpath("fitted_code.json").read_text("utf-8"))["bytes"]
    return found


def printed(net: Net) -> dict[str, float]:
    """What the program of a network is made of, and how often, by `part: what`; a part is a kind of functions.

    Parts are "helper", "project", "update", and "rest".
    """
    counts: Counter[str] = Counter({"rest: program": 1, "rest: population": len(net.populations)})
    counts["rest: port"] = len(net.inputs) + len(net.outputs)
    counts["rest: reordered port"] = sum(not p.source.plain for p in (*net.inputs, *net.outputs))
    counts["rest: history"] = sum(s.history > 0 for s in net.sources)
    counts["rest: projection"] = len(net.projections)
    counts["rest: call"] = sum(len(p.calls) for p in net.projections)
    counts["rest: loop"] = sum(loops for loops, _ in net.groups)
    for population in net.populations:
        _count_population(counts, population)
    for kernel in _kernels(net):
        _count_kernel(counts, kernel)
    updates = [f.content for f in net.functions if isinstance(f.content, UpdateView)]
    for update in updates:
        _count_update(counts, update)
    counts["rest: wide division"] = any(map(_divides_wide, updates))
    counts.update(dict.fromkeys((f"helper: {name}" for name in _helpers(net)), 1))
    for parts in net.helpers["words"]:
        bits, words, outputs = map(int, parts[-1].split())
        counts["words: function"] += 1
        counts["words: sum"] += words * (16 if bits == 8 else 8) // bits
        counts[f"words: output in {_size(parts[0])} bits"] += outputs
    return {what: float(count) for what, count in counts.items() if count}


def _kernels(net: Net) -> Iterator[KernelView]:
    """The kernels that are printed: equal ones are one function."""
    return (f.content for f in net.functions if isinstance(f.content, KernelView))


def _helpers(net: Net) -> Iterator[str]:
    """The helper functions that are called. Rows of weights are added by some, and multiplied by others."""
    for k in _kernels(net):
        families = {h.family for h in k.kernel.helpers}
        if "add" in families:
            small = " small" * k.small
            yield (f"{'sums' if k.repeats else f'products{small}'} of rows, "
                   f"{_size(k.weight.values.dtype.name)} and {_size(k.dst.type)} bits")
        if "rows" in families:
            yield (f"rows, {k.mode}, {_size(k.src.type)}, {_size(k.weight.values.dtype.name)} and "
                   f"{_size(k.dst.type)} bits")
        if "dot" in families:
            yield (f"{'dot' if k.kernel.name == 'linear_dense' else 'spread'}, {_size(k.src.type)}, "
                   f"{_size(k.weight.values.dtype.name)} and {_size(k.dst.type)} bits")
    for source, _, mode in net.helpers["scan"]:
        yield f"scan {mode}, {_size(source)} bits"
    for mode, source, into in net.helpers["pool"]:
        yield f"pool {mode}, {_size(source)} and {_size(into)} bits"
    if net.helpers["pairs"]:
        yield "pairs"


def _size(kind: str) -> str:
    """The bits of an integer type."""
    return kind.removeprefix("u").removeprefix("int").removesuffix("_t")


def _divides_wide(update: UpdateView) -> bool:
    """Whether it divides numbers of 64 bits, which takes a function of the compiler's library."""
    types = {line.name: line.type for line in update.lines}
    return any("floor_div" in line.text and "int64_t" in (line.type, *(
        types[word] for word in re.findall(r"\w+", line.text) if word in types)) for line in update.lines)


def _count_population(counts: Counter[str], population: PopulationCode) -> None:
    counts["rest: state"] += len(population.states)
    counts["rest: first state"] += sum(s.initials is not None or bool(s.initial) for s in population.states)
    counts["rest: accumulator"] += len(population.accumulators)
    counts["rest: standing"] += population.standing


def _count_update(counts: Counter[str], update: UpdateView) -> None:
    counts["update: function"] += 1
    counts["update: state"] += update.states
    counts["update: nested"] += update.nested
    for line in update.lines:
        word = next((f", {w.strip()}" for w in ("look_up", "floor_div", "wrap", "saturated", "?", ">>", " * ")
                     if w in line.text), "")
        counts[f"update: {'wide ' * (line.type == 'int64_t')}statement{word}"] += 1


def _count_kernel(counts: Counter[str], k: KernelView) -> None:
    name = "small" if k.kernel.name in SMALL else k.kernel.name
    counts["project: function"] += 1
    counts[f"project: {name}"] += 1
    counts["project: wide kernel"] += k.dst.type == "int64_t"
    if name.startswith(("conv", "packed", "pool")):
        counts["project: strided kernel"] += max(k.geometry.stride) > 1
        counts["project: flat kernel"] += k.geometry.out_height == 1
    if name in ("linear_event", "conv_runs", "conv_taps"):
        counts["project: sums of rows"] += k.repeats > 0
    if name == "linear_words":
        counts["project: linear_words"] += len({block[1:] for block in k.blocks}) - 1
