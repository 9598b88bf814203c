"""What few bits cost: accuracy and shared spikes of two trained networks, with weights and membranes of few bits.

    python -m benchmarks.few_bits digits
    python -m benchmarks.few_bits nmnist --data DATA        # a folder with nir/cnn_sinabs.nir and nmnist/

`digits` is the network of examples/digits on its held-out digits, calibrated on one half and tested on the other, and
the other way round. `nmnist` is a network of sinabs on N-MNIST, calibrated on the first 10 recordings of train.csv and
tested on the 40 of test.csv. All figures are of the emitted C, which is compared with the interpreter. `--json FILE`
keeps the figures; `benchmarks/few_bits_plot.py` draws them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import snncompile as sc
from snncompile.data import read_input, read_labels
from snncompile.inputs import integers
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.types import Array

ROOT = Path(__file__).resolve().parent.parent
PART = 8
"""Samples that are run at a time."""
WEIGHTS: tuple[Any, ...] = (8, 6, 4, 3, 2, "ternary")
MEMBRANES: tuple[tuple[Any, int], ...] = ((4, 12), (4, 10), (8, 8), (8, 6))


class Fold(NamedTuple):
    """Samples for calibration, and samples and classes for a test."""

    calibration: Array
    x: Array
    y: Array


@dataclass
class Measured:
    """What a network with some options does on the samples of all folds.

    Attributes:
        right, float_right, samples: samples that the emitted C and the float network decide rightly, and all.
        shared: for each population, of the spikes that either network fired, the share that both did.
        rates: for each population, the spikes of the integers for one of the float network.
        kib: KiB of weights and membranes, each at its own width.
        seconds: of quantization, on average.
        exact: whether C and interpreter gave the same outputs.
    """

    options: dict[str, Any]
    right: int = 0
    float_right: int = 0
    samples: int = 0
    shared: dict[str, float] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    kib: float = 0.0
    seconds: float = 0.0
    exact: bool = True


def digits(_: Path) -> tuple[Graph, list[Fold]]:
    sys.path.insert(0, str(ROOT / "examples" / "digits"))
    from dataset import digits as split

    held_out = split()[1]
    x, y = held_out.over_time(), held_out.y
    half = slice(0, 180), slice(180, None)
    return sc.load(ROOT / "examples/digits/digits.nir"), [Fold(x[a], x[b], y[b]) for a, b in (half, half[::-1])]


def nmnist(data: Path) -> tuple[Graph, list[Fold]]:
    def samples(name: str) -> Array:
        return read_input(data / "nmnist" / name, (2, 34, 34), ticks=310, tick_us=1000)

    graph = sc.load(data / "nir/cnn_sinabs.nir", as_="sinabs", max_spikes=1, v_min=None)
    return graph, [Fold(samples("train.csv")[:10], samples("test.csv"), read_labels(data / "nmnist/test.csv"))]


NETWORKS = {"digits": digits, "nmnist": nmnist}


def measure(graph: Graph, folds: list[Fold], options: Mapping[str, Any]) -> Measured:
    found = Measured(dict(options))
    both, either, ours, theirs = ({} for _ in range(4))  # type: tuple[dict[str, int], ...]
    for fold in folds:
        model = sc.compile(graph, calibration=fold.calibration, **options)
        assert model.float_graph is not None
        found.seconds += model.report.seconds["quantize"] / len(folds)
        found.kib = sum(_bits(model, name) for name in model.graph.populations) / 8192
        for start in range(0, len(fold.x), PART):
            x, y = fold.x[start:start + PART], fold.y[start:start + PART]
            real = run(model.float_graph, x, record=True, dtype=np.float32)
            whole = run(model.graph, integers(model.graph, x), record=True)
            emitted = model.run(x)
            outputs = next(iter(whole.outputs.values()))
            found.exact &= np.array_equal(emitted.outputs, outputs)
            found.right += int((emitted.decisions == y).sum())
            found.float_right += int((next(iter(real.outputs.values())).sum(1).argmax(1) == y).sum())
            found.samples += len(y)
            for name, spikes in real.emitted.items():
                a, b = spikes != 0, whole.emitted[name] != 0
                for sums, value in ((both, a & b), (either, a | b), (ours, b), (theirs, a)):
                    sums[name] = sums.get(name, 0) + int(value.sum())
    found.shared = {name: both[name] / max(either[name], 1) for name in both}
    found.rates = {name: ours[name] / max(theirs[name], 1) for name in both}
    return found


def _bits(model: sc.CompiledModel, name: str) -> int:
    """The bits of the weights into a population, and of its states."""
    report = next(p for p in model.report.populations if p.name == name)
    weights = sum(op.weight.size for e in model.graph.edges_into[name] for op in e.chain if hasattr(op, "weight"))
    return report.weight_bits * weights + report.neurons * sum(report.state_bits.values())


def wanted(which: str) -> Iterator[dict[str, Any]]:
    for bits in WEIGHTS:
        for rounding in ("nearest", "calibrated"):
            yield {"weight_bits": bits, "weight_rounding": rounding}
    for bits, membrane in MEMBRANES if which == "digits" else ((8, 8),):
        yield {"weight_bits": bits, "membrane_bits": membrane}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SNNC_SHARED_DATA", ROOT / "../shared/data")))
    parser.add_argument("--options", type=json.loads, help="only these options of compile, as JSON")
    parser.add_argument("--json", type=Path, help="where the figures are written")
    options = parser.parse_args()
    graph, folds = NETWORKS[options.network](options.data)
    rows, start = [], time.perf_counter()
    for one in [options.options] if options.options else wanted(options.network):
        found = measure(graph, folds, one)
        rows.append(asdict(found))
        shared, rates = ([round(scale * v, 2) for v in values.values()] for scale, values in (
            (100, found.shared), (1, found.rates)))
        print(f"{one}: {found.right} of {found.samples} right (float {found.float_right}), shared {shared} %, rates "
              f"{rates}, {found.kib:.1f} KiB, quantized in {found.seconds:.1f} s, C = interpreter: {found.exact}",
              flush=True)
    print(f"{time.perf_counter() - start:.0f} s")
    if options.json:
        options.json.write_text(json.dumps({"network": options.network, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
