"""Names: whatever names the user gives, the program compiles as C and its header as C++, and no two names are equal."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.backends.artifact import Golden
from snncompile.backends.c.emit import emit
from snncompile.backends.c.host import Host, compiler
from snncompile.backends.names import KEYWORDS, MAX_LENGTH, comment, identifier, identifiers, prefix
from snncompile.ir.expr import Expr
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Input, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Membrane, fires, neuron_rule, reset
from tests.backends.exactness import flags
from tests.passes.chains import uncalibrated

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")

NASTY = ["chunk", "class", "new", "and", "linux", "errno", "int8_t", "memset", "i", "c", "t0", "acc0", "net", "src",
         "out", "tick", "row_i", "same", "ticks", "none_", "state", "rows", "*/", "// x", "a\nb", "\\", "%s", "\"", "9",
         "", "net_step", "union", "schicht-ä", "A", "a", "a_", "a 2", "a_2", "x" * 200, "x" * 201, "??/", "#define a"]


@neuron_rule(threshold=Membrane(1.0), v=Membrane(0.25), class_=Membrane(0.0))
def awkward(state: Any, x: Expr, p: Any) -> Expr:
    """A rule whose states and parameters have the same names, one of which is a keyword of C++ with an underscore."""
    v = state.v + x + p.v + state.class_
    spike = fires(v, p)
    state.v = reset(v, spike, p)
    state.class_ = state.class_ * 0.5 + p.class_
    return spike


def relay(name: str, populations: list[str]) -> Graph:
    """A chain of populations of the awkward rule."""
    cell = Neuron(awkward, {"v": np.array([0.125, 0.25]), "class_": np.array([0.0, 0.125])},
                  initial={"v": np.array([0.5, 0.0])})
    nodes = {"*in*": Input((2,)), **dict.fromkeys(populations, cell), "out/": Output()}
    return uncalibrated(Graph(name, nodes, tuple(Edge(a, b) for a, b in pairwise(nodes))))


def exact(graph: Graph) -> None:
    x = {"*in*": np.random.default_rng(0).integers(0, 2, (2, 9, 2))}
    wanted = run(graph, x).outputs["out/"]
    assert wanted.any()
    np.testing.assert_array_equal(Host.of(graph, {}, flags()).run(x)[0]["out/"], wanted)


@needs_compiler
def test_populations_of_every_nasty_name_live_in_one_network():
    exact(relay("net", NASTY))


@needs_compiler
@pytest.mark.parametrize("name", ["int8", "size", "string", "run", "update", "s", "a selftest", "*/"])
def test_networks_of_nasty_names_build(name):
    exact(relay(name, ["a", "init", "step", "run", "reset", "read"]))


@needs_compiler
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_the_header_of_a_network_of_nasty_names_is_cpp(tmp_path: Path) -> None:
    for name, content in emit(relay("new", NASTY)).files.items():
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    (tmp_path / "t.cpp").write_text('#include "new.h"\nint main() { static new_t n; new_init(&n); }\n')
    done = subprocess.run(["g++", "-Wall", "-Werror", "-c", "t.cpp"], cwd=tmp_path, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr


@needs_compiler
def test_two_networks_with_the_same_populations_link_into_one_program(tmp_path: Path) -> None:
    sources = []
    for name in ("first", "second"):
        files = emit(relay(name, ["a", "b"])).files
        sources += [n for n in files if n.endswith(".c")]
        for n, content in files.items():
            (tmp_path / n).write_text(str(content))
    (tmp_path / "m.c").write_text('#include "first.h"\n#include "second.h"\nstatic first_t a; static second_t b;\n'
                                  "int main(void) { first_init(&a); second_init(&b); return 0; }\n")
    command = [*(compiler() or []), "-o", "m", "m.c", *sources]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@needs_compiler
@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not here")
@pytest.mark.parametrize("name", ["test", "help"])
def test_targets_of_cmake_are_no_obstacle(name: str, tmp_path: Path) -> None:
    graph = relay(name, ["linux"])
    x = {"*in*": np.zeros((1, 2, 2), np.int64)}
    for n, content in emit(graph, golden=Golden(x, run(graph, x).outputs)).files.items():
        (tmp_path / n).write_text(str(content))
    for command in (["cmake", "-S", ".", "-B", "b"], ["cmake", "--build", "b"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


# --- the functions -----------------------------------------------------------------------------------------

@given(st.text())
def test_an_identifier_is_one(name: str) -> None:
    for text in (identifier(name), prefix(name)):
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", text)
        assert len(text) <= MAX_LENGTH + len("_net")
    assert identifier(name) not in KEYWORDS


@given(st.lists(st.text(max_size=8) | st.sampled_from(NASTY), unique=True, max_size=12))
def test_distinct_names_have_distinct_identifiers(names: list[str]) -> None:
    by_name = identifiers(names)
    assert list(by_name) == names
    assert len(set(by_name.values())) == len(names)


@given(st.text())
def test_a_comment_stays_one(name: str) -> None:
    text = comment(name)
    assert len(text) <= 80
    assert not re.search(r"[*/\\?\n\r\"'`$%{}#]|[^ -~]", text)
