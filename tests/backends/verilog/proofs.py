"""Proofs that a printed neuron unit computes its integer program for every input, by yosys and z3.

yosys reads the Verilog of the unit, without its registers, and writes it as SMT-LIB. The program is built a second
time, from the meaning of its operations and nothing else, in numbers so wide that nothing overflows. z3 then looks for
sums, states and parameters in their proved ranges for which the two differ.
"""

from __future__ import annotations

import contextlib
import os
import re
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
from snncompile.backends.stream.wires import LEAVES
from snncompile.backends.verilog.context import StageCode
from snncompile.ir.expr import Step, constants
from snncompile.ir.operations import OPERATIONS, Interval, bit_width
from snncompile.ir.types import Array
from tests.backends.stream.evaluate import evaluate

SECONDS = 120
"""How long z3 may look."""
OUT = "_out"
"""What the name of a wire ends with where it leaves."""
SAMPLES = 500
"""Random values of the leaves, by which steps and wires are found that may be equal."""


@dataclass(frozen=True)
class Proof:
    """Whether a unit was proved, and otherwise values by which it differs, or none where z3 gave up."""

    proved: bool
    counterexample: Mapping[str, int] | None = None


def prove(code: StageCode, files: Mapping[str, str], update: Update, seconds: int = SECONDS) -> Proof:
    """Prove the unit of a stage against the program of its population.

    The program and the unit are walked side by side. Where a step and a wire had the same values in random samples, z3
    proves that they always do, knowing of what lies before only which steps and wires are equal, and in which ranges
    they are proved to be. In the end it proves the same of what leaves. Where that much knowledge is not enough, the
    whole unit is compared at once, which also finds the values by which it differs.

    Args:
        code: the stage as it was printed.
        files: the Verilog of the unit and the files of its memories, by path.
        update: the program, and the ranges of its leaves.
        seconds: how long z3 may take for the whole unit, or at most a tenth of it for one step.
    """
    name = f"{code.module}_UNIT"
    ports, meant, entering = _unit(name, files)
    known = {line.name: ports[line.name] for line in code.leaves}
    ranges = _ranges(code.stage)
    width = 2 + max(bit_width(interval) for interval in (*update.ranges, *ranges.values(), update.input_range))
    leaves = {leaf: z3.SignExt(width - value.size(), value) for leaf, value in known.items()}
    inside = [*entering,
              *(z3.And(value >= ranges[leaf][0], value <= ranges[leaf][1]) for leaf, value in leaves.items())]
    after = dict(update.program.next_state)
    ends = {"emitted": update.program.output,
            **{f"next_{m.name}": after[m.label] for m in code.stage.states}}

    def differ(values: list[Any], of: Mapping[str, Any]) -> Any:
        return z3.Or([_wide(of[port], width) != _wide(values[step], of[port].size()) for port, step in ends.items()])

    walked = _Walk(update, leaves, width, ports, meant, inside, seconds / 10)
    values = walked.steps(code.stage)
    if _check([*walked.facts, *walked.defined(), differ(values, meant)], seconds) == z3.unsat:
        return Proof(True)
    solver = z3.Solver()
    solver.set("timeout", 1000 * seconds)
    solver.add([*(ports[port] == expression for port, expression in meant.items()), *inside])
    solver.add(differ(_program(update, leaves, width), ports))
    result = solver.check()
    if result == z3.sat:
        model = solver.model()
        return Proof(False, {leaf: model.eval(value, True).as_signed_long() for leaf, value in known.items()})
    return Proof(result == z3.unsat)


def _check(assertions: list[Any], seconds: float) -> Any:
    solver = z3.Solver()
    solver.set("timeout", int(1000 * seconds))
    solver.add(assertions)
    return solver.check()


class _Walk:
    """The steps of a program, one after another, each as a wire of the unit where it is proved to be one.

    Attributes:
        facts: what ties the unit to its leaves and wires, and the ranges in which these are proved to be.
        equal: the wires that are proved to be equal to steps.
    """

    def __init__(self, update: Update, leaves: Mapping[str, Any], width: int, ports: Mapping[str, Any],
                 meant: Mapping[str, Any], inside: list[Any], seconds: float):
        self.update, self.leaves, self.width, self.seconds = update, leaves, width, seconds
        self.ports, self.meant, self.facts = ports, meant, list(inside)
        self.equal: set[str] = set()

    def steps(self, stage: Stage) -> list[Any]:
        """The value of each step."""
        wires, wanted = _sampled(stage, self.update)
        values: list[Any] = []
        for at, (step, interval) in enumerate(zip(self.update.program.steps, self.update.ranges, strict=True)):
            values.append(_step(self.update, step, interval, values, self.leaves, self.width))
            if step.op in ("state", "param") or interval[0] == interval[1]:
                continue
            alike = [name for name, found in wires.items() if np.array_equal(found, wanted[at])]
            for name in alike:
                wire = _wide(self.ports[name], self.width)
                differs = _wide(self.meant[name], self.width) != values[at]
                if _check([*self.facts, *self.defined(name), differs], self.seconds) != z3.unsat:
                    continue
                within = z3.And(values[at] >= interval[0], values[at] <= interval[1])
                if _check([*self.facts, z3.Not(within)], self.seconds) == z3.unsat:
                    self.facts.append(z3.And(wire >= interval[0], wire <= interval[1]))
                self.equal.add(name)
                values[at] = wire
                break
        return values

    def defined(self, before: str | None = None) -> list[Any]:
        """The wires that are not proved to be steps, as what they are computed from; those before one, or all."""
        last = int(before[1:]) if before else len(self.meant)
        numbers = {n: int(n[1:]) for n in self.meant if re.fullmatch(r"w\d+", n)}
        return [self.ports[n] == self.meant[n] for n, at in numbers.items() if n not in self.equal and at < last]


