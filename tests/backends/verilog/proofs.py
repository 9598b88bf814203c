"""Proofs that a printed neuron unit computes its integer program for every input, by yosys and z3.

yosys reads the Verilog of the unit, without its registers, and writes it as SMT-LIB. The program is built a second
time, from the meaning of its operations and nothing else, in numbers so wide that nothing overflows. z3 then looks for
sums, states and parameters in their proved ranges for which the two differ.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyosys.libyosys as yosys
import z3

from snncompile.backends.names import identifiers
from snncompile.backends.plan.updates import Update
from snncompile.backends.stream.context import Stage
from snncompile.backends.verilog.context import StageCode
from snncompile.ir.operations import Interval, bit_width

SECONDS = 120
"""How long z3 may look."""


@dataclass(frozen=True)
class Proof:
    """Whether a unit was proved, and otherwise values by which it differs, or none where z3 gave up."""

    proved: bool
    counterexample: Mapping[str, int] | None = None


def prove(code: StageCode, files: Mapping[str, str], update: Update, seconds: int = SECONDS) -> Proof:
    """Prove the unit of a stage against the program of its population.

    Args:
        code: the stage as it was printed.
        files: the Verilog of the unit and the files of its memories, by path.
        update: the program, and the ranges of its leaves.
    """
    name = f"{code.module}_UNIT"
    ports, defined = _unit(name, files)
    known = {line.name: ports[line.name] for line in code.leaves}
    ranges = _ranges(code.stage)
    width = 2 + max(bit_width(interval) for interval in (*update.ranges, *ranges.values(), update.input_range))
    leaves = {leaf: z3.SignExt(width - value.size(), value) for leaf, value in known.items()}
    wanted = _program(update, leaves, width)
    after = dict(update.program.next_state)
    ends = {"emitted": update.program.output,
            **{f"next_{m.name}": after[m.label] for m in code.stage.states}}
    differ = z3.Or([_wide(ports[port], width) != _wide(wanted[step], ports[port].size())
                    for port, step in ends.items()])
    solver = z3.Solver()
    solver.set("timeout", 1000 * seconds)
    solver.add(defined)
    solver.add([z3.And(value >= ranges[leaf][0], value <= ranges[leaf][1]) for leaf, value in leaves.items()])
    solver.add(differ)
    result = solver.check()
    if result == z3.sat:
        model = solver.model()
        return Proof(False, {leaf: model.eval(value, True).as_signed_long() for leaf, value in known.items()})
    return Proof(result == z3.unsat)


def _wide(value: Any, bits: int) -> Any:
    """A bit vector in at least so many bits."""
    return z3.SignExt(bits - value.size(), value) if value.size() < bits else value


def _ranges(stage: Stage) -> dict[str, Interval]:
    """The proved range of each leaf, by the name of its port."""
    prefixes = {"sum": "sum", "state": "state_", "param": "leaf_"}
    return {f"{prefixes[w.op]}{w.value}": w.range for w in stage.unit.wires if w.op in prefixes}


def _unit(name: str, files: Mapping[str, str]) -> tuple[dict[str, Any], Any]:
    """The ports of a unit as bit vectors, and what defines them."""
    with tempfile.TemporaryDirectory() as folder, _inside(Path(folder)), _silent():
        for file, content in files.items():
            Path(file).write_text(content)
        design = yosys.Design()
        for command in (f"read_verilog -sv -DSNNC_COMBINATIONAL {name}.v", f"prep -flatten -top {name}", "memory_map",
                        "opt -full", "write_smt2 -bv unit.smt2"):
            yosys.run_pass(command, design)
        text = Path("unit.smt2").read_text()
    bits = dict(_ports(text))
    lines = [line for line in text.splitlines() if not line.startswith(";")]
    lines += [f"(declare-const s |{name}_s|)"]
    for which, wide in bits.items():
        value = f"(|{name}_n {which}| s)"
        vector = value if wide > 1 else f"(ite {value} #b1 #b0)"
        lines += [f"(declare-const |port {which}| (_ BitVec {wide}))", f"(assert (= |port {which}| {vector}))"]
    return {which: z3.BitVec(f"port {which}", wide) for which, wide in bits.items()}, \
        z3.And(list(z3.parse_smt2_string("\n".join(lines))))


def _ports(text: str) -> Iterator[tuple[str, int]]:
    """The ports that yosys names in comments, and their widths, without those of the clock."""
    for line in text.splitlines():
        mark, *rest = line.removeprefix("; ").split()[:3] or [""]
        if mark in ("yosys-smt2-input", "yosys-smt2-output") and rest[0] not in ("clk", "moves"):
            yield rest[0], int(rest[1])


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """yosys writes its log to the process's own stdout."""
    kept = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


