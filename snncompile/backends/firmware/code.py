"""An estimate of the bytes of code that a cross compiler makes of a network.

Code is a weighted sum of what is printed: statements of updates, kernels, helper functions, arguments and so on. The weights were
fitted to random networks that were built and linked; `benchmarks/firmware_code.py` does that, and tells how far the estimate is
off. The start-up code and the self-test are counted too, as `program`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from snncompile.backends.c.context import KernelView, Net, PopulationCode

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
    """What the program of a network is made of, and how often."""
    counts: Counter[str] = Counter({"program": 1, "population": len(net.populations)})
    counts["port"] = len(net.inputs) + len(net.outputs)
    counts["reordered port"] = sum(not p.source.plain for p in (*net.inputs, *net.outputs))
    counts["history"] = sum(s.history > 0 for s in net.sources)
    counts["projection"] = len(net.projections)
    for population in net.populations:
        _count_population(counts, population)
    kernels = [k for j in net.projections for k in j.kernels]
    for k in kernels:
        _count_kernel(counts, k)
    functions = {(_wide(k), k.kernel.repeats > 0, k.weight.values.dtype.char, k.dst.type)
                 for k in kernels if ("add" in {h.family for h in k.kernel.helpers})}
    for wide, repeats, *_ in functions:
        counts[f"{wide}{'sums' if repeats else 'products'} of rows"] += 1
    for _, _, mode in net.helpers["scan"]:
        counts[f"scan {mode}"] += 1
    for parts in net.helpers["words"]:
        bits, words, outputs = map(int, parts[-1].split())
        counts["words"] += words * (16 if bits == 8 else 8) // bits
        counts[f"{'wide ' * ('int64_t' in parts)}output of words"] += outputs
    counts["pairs"] = len(net.helpers["pairs"])
    counts["dot"] = len(net.helpers["dot"])
    return {what: float(count) for what, count in counts.items() if count}


def _count_population(counts: Counter[str], population: PopulationCode) -> None:
    counts["state"] += len(population.states)
    counts["first state"] += sum(s.initials is not None or bool(s.initial) for s in population.states)
    counts["accumulator"] += len(population.accumulators)
    counts["standing"] += population.standing
    counts["nested update"] += population.blocks > 1
    for line in population.lines:
        word = next((f" {w}" for w in ("look_up", "floor_div", "wrap") if w in line.text), "")
        counts[f"{'wide ' * (line.type == 'int64_t')}statement{word}"] += 1


def _count_kernel(counts: Counter[str], k: KernelView) -> None:
    name = "small" if k.kernel.name in SMALL else k.kernel.name
    counts[f"{_wide(k)}kernel {name}"] += 1
    if name.startswith(("conv", "packed")):
        counts["strided kernel"] += max(k.geometry.stride) > 1
    if name == "linear_words":
        counts["kernel linear_words"] += len({block[1:] for block in k.kernel.blocks}) - 1


def _wide(k: KernelView) -> str:
    return "wide " if k.dst.type == "int64_t" else ""
