"""Time of one sample, batch 1, one thread: the emitted C against other runtimes on the same spikes.

    python benchmarks/inference.py [--networks mlp conv vgg9] [--rates 0.1] [--samples 8] [--rounds 15] [--json FILE]

Before anything is timed, outputs are checked: the emitted C against the integer reference, which it must equal
in every spike, and every float runtime against the float interpreter, where the share of equal spikes is printed.
"""

from __future__ import annotations

import os

# Before any library reads them.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import itertools
import json
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import networks
import numpy as np
from networks import NETWORKS, Array, Network
from ours import Call, c_calls, check, compiled, python_calls

from snncompile.ir.interp import run
from snncompile.model import CompiledModel

OURS = "snncompile"
ONNX = "ONNX Runtime"
TURN_MS = 50


@dataclass(frozen=True)
class Row:
    """One runtime on one network: milliseconds a sample over the rounds, and how right it was."""

    network: str
    runtime: str
    median_ms: float
    min_ms: float
    max_ms: float
    equal_to_float: float
    checked: str
    rate: float = 0.0


def main() -> None:
    options = _options()
    if not options.batch:
        pin_to_one_core()
    rows: list[Row] = []
    for name, rate in itertools.product(options.networks, options.rates):
        networks.RATE = rate
        network = NETWORKS[name]()
        print(f"\n{name}, {rate:.0%} of spikes: {network.weights:,} weights, {network.ticks} ticks, "
              f"{network.macs / 1e6:.1f} M dense multiplications a sample", flush=True)
        how, samples = (measure_batch, options.batch) if options.batch else (measure, options.samples)
        measured = list(how(network, samples, options.rounds, options.others))
        for line in table(measured):
            print(line)
        rows += [replace(row, rate=rate) for row in measured]
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": machine(), "rows": [asdict(r) for r in rows]}, indent=1))
        print(f"\nwritten to {options.json}")


def measure(network: Network, samples: int, rounds: int, others: str) -> Iterator[Row]:
    """One sample at a time."""
    x = network.spikes(samples)
    reference = run(network.graph, x).outputs["output"]
    calls: dict[str, list[Call]] = {}
    model = compiled(network)
    checked = check(model, x)
    calls["snncompile, C call"] = c_calls(model, x)
    calls["snncompile, model.run"] = python_calls(model, x)
    calls |= _baseline_calls(network, x, others)
    equal = {name: float((np.stack([call() for call in each]) == reference).mean()) for name, each in calls.items()}
    for name, t in time_all(calls, rounds).items():
        yield Row(network.name, name, float(np.median(t)), min(t), max(t), equal[name],
                  checked if name.startswith(OURS) else "")


def measure_batch(network: Network, samples: int, rounds: int, others: str) -> Iterator[Row]:
    """Many samples in one call, ours by one thread and by two."""
    x = network.spikes(samples)
    model = compiled(network)
    checked = check(model, x[:8])
    given = np.asarray(x, np.uint8)
    ticks_first = np.ascontiguousarray(np.swapaxes(x, 0, 1)).reshape(-1, *network.shape)
    calls: dict[str, list[Call]] = {f"snncompile, {n} threads": [partial(_outputs, model, given, n)] for n in (1, 2)}
    calls |= {name: [partial(_by_sample, runner, ticks_first, samples)]
              for name, runner in _baselines(network, others).items() if name.startswith(ONNX)}
    reference = run(network.graph, x).outputs["output"]
    equal = {name: float((each[0]() == reference).mean()) for name, each in calls.items()}
    for name, t in time_all(calls, rounds).items():
        per_sample = [ms / samples for ms in t]
        yield Row(network.name, name, float(np.median(per_sample)), min(per_sample), max(per_sample), equal[name],
                  checked if name.startswith(OURS) else "")


def _outputs(model: CompiledModel, x: Array, threads: int) -> Array:
    return model.run(x, threads=threads).outputs


def _by_sample(runner: Callable[[Array], Array], x: Array, samples: int) -> Array:
    """The outputs of a runtime that takes `[tick * sample, ...]`, as `[sample, tick, ...]`."""
    y = runner(x)
    return np.swapaxes(y.reshape(-1, samples, *y.shape[1:]), 0, 1)


def time_all(calls: dict[str, list[Call]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds a sample, one figure a round; the runtimes take turns, so that a slow moment hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    repeats = {name: max(1, int(TURN_MS / (_pass(each, 1) * len(each)))) for name, each in calls.items()}
    for _ in range(rounds):
        for name, each in calls.items():
            # The first pass of a turn warms the caches that the one before left cold.
            _pass(each, 1)
            times[name].append(_pass(each, repeats[name]))
    return times


def _pass(calls: list[Call], repeats: int) -> float:
    """Milliseconds a sample."""
    start = time.perf_counter()
    for _ in range(repeats):
        for call in calls:
            call()
    return (time.perf_counter() - start) * 1e3 / (repeats * len(calls))


def table(rows: list[Row]) -> Iterator[str]:
    ort = [r.median_ms for r in rows if r.runtime.startswith(ONNX)]
    yield (f"  {'runtime':<32}{'median':>9}{'min':>9}{'max':>9} ms{'ORT / it':>10}{'ORT best':>10}"
           f"{'spikes = float':>16}")
    for r in rows:
        ratios = (ort[0] / r.median_ms, min(ort) / r.median_ms) if ort else (np.nan, np.nan)
        yield (f"  {r.runtime:<32}{r.median_ms:>9.4f}{r.min_ms:>9.4f}{r.max_ms:>9.4f}   {ratios[0]:>9.2f}x"
               f"{ratios[1]:>9.2f}x{r.equal_to_float:>15.2%}  {r.checked}")


def _baseline_calls(network: Network, x: Array, others: str) -> dict[str, list[Call]]:
    return {name: [partial(runner, sample) for sample in x] for name, runner in _baselines(network, others).items()}


def _baselines(network: Network, others: str) -> dict[str, Callable[[Array], Array]]:
    """The other runtimes by name: "all", "onnx", or "none"."""
    if others == "none":
        return {}
    import torch
    from baselines import BASELINES

    torch.set_num_threads(1)
    return {name: make(network) for name, make in BASELINES.items() if others == "all" or name.startswith(ONNX)}


def pin_to_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def machine() -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return {"cpu": model or platform.processor(), "python": platform.python_version(), "numpy": np.__version__}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["mlp", "conv", "vgg9"], choices=["mlp", "conv", "vgg9"])
    parser.add_argument("--rates", nargs="+", type=float, default=[0.1], help="the share of spikes of every population")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=0, help="so many samples in one call, not one at a time")
    parser.add_argument("--others", choices=["all", "onnx", "none"], default="all", help="the other runtimes")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