# --- the meaning of a program ---------------------------------------------------------------------------------------

def _program(update: Update, leaves: Mapping[str, Any], width: int) -> list[Any]:
    """Each step of a program as a bit vector."""
    def number(value: int) -> Any:
        return z3.BitVecVal(value, width)

    values: list[Any] = []
    for step, interval in zip(update.program.steps, update.ranges, strict=True):
        args = [values[a] for a in step.args]
        value: Any = step.value
        if interval[0] == interval[1]:
            values.append(number(interval[0]))
        elif step.op == "param":
            values.append(leaves[f"leaf_{identifiers(update.op.params)[value]}"])
        elif step.op == "state":
            values.append(leaves[f"state_{update.state_names[value]}"])
        elif step.op == "input":
            values.append(_input(update, leaves, number))
        elif step.op == "lut":
            table = np.ravel(update.op.params[value[0]]).tolist()
            values.append(_looked_up(args[0], table, value[1], value[2], number))
        else:
            values.append(MEANING[step.op](args, value, number))
    return values


def _input(update: Update, leaves: Mapping[str, Any], number: Any) -> Any:
    total = number(0)
    for k, accumulator in enumerate(update.accumulators):
        factor = number(accumulator.factor) if accumulator.factors is None else leaves[f"leaf_FACTOR{k}"]
        total = total + leaves.get(f"sum{k}", number(0)) * factor
    return total


def _looked_up(a: Any, table: list[int], low: int, shift: int, number: Any) -> Any:
    index = (a - number(low)) >> shift
    found = number(table[-1])
    for i in reversed(range(len(table) - 1)):
        found = z3.If(index <= i, number(table[i]), found)
    return found


def _floor_divided(a: Any, b: Any) -> Any:
    quotient = a / b  # rounds toward 0
    return z3.If(z3.And(a < 0, quotient * b != a), quotient - 1, quotient)


def _shifted(a: Any, constants: Any, number: Any) -> Any:
    bits, rounding = constants
    if rounding == "nearest" and bits:
        a = a + number(1 << (bits - 1))
    elif rounding == "zero":
        a = a + z3.If(a < 0, number((1 << bits) - 1), number(0))
    return a >> bits


def _wrapped(a: Any, bits: int) -> Any:
    return z3.SignExt(a.size() - bits, z3.Extract(bits - 1, 0, a))


def _truth(condition: Any, number: Any) -> Any:
    return z3.If(condition, number(1), number(0))


MEANING: dict[str, Any] = {
    "const": lambda args, value, number: number(int(value)),
    "add": lambda args, value, number: args[0] + args[1],
    "sub": lambda args, value, number: args[0] - args[1],
    "mul": lambda args, value, number: args[0] * args[1],
    "neg": lambda args, value, number: -args[0],
    "abs": lambda args, value, number: z3.If(args[0] < 0, -args[0], args[0]),
    "sign": lambda args, value, number: z3.If(args[0] < 0, number(-1), _truth(args[0] > 0, number)),
    "min": lambda args, value, number: z3.If(args[0] < args[1], args[0], args[1]),
    "max": lambda args, value, number: z3.If(args[0] > args[1], args[0], args[1]),
    "floordiv": lambda args, value, number: _floor_divided(*args),
    "ge": lambda args, value, number: _truth(args[0] >= args[1], number),
    "gt": lambda args, value, number: _truth(args[0] > args[1], number),
    "and": lambda args, value, number: args[0] * args[1],
    "or": lambda args, value, number: z3.If(args[0] > args[1], args[0], args[1]),
    "not": lambda args, value, number: number(1) - args[0],
    "select": lambda args, value, number: z3.If(args[0] != 0, args[1], args[2]),
    "shr": lambda args, value, number: _shifted(args[0], value, number),
    "wrap": lambda args, value, number: _wrapped(args[0], value[0] if isinstance(value, tuple) else value),
}
"""What each operation computes, in numbers that are wide enough."""
