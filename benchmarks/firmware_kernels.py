"""What a synapse costs with each kernel on a microcontroller, in instructions, as a table for target files.

    python benchmarks/firmware_kernels.py [--processors cortex-m4 rv32imac]

A fully connected layer (256 to 64) and a convolution (16 channels to 32, 3 x 3, on 8 x 8) run in QEMU with each kernel
that applies. A dense kernel's cost is what a tick takes above that of a silent one, for each synapse. Of an event
kernel it is the slope between two rates, for each synapse of an active input. All are divided by the cost of the dense
kernel of the layer.
"""

from __future__ import annotations

import argparse
import dataclasses
from itertools import pairwise

import numpy as np

import snncompile as sc
from snncompile.backends.plan.kernels.kernel import EventKernel
from snncompile.backends.plan.kernels.table import WEIGHTED
from snncompile.inputs import integers
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Conv, Input, Linear, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.targets.load import load_target
from snncompile.targets.sections import PROCESSORS

TICKS, SAMPLES = 16, 2
RATES = (0.05, 0.15)
LAYERS = {
    "linear": ((256,), lambda w: Linear(w((64, 256))), ("linear_dense", "linear_event", "linear_words")),
    "bits": ((256,), lambda w: Linear(w((64, 256))), ("linear_dense", "packed", "linear_bits", "linear_words")),
    "conv": ((16, 8, 8), lambda w: Conv(w((32, 16, 3, 3)), padding=((1, 1), (1, 1))),
             ("conv_dense", "conv_runs", "conv_taps", "conv_pairs")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processors", nargs="+", choices=PROCESSORS, default=list(PROCESSORS))
    for name in parser.parse_args().processors:
        print(f"{name}: instructions for a synapse, and relative to the dense kernel")
        for layer, (_, _, kernels) in LAYERS.items():
            costs = {kernel: _cost(name, layer, kernel) for kernel in kernels}
            for kernel, cost in costs.items():
                print(f"  {layer:<8}{kernel:<14}{cost:8.2f}{cost / costs[kernels[0]]:8.3f}", flush=True)


def _cost(processor: str, layer: str, kernel: str) -> float:
    """Instructions for a synapse: of an active input, where the kernel lists events."""
    by_rate = {rate: _instructions(processor, layer, kernel, rate) for rate in (0.0, *RATES)}
    kind = next(k for k in WEIGHTED if k.name == kernel)
    if issubclass(kind, EventKernel):
        (first, low), (second, high) = by_rate[RATES[0]], by_rate[RATES[1]]
        return (second - first) / (high - low)
    dense = 256 * 64 * TICKS if layer != "conv" else 16 * 32 * 22 * 22 * TICKS
    silent = _instructions(processor, layer, {"conv": "conv_pairs"}.get(layer, "linear_words"), 0.0)[0]
    return (by_rate[RATES[1]][0] - silent) / dense


def _instructions(processor: str, layer: str, kernel: str, rate: float) -> tuple[float, float]:
    """Instructions of a sample, and its synaptic operations."""
    rng = np.random.default_rng(0)
    shape, make, _ = LAYERS[layer]
    op = make(lambda size: rng.normal(0, 0.05, size).astype(np.float32))
    neuron = Neuron.of("lif", Firing(), decay=0.875, threshold=1.0)
    nodes = {"in": Input(shape), "op": op, "lif": neuron, "out": Output()}
    names = list(nodes)
    graph = Graph("layer", nodes, tuple(Edge(a, b) for a, b in pairwise(names)))
    x = (rng.random((SAMPLES, TICKS, *shape)) < 0.1).astype(float)
    target = load_target(f"{processor} ram_kib=512 flash_kib=1024")
    forced = dataclasses.replace(target, kernels={k.name: 0.0 if k.name == kernel else 1e9 for k in WEIGHTED})
    model = sc.compile(graph, forced, calibration=x, weight_bits=1 if layer == "bits" else 8)
    assert model.verify().ok
    shown = (rng.random((SAMPLES, TICKS, *shape)) < rate).astype(float)
    counted = model.host.host.counted(integers(model.graph, shown))[1].mean()
    return float(counted), sc.estimate(model.mapped, target, shown).synaptic_operations


if __name__ == "__main__":
    main()
