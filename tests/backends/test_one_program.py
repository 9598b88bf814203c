"""Two networks of any names in one program: in one translation unit, and linked."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from snncompile.backends.artifact import Artifact, Golden
from snncompile.backends.c.emit import artifact, emit
from snncompile.backends.c.host import compiler
from snncompile.backends.c.types import c_type_of
from snncompile.backends.c.weights import numbers
from snncompile.backends.firmware.lower import lowered
from snncompile.backends.names import FILES, KEYWORDS, PREFIXES, identifiers, prefix
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Input, Output
from snncompile.ir.populations import Neuron
from snncompile.targets.load import load_target
from tests.backends.machines import written
from tests.backends.test_names import NASTY, awkward
from tests.passes.chains import uncalibrated

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
TICKS = 6
HEADERS = ("complex", "errno", "inttypes", "iso646", "math", "netdb", "netinet/in", "pthread", "semaphore", "signal",
           "stdbool", "stdio", "stdlib", "string", "sys/stat", "sys/types", "tgmath", "time", "unistd", "wctype")

word = st.sampled_from(sorted({*NASTY, *KEYWORDS, *PREFIXES, *FILES, "snn", "snn_wrap", "in", "out", "a b", "a.b"}))
name = word | st.tuples(word, st.sampled_from([" ", "_", "."]), word).map("".join) | st.text(max_size=6)
names = st.lists(name, min_size=3, max_size=6, unique=True)


def network(called: str, nodes: list[str]) -> Graph:
    """A chain of populations from the first node, an input, to the last, an output."""
    cell = Neuron(awkward, {"v": np.array([0.125, 0.25]), "class_": np.array([0.0, 0.125])},
                  initial={"v": np.array([0.5, 0.0])})
    ops = [Input((2,)), *[cell] * (len(nodes) - 2), Output()]
    return uncalibrated(Graph(called, dict(zip(nodes, ops, strict=True)),
                              tuple(Edge(a, b) for a, b in pairwise(nodes))))


def main_of(graphs: list[Graph], x: np.ndarray) -> str:
    """A `main` that runs each network on the same frames and prints what it gives."""
    text = [f"static const {c_type_of(x)} frames[] = {{\n{numbers(x)}}};", "int main(void)\n{"]
    for graph in graphs:
        p, out = prefix(graph.name), identifiers(graph.nodes)[next(iter(graph.outputs))]
        size = f"{p}_OUT_{out}_SIZE".upper()
        text += ["    {", f"    static {p}_t memory;", f"    uint8_t found[{TICKS} * {size}];",
                 f"    {p}_init(&memory);", f"    {p}_run(&memory, {TICKS}, frames, found);",
                 f'    for (int i = 0; i < {TICKS} * {size}; i++) printf("%d ", found[i]);', "    }"]
    return "\n".join([*text, "    return 0;", "}", ""])


def printed(folder: Path, *sources: str) -> list[int]:
    command = [*(compiler() or []), "-std=gnu99", "-D_GNU_SOURCE", "-O0", "-Wall", "-Werror", "-o", "program"]
    made = subprocess.run([*command, *sources], cwd=folder, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    done = subprocess.run(["./program"], cwd=folder, capture_output=True, text=True, check=True)
    return [int(v) for v in done.stdout.split()]


def for_hosts(graph: Graph, golden: Golden) -> Artifact:
    return emit(graph, golden=golden)


def for_microcontrollers(graph: Graph, golden: Golden) -> Artifact:
    return artifact(graph, lowered(graph, load_target("cortex-m4"), {}), golden, "text")


def together(graphs: list[Graph], folder: Path, emitted_by: Callable[[Graph, Golden], Artifact] = for_hosts) -> None:
    """Networks in one folder compute what the interpreter does, in one translation unit and linked."""
    x = np.random.default_rng(0).integers(0, 2, (1, TICKS, 2)).astype(np.uint8)
    wanted, files, headers, sources = [], set[str](), [f"#include <{h}.h>" for h in HEADERS], []
    for graph in graphs:
        given_x = {next(iter(graph.inputs)): x.astype(np.int64)}
        outputs = run(graph, given_x).outputs
        wanted += next(iter(outputs.values())).ravel().tolist()
        emitted = {n: f for n, f in emitted_by(graph, Golden(given_x, outputs)).files.items()
                   if n not in ("Makefile", "CMakeLists.txt")}
        assert not files & {n.lower() for n in emitted}, "two files of one name"
        files |= {n.lower() for n in emitted}
        written(emitted, folder)
        headers.append(f'#include "{prefix(graph.name)}.h"')
        sources += [n for n in emitted if n.endswith(".c") and not n.endswith(("_selftest.c", "_example.c"))]
    text = main_of(graphs, x)
    (folder / "apart.c").write_text("\n".join([*headers, text]))
    (folder / "whole.c").write_text("\n".join([*headers, *(f'#include "{n}"' for n in sources), text]))
    assert printed(folder, "whole.c") == wanted
    assert printed(folder, "apart.c", *sources) == wanted


@needs_compiler
@settings(max_examples=8, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(name, names), min_size=2, max_size=2))
def test_networks_of_random_names_are_one_program(drawn: list[tuple[str, list[str]]]) -> None:
    assume(prefix(drawn[0][0]) != prefix(drawn[1][0]))
    with TemporaryDirectory() as folder:
        together([network(*d) for d in drawn], Path(folder))


@needs_compiler
@pytest.mark.parametrize(("first", "second"), [
    (("a", ["x", "h", "y"]), ("a_snn", ["x", "h", "y"])),
    (("a", ["x", "h", "y"]), ("a_weights", ["x", "h", "y"])),
    (("a", ["in_b", "h", "y"]), ("a_in", ["b", "h", "y"])),
    (("a", ["x", "h", "out_b"]), ("a_out", ["x", "h", "b"])),
    (("snn", ["snn_scan", "snn_wrap", "y"]), ("b", ["x", "sa_handler", "complex", "y"])),
    (("pthread", ["a b", "a.b", "A B", "a_b_2"]), ("sem", ["net", "row0", "chunk", "linux"])),
])
def test_names_that_look_alike_do_not_clash(first: tuple[str, list[str]], second: tuple[str, list[str]],
                                            tmp_path: Path) -> None:
    together([network(*first), network(*second)], tmp_path)


@needs_compiler
def test_networks_for_microcontrollers_are_one_program(tmp_path: Path) -> None:
    together([network("a", ["x", "h", "y"]), network("b", ["x", "h", "y"])], tmp_path, for_microcontrollers)


@needs_compiler
def test_two_networks_of_one_name_are_refused_by_the_compiler(tmp_path: Path) -> None:
    """Even where only their weights differ: a program would run one of them in place of the other."""
    for folder, wide in (("one", ["x", "h", "y"]), ("two", ["x", "h", "g", "y"])):
        (tmp_path / folder).mkdir()
        written(emit(network("a b" if folder == "one" else "a.b", wide)).files, tmp_path / folder)
    for second, refused in (("one", False), ("two", True)):
        (tmp_path / "t.c").write_text(f'#include "one/a_b.h"\n#include "{second}/a_b.h"\n')
        made = subprocess.run([*(compiler() or []), "-fsyntax-only", "t.c"], cwd=tmp_path, capture_output=True,
                              text=True, check=False)
        assert (made.returncode != 0) == refused
        assert ("two networks are called a_b" in made.stderr) == refused
