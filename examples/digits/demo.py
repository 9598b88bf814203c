"""Compile the trained digits network for C with 8-bit weights and run it on the digits it was not trained on.

    python examples/digits/demo.py [--weight-bits 8] [--output build/digits]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from dataset import Split, digits

import snncompile as sc
from snncompile.comparison import compare
from snncompile.inputs import integers
from snncompile.model import inside_differences

HERE = Path(__file__).parent
CALIBRATION = 400


def main() -> int:
    options = _options()
    training, held_out = digits()
    graph = sc.load(HERE / "digits.nir")
    say("read", "digits.nir", "conv 16 - LIF - conv 32 - LIF - pool - linear 10 - LIF")

    start = time.perf_counter()
    model = sc.compile(graph, "c99", calibration=training.over_time()[:CALIBRATION],
                       labels=training.y[:CALIBRATION], weight_bits=options.weight_bits)
    say("compile", f"{options.weight_bits}-bit weights",
        f"calibrated on {CALIBRATION} digits, {time.perf_counter() - start:.1f} s")
    folder = model.save(options.output)

    x = held_out.over_time()
    say("run", f"{len(held_out.y)} held-out digits", f"{x.shape[1]} ticks each")
    same = show_results(model, held_out, x)
    show_cost(model, x)
    samples = folder.with_name(f"{folder.name}-samples.npz")
    np.savez_compressed(samples, x=x, labels=held_out.y)
    print(f"\n{folder}/  holds the C sources, golden vectors and a report; {samples} the held-out digits; try\n"
          f"  .venv/bin/snnc verify {folder}\n"
          f"  .venv/bin/snnc run {folder} {samples} --labels {samples}\n"
          f"  open {folder}/report.html")
    return 0 if same else 1


def say(what: str, found: str, detail: str = "") -> None:
    print(f" {what:<11}{found:<24}{detail}", flush=True)


def show_results(model: sc.CompiledModel, held_out: Split, x: np.ndarray) -> bool:
    """Accuracy and agreement; whether C and the integer reference are equal."""
    assert model.float_graph is not None
    given = integers(model.graph, x)
    found = compare(model.float_graph, model.graph, {"input": x}, held_out.y)
    result = model.run(x)
    correct = {"float": found.float_correct, "integer": found.integer_correct,
               "C" if result.backend == "c" else "interpreter": int((result.decisions == held_out.y).sum())}
    shares = [f"{name} {n / len(x):.2%}" for name, n in correct.items() if n is not None]
    say("accuracy", shares[0], "   ".join(shares[1:]))
    shared = ", ".join(f"{name} {found.shared(name):.2%}" for name in model.graph.populations)
    say("spikes", f"{found.spikes_equal:.2%} equal", "between float and integer network, every neuron in every tick")
    say("", f"{found.spikes_shared:.2%} shared", f"of the spikes that either fired: {shared}")
    if result.backend != "c":
        say("exactness", "not shown", "no C compiler was found, so the integer interpreter ran the network")
        return True
    wanted = sc.run(model.graph, given, record=True, states=True)
    different = inside_differences(wanted, model.trace(x))
    if not np.array_equal(result.outputs, wanted.outputs["output"]):
        different.append("the output")
    neurons = sum(int(np.prod(model.graph.shapes[n])) for n in model.graph.populations)
    compared = f"every spike and membrane of {neurons:,} neurons, {x.shape[1]} ticks, {len(x)} digits"
    say("exactness", "C DIFFERS" if different else "C = integer reference", "; ".join(different) or compared)
    return not different


def show_cost(model: sc.CompiledModel, x: np.ndarray) -> None:
    size = model.report.sizes_bytes
    whole = size["states"] + size["working"] + size["rows"]
    say("memory", f"{size['weights']:,} bytes of weights",
        f"{size['states']:,} of membranes; {size['total_one_tick']:,} in all tick by tick, {whole:,} by chunks")
    best = min(_seconds(lambda: model.run(x)) for _ in range(5))
    say("time", f"{best / len(x) * 1e6:.0f} us a digit", "best of 5 runs, one thread of this machine")


def _seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weight-bits", type=int, default=8)
    parser.add_argument("--output", type=Path, default=Path("build/digits"))
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except sc.CompileError as refused:
        sys.exit(str(refused))