def _sampled(stage: Stage, update: Update) -> tuple[dict[str, Array], list[Array]]:
    """The values of the wires of a unit, by name, and of the steps of its program, for the same random leaves."""
    rng = np.random.default_rng(0)
    leaves = {name: np.concatenate([rng.integers(low, high, SAMPLES, endpoint=True), [low, high]])
              for name, (low, high) in _ranges(stage).items()}
    prefixes = {"sum": "sum", "state": "state_", "param": "leaf_"}
    tables = {name: np.asarray(v) for name, v in stage.tables.items()}
    found = evaluate(stage.unit, lambda kind, value: leaves[f"{prefixes[kind]}{value}"], tables)
    wires = {f"w{i}": np.broadcast_to(np.asarray(v, object), SAMPLES + 2).astype(np.int64)
             for i, (v, w) in enumerate(zip(found, stage.unit.wires, strict=True)) if w.op not in LEAVES}
    steps: list[Array] = []
    names = identifiers(update.op.params)
    for step, interval in zip(update.program.steps, update.ranges, strict=True):
        if interval[0] == interval[1]:
            value: Any = interval[0]
        elif step.op == "param":
            value = leaves[f"leaf_{names[step.value]}"]
        elif step.op == "state":
            value = leaves[f"state_{update.state_names[str(step.value)]}"]
        elif step.op == "input":
            value = sum((leaves.get(f"sum{k}", np.int64(0)) * (
                a.factor if a.factors is None else leaves[f"leaf_FACTOR{k}"])
                for k, a in enumerate(update.accumulators)), np.int64(0))
        else:
            value = OPERATIONS[step.op].apply(*(steps[a] for a in step.args), *constants(step, {
                n: np.asarray(v) for n, v in update.op.params.items()}))
        steps.append(np.broadcast_to(np.asarray(value, np.int64), SAMPLES + 2))
    return wires, steps


def _wide(value: Any, bits: int) -> Any:
    """A bit vector in at least so many bits."""
    return z3.SignExt(bits - value.size(), value) if value.size() < bits else value


def _ranges(stage: Stage) -> dict[str, Interval]:
    """The proved range of each leaf, by the name of its port."""
    prefixes = {"sum": "sum", "state": "state_", "param": "leaf_"}
    return {f"{prefixes[w.op]}{w.value}": w.range for w in stage.unit.wires if w.op in prefixes}


def _unit(name: str, files: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
    """The ports and wires of a unit as bit vectors, what each wire and output is computed from, and what ties the two.

    yosys gets a unit whose wires come from outside: what a wire is computed from leaves as an output of its own.
    """
    with tempfile.TemporaryDirectory() as folder, _inside(Path(folder)), _silent():
        for file, content in files.items():
            Path(file).write_text(_apart(content) if file == f"{name}.v" else content)
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
    read = {str(a.arg(0)).removeprefix("port "): a.arg(1) for a in z3.parse_smt2_string("\n".join(lines))}
    sizes = {which.removesuffix(OUT): wide for which, wide in bits.items()}
    ports = {which: z3.BitVec(f"port {which}", wide) for which, wide in sizes.items()}
    computed = [n for n in read if n.endswith(OUT) or n.startswith("next_") or n == "emitted"]
    entering = [ports[n] == read[n] for n in read if n not in computed]
    return ports, {n.removesuffix(OUT): read[n] for n in computed}, entering


def _apart(text: str) -> str:
    """The unit with its wires as inputs, and what they are computed from as outputs."""
    wires = re.findall(r"^    wire signed (\[\d+:0\]) (w\d+);$", text, re.MULTILINE)
    text = re.sub(r"^    wire signed \[\d+:0\] w\d+;\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^    assign (w\d+) =", rf"    assign \1{OUT} =", text, flags=re.MULTILINE)
    ports = "".join(f",\n    input signed {bits} {name},\n    output signed {bits} {name}{OUT}" for bits, name in wires)
    return text.replace(" emitted\n);", f" emitted{ports}\n);", 1)


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
    values: list[Any] = []
    for step, interval in zip(update.program.steps, update.ranges, strict=True):
        values.append(_step(update, step, interval, values, leaves, width))
    return values


def _step(update: Update, step: Step, interval: Interval, values: list[Any], leaves: Mapping[str, Any], width: int
          ) -> Any:
    """One step of a program, given those before."""
    def number(value: int) -> Any:
        return z3.BitVecVal(value, width)

    args, value = [values[a] for a in step.args], step.value
    if interval[0] == interval[1]:
        return number(interval[0])
    match step.op:
        case "param":
            return leaves[f"leaf_{identifiers(update.op.params)[str(value)]}"]
        case "state":
            return leaves[f"state_{update.state_names[str(value)]}"]
        case "input":
            return _input(update, leaves, number)
        case "lut":
            name, low, shift = value
            return _looked_up(args[0], np.ravel(update.op.params[name]).tolist(), low, shift, number)
    return MEANING[step.op](args, value, number)


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
