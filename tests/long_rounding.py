"""Rounding weights together against rounding each to nearest: `python -m tests.long_rounding --graphs 200`.

Each random network is quantized both ways on some samples, and compared with the float network on others. Prints how
much of the counts of spikes is shared, the networks that lose more than 2 points, and what differs between the emitted
C and the interpreter; exits with 1 if anything did.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import snncompile as sc
from snncompile.ir.graph import Graph
from snncompile.ir.ops import Conv, Linear
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Array
from snncompile.passes.quantize.calibrate import calibrate
from snncompile.passes.quantize.compensate import errors
from snncompile.passes.quantize.moments import Reader, response
from snncompile.passes.quantize.rounders import NEAREST, Calibrated, Rounder
from snncompile.passes.quantize.weight_grid import WeightGrid
from tests.strategies import inputs_for, random_graphs

SAMPLES, TICKS = 48, 16
WIDTHS: tuple[Any, ...] = (2, 3, 4, 5, 8, "ternary", 1)
LESS = 0.02


@dataclass(frozen=True)
class Found:
    """What one network showed: the counts that are shared on held-out samples, and e^T H e of all layers, each rounded
    to nearest and together; and whether C and the interpreter differ."""

    shared: tuple[float, float]
    changed: tuple[float, float]
    differ: bool


def one(graph: Graph, seed: int, emitted: bool = True) -> Found | None:
    """A network rounded both ways; None for one that does not fire."""
    x, held_out = (dict(inputs_for(graph, 2 * seed + part, SAMPLES, TICKS)) for part in (0, 1))
    bits = WIDTHS[seed % len(WIDTHS)]
    nearest, together = (sc.compile(graph, calibration=x, validation=held_out, weight_bits=bits,
                                    weight_rounding=rounding) for rounding in ("nearest", "calibrated"))
    before, after = nearest.report.validation, together.report.validation
    assert before is not None
    assert after is not None
    assert together.float_graph is not None
    if not any(real for real, _ in before.emitted.values()):
        return None
    return Found((before.counts_shared, after.counts_shared), _changed(together.float_graph, x, bits),
                 emitted and not together.verify().ok)


def _changed(graph: Graph, x: Mapping[str, Array], bits: Any) -> tuple[float, float]:
    """e^T H e of all layers of a LEGAL graph, added up, with weights rounded to nearest and together."""
    recorded = calibrate(graph, dict(x)).recorded
    assert recorded is not None
    grid, sums = WeightGrid(bits), np.zeros(2)
    for edge in graph.edges:
        neuron, last = graph.nodes[edge.dst], edge.chain[-1] if edge.chain else None
        if not isinstance(neuron, Neuron) or not isinstance(last, (Linear, Conv)) or last.weight.dtype.kind != "f":
            continue
        moments = recorded.moments([Reader(edge.src, edge.delay, edge.chain[:-1], last)],
                                   response(neuron, recorded.ticks))
        if moments is not None:
            rounders: tuple[Rounder, ...] = NEAREST, Calibrated(moments.damped(), Reader(edge.src, 0, (), last))
            sums += [_errors(last.weight, grid, rounder, moments.damped().second) for rounder in rounders]
    return float(sums[0]), float(sums[1])


def _errors(weight: Array, grid: WeightGrid, rounder: Rounder, second: Array) -> float:
    step = rounder.step(grid, weight, True)
    codes = rounder.codes(grid, weight, step, True).reshape(len(weight), -1)
    rows = weight.reshape(len(weight), -1).astype(np.float64)
    parts = zip(*(np.split(a, len(second)) for a in (rows, codes, np.broadcast_to(step, len(weight))[:, None])), second,
                strict=True)
    return sum(float(errors(w, c, s, h).sum()) for w, c, s, h in parts)


def main() -> int:
    options = _options()
    start, found = time.perf_counter(), {}
    for seed, graph in random_graphs(options.first, options.graphs):
        one_found = one(graph, seed)
        if one_found is not None:
            found[seed] = one_found
    before, after = np.array([f.shared for f in found.values()]).T
    worse = [seed for seed, f in found.items() if f.shared[1] < f.shared[0] - LESS]
    larger = [seed for seed, f in found.items() if f.changed[1] > f.changed[0] * (1 + 1e-9)]
    differ = [seed for seed, f in found.items() if f.differ]
    print(f"{len(found)} networks of {options.graphs} fire; counts shared {before.mean():.2%} to nearest, "
          f"{after.mean():.2%} together; {len(worse)} lose more than {LESS:.0%}: {worse[:20]}; larger errors of "
          f"membranes in {len(larger)}: {larger[:20]}; C and interpreter differ in {len(differ)}: {differ[:20]}; "
          f"{time.perf_counter() - start:.0f} s")
    return int(bool(differ or larger))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=200)
    parser.add_argument("--first", type=int, default=9_000_000, help="the first seed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
