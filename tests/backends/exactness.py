"""Random graphs through the whole line, and the emitted C against the integer interpreter, states included."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from snncompile.backends.artifact import Golden
from snncompile.backends.c.host import Host, compiler
from snncompile.backends.plan.kernels.table import WEIGHTED
from snncompile.inputs import integers
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces, run
from snncompile.ir.types import Array
from snncompile.model import inside_differences
from snncompile.passes.pipeline import run_passes
from snncompile.passes.quantize.calibrate import calibrate
from snncompile.passes.table import Choices, passes_of
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.load import load_target

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes",
            "-pedantic", "-Werror")
STRICT = (*WARNINGS, "-fPIC", "-shared", "-DSNN_COUNT")
SANITIZE = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
SAMPLES, TICKS = 2, 7


@cache
def flags() -> tuple[str, ...]:
    """Strict flags, with the undefined-behaviour sanitizer where the compiler has it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "t.c").write_text("int t(int a);\nint t(int a) { return a + 1; }\n")
        trial = [*(compiler() or ["cc"]), *STRICT, *SANITIZE, "-o", "t.so", "t.c"]
        works = subprocess.run(trial, cwd=folder, capture_output=True, check=False).returncode == 0
    return (*STRICT, "-O1", *SANITIZE) if works else (*STRICT, "-O1")


@dataclass(frozen=True)
class Case:
    """An INT graph with inputs for it, the rates that choose its kernels, and what the interpreter computes."""

    graph: Graph
    x: dict[str, Array]
    rates: dict[str, float]
    wanted: Traces

    @property
    def golden(self) -> Golden:
        """The inputs and what the interpreter gives, as golden vectors."""
        return Golden(self.x, self.wanted.outputs)


def random_arithmetic(rng: np.random.Generator) -> Arithmetic:
    def any_of(*choices: Any) -> Any:
        return choices[rng.integers(len(choices))]

    return Arithmetic(
        weight_bits=any_of(8, 8, 4, "ternary", 1, 12, 16, 2), membrane_bits=any_of(None, None, 16, 8, 24, 32),
        decay_bits=any_of(None, 12, 4, 8), rounding=any_of("zero", "floor", "nearest"),
        overflow=any_of("saturate", "saturate", "wrap"), per=any_of("channel", "layer"), spike_bits=any_of(8, 4, 2),
        input_bits=any_of(8, 4, 12), table_bits=any_of(10, 6), graded_bits=any_of(32, 16),
        neuron=any_of("any", "loihi"))


def random_case(graph: Graph, seed: int, ticks: int = TICKS) -> Case:
    """The graph, quantized with arithmetic that the seed chooses, and random inputs."""
    rng = np.random.default_rng(seed)
    real = {n: rng.integers(0, 2 + (seed % 3 == 0), (SAMPLES, ticks, *op.shape)) if op.values == "spike"
            else rng.integers(-64, 64, (SAMPLES, ticks, *op.shape)) / 64 for n, op in graph.inputs.items()}
    if seed % 2:  # frames that stand still for some ticks
        real = {n: v[:, np.arange(ticks) // 3] for n, v in real.items()}
    real = {n: np.clip(v, op.low, op.high) for (n, v), op in zip(real.items(), graph.inputs.values(), strict=True)}
    legal = run_passes(graph, passes_of(Choices(load_target("c99")), "legalize"))
    choices = Choices(load_target("c99"), random_arithmetic(rng), calibrate(legal, real))
    integer = run_passes(legal, passes_of(choices, "quantize", "ranges"))
    x = integers(integer, real)
    rates = {n: float(rng.random() ** 3) for n in integer.nodes}
    return Case(integer, x, rates, run(integer, x, record=True, states=True))


@cache
def families() -> tuple[tuple[str, ...], ...]:
    """Flags for each family of vector instructions that this machine runs, and for none."""
    known = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").exists() else []
    return ("-DSNN_PORTABLE",), *((f"-m{name}",) for name in ("ssse3", "avx2") if name in known)


def random_costs(seed: int) -> dict[str, float]:
    """Costs that make each kernel that applies to an operator as likely as the others."""
    rng = np.random.default_rng(seed)
    return {kind.name: float(rng.random()) for kind in WEIGHTED}


def differences(case: Case, built: tuple[str, ...] | None = None, chunk: int | None = None,
                costs: dict[str, float] | None = None) -> list[str]:
    """Where the emitted C differs from the interpreter: in whole runs, tick by tick, in states, or in its counts.

    Args:
        built: the flags of the C compiler; `flags()` where there are none.
        chunk: the number of ticks that run layer by layer.
        costs: of kernels, by name.
    """
    host = Host.of(case.graph, case.rates, built or flags(), chunk, costs)
    traced, (outputs, counts) = host.trace(case.x), host.run(case.x)
    places = inside_differences(case.wanted, traced)
    for name, wanted in case.wanted.outputs.items():
        if not np.array_equal(wanted, traced.outputs[name]):
            places.append(f"output {name}, tick by tick")
        if not np.array_equal(wanted, outputs[name]):
            places.append(f"output {name}, whole run")
    for name, emitted in case.wanted.emitted.items():
        if not np.array_equal(np.abs(emitted.astype(np.int64)).reshape(len(emitted), -1).sum(1), counts[name]):
            places.append(f"count of {name}")
    return places
