"""Time and memory from a NIR file to C sources in memory, without the C compiler; each network in a fresh process.

    python benchmarks/compile.py [--networks mlp conv vgg9 resnet19] [--calibrate 0] [--runs 3] [--json FILE]

Memory is the growth of the process's peak over what it had after importing the compiler, beside the weights' size as
32-bit floats.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("mlp", "conv", "vgg9", "resnet19")


def main() -> None:
    options = _options()
    if options.only == "write":
        write(options.file, options.networks[0])
        return
    if options.only == "compile":
        print(json.dumps(measure(options.file, options.networks[0], options.calibrate)))
        return
    rows = []
    print(f"{'network':<10}{'weights':>12}{'read s':>9}{'compile s':>11}{'in all s':>10}{'peak MB':>10}"
          f"{'of weights':>12}   slowest s")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.networks:
            file = Path(folder) / f"{name}.nir"
            child(name, file, "write", options)
            runs = [json.loads(child(name, file, "compile", options)) for _ in range(options.runs)]
            rows.append(summary(name, runs))
            print(line(rows[-1]), flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1))


def child(name: str, file: Path, what: str, options: argparse.Namespace) -> str:
    """Run one step in a process of its own, so that no peak hides in another."""
    command = [sys.executable, __file__, "--only", what, "--file", str(file), "--networks", name,
               "--calibrate", str(options.calibrate)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def write(file: Path, name: str) -> None:
    from networks import NETWORKS

    from snncompile import export_nir

    export_nir(NETWORKS[name]().graph, file)


def measure(file: Path, name: str, calibrate: int) -> dict[str, Any]:
    import snncompile.build_folder
    import snncompile.driver
    import snncompile.frontends.nir.graph
    from snncompile.ir.populations import Neuron

    samples = samples_for(name, calibrate)
    before = peak_bytes()
    start = time.perf_counter()
    graph = snncompile.load(file)
    read = time.perf_counter()
    model = snncompile.compile(graph, "c99", calibration=samples)
    end = time.perf_counter()
    grown = peak_bytes() - before
    weights = sum(a.size for op in graph.nodes.values() if not isinstance(op, Neuron) for a in op.arrays.values())
    return {"weights": weights, "read_s": read - start, "compile_s": end - read, "peak_bytes": grown,
            "emitted_bytes": sum(map(len, model.artifact.files.values())), "passes_s": dict(model.report.seconds)}


def samples_for(name: str, count: int) -> Any:
    """Calibration samples; None for none, which a network of spikes can do without."""
    if not count:
        return None
    from networks import INPUTS, random_spikes

    shape, ticks = INPUTS[name]
    return random_spikes(shape, ticks, count, 2)


def peak_bytes() -> int:
    """The peak of this process. The kernel's own count where there is one: `ru_maxrss` outlives an exec."""
    status = Path("/proc/self/status")
    if status.exists():
        found = [row.split()[1] for row in status.read_text().splitlines() if row.startswith("VmHWM:")]
        if found:
            return int(found[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def summary(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    def median(key: str) -> float:
        return statistics.median(run[key] for run in runs)

    passes = {p: statistics.median(run["passes_s"][p] for run in runs) for p in runs[0]["passes_s"]}
    return {"network": name, "weights": runs[0]["weights"], "emitted_bytes": runs[0]["emitted_bytes"],
            "read_s": median("read_s"), "compile_s": median("compile_s"), "peak_bytes": median("peak_bytes"),
            "peak_of_weights": median("peak_bytes") / (4 * runs[0]["weights"]), "passes_s": passes}


def line(row: dict[str, Any]) -> str:
    slowest = sorted(row["passes_s"].items(), key=lambda p: -p[1])[:3]
    whole = row["read_s"] + row["compile_s"]
    return (f"{row['network']:<10}{row['weights']:>12,}{row['read_s']:>9.3f}{row['compile_s']:>11.3f}{whole:>10.3f}"
            f"{row['peak_bytes'] / 1e6:>10.1f}{row['peak_of_weights']:>11.2f}x   "
            + ", ".join(f"{name} {seconds:.2f}" for name, seconds in slowest))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(NAMES), choices=NAMES)
    parser.add_argument("--calibrate", type=int, default=0, help="samples to calibrate with (default: none)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--only", choices=["write", "compile"], help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
