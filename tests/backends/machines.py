"""Emitted C on machines of other kinds: cross-compiled, and run in an emulator."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snncompile.backends.artifact import Golden
from snncompile.backends.c.emit import emit
from snncompile.backends.c.interface import Interface
from snncompile.backends.c.types import c_type_of
from snncompile.backends.c.weights import numbers
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array
from tests.backends.exactness import Case

TIMEOUT_S = 120


@dataclass(frozen=True)
class Machine:
    """A kind of machine, and how its programs are made and run here.

    Attributes:
        compiler: the command that compiles for it.
        emulator: the command in front of a program; empty where this machine runs it.
    """

    name: str
    compiler: tuple[str, ...]
    emulator: tuple[str, ...]

    @property
    def tools(self) -> tuple[str, ...]:
        """The programs that must be installed."""
        return self.compiler[0], *self.emulator[:1]

    def compiled(self, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the compiler in a folder."""
        return subprocess.run([*self.compiler, "-std=c99", "-O1", *words], cwd=folder, capture_output=True, text=True,
                              check=False, timeout=TIMEOUT_S)

    def output(self, folder: Path, *words: str) -> str:
        """Compile with these words, run what comes out, and give what it prints, whatever it exits with."""
        made = self.compiled(folder, "-o", "program", *words)
        assert made.returncode == 0, made.stderr
        return subprocess.run([*self.emulator, "./program"], cwd=folder, capture_output=True, text=True, check=False,
                              timeout=TIMEOUT_S).stdout


MACHINES = (
    Machine("mips", ("mips-linux-gnu-gcc", "-static"), ("qemu-mips",)),
    Machine("aarch64", ("aarch64-linux-gnu-gcc", "-static"), ("qemu-aarch64",)),
    Machine("i686", ("i686-linux-gnu-gcc", "-static"), ()),
)
"""Mips is big-endian, the others are little-endian; aarch64 has 64 bits, the others have 32."""


def written(files: Mapping[str, str | bytes], folder: Path) -> None:
    """Write emitted files into a folder."""
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def differences(case: Case, machine: Machine, folder: Path) -> list[str]:
    """Where the emitted C differs from the interpreter on a machine: in its self-test, or in any spike or state."""
    golden = Golden(case.x, case.wanted.outputs)
    files = emit(case.graph, rates=case.rates, golden=golden, weights_as="text").files
    prefix = Interface.of(case.graph).prefix
    written({**files, "inside.c": _inside(case.graph, case.x)}, folder)
    library = (f"{prefix}.c", f"{prefix}_weights.c")
    verdict = machine.output(folder, f"{prefix}_selftest.c", *library)
    printed = machine.output(folder, "inside.c", f"{prefix}_probe.c", *library)
    found = [] if verdict.startswith(f"{prefix}: exact, ") else [f"self-test: {verdict!r}"]
    for name, got in zip(_names(case.graph), _split(case, printed), strict=True):
        if not np.array_equal(got, _wanted(case, name)):
            found.append(" of ".join(name))
    return found


def _names(graph: Graph) -> list[tuple[str, str]]:
    """What the program prints in each tick: outputs, then for each population what it emits and its states."""
    inside = [(what, p) for p in Interface.of(graph).populations for what in ("spikes", *graph.population(p).states)]
    return [("output", n) for n in graph.outputs] + inside


def _wanted(case: Case, name: tuple[str, str]) -> Array:
    what, node = name
    if what == "output":
        return case.wanted.outputs[node]
    assert case.wanted.emitted is not None
    return case.wanted.emitted[node] if what == "spikes" else case.wanted.states[node][what]


def _split(case: Case, printed: str) -> Iterator[Array]:
    """The numbers that the program printed, `[sample, tick, *shape]` for each name."""
    samples, ticks = next(iter(case.x.values())).shape[:2]
    values = np.array(printed.split(), np.int64).reshape(samples, ticks, -1)
    at = 0
    for _, node in _names(case.graph):
        shape = case.graph.shapes[node]
        size = int(np.prod(shape))
        yield values[:, :, at:at + size].reshape(samples, ticks, *shape)
        at += size
    assert at == values.shape[2]


def _inside(graph: Graph, x: Mapping[str, Array]) -> str:
    """A program that steps through the inputs and prints the outputs and the inside of the network in each tick."""
    face = Interface.of(graph)
    prefix, inputs, outputs = face.prefix, list(face.inputs), list(face.outputs)
    typed = [np.ascontiguousarray(x[n], face.inputs[n]) for n in inputs]
    samples, ticks = typed[0].shape[:2]
    text = [f'#include <stddef.h>\n#include <stdio.h>\n#include "{prefix}.h"',
            f"int32_t {prefix}_read(const {prefix}_t *, int32_t, int32_t, int64_t *);", f"static {prefix}_t net;"]
    text += [f"static const {c_type_of(v)} in{i}[] = {{\n{numbers(v)}}};" for i, v in enumerate(typed)]
    sizes = [int(np.prod(graph.shapes[n])) for n in outputs]
    text += [f"static {c_type_of(np.empty(0, face.outputs[n]))} out{i}[{sizes[i]}];" for i, n in enumerate(outputs)]
    largest = max(int(np.prod(s)) for s in graph.shapes.values())
    arguments = [f"in{i} + (s * {ticks} + t) * {v[0, 0].size}" for i, v in enumerate(typed)]
    arguments += [f"out{i}" for i in range(len(outputs))]
    text += [f"static int64_t values[{largest}];", "int main(void)\n{", f"    {prefix}_init(&net);",
             f"    for (int s = 0; s < {samples}; s++) {{", f"    {prefix}_reset(&net);",
             f"    for (int t = 0; t < {ticks}; t++) {{", f"        {prefix}_step(&net, {', '.join(arguments)});"]
    text += [f'        for (int i = 0; i < {size}; i++) printf("%ld ", (long)out{o}[i]);'
             for o, size in enumerate(sizes)]
    for p, name in enumerate(face.populations):
        text += [f"        for (int32_t f = 0; f <= {len(graph.population(name).states)}; f++) {{",
                 f"            const int32_t n = {prefix}_read(&net, {p}, f, values);",
                 '            for (int32_t i = 0; i < n; i++) printf("%lld ", (long long)values[i]);', "        }"]
    return "\n".join([*text, "    } }", "    return 0;", "}", ""])
