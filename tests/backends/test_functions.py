"""Equal kernels and updates are one function of the emitted program, which computes what the interpreter does."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.c.emit import emit
from snncompile.backends.c.functions import Body, Number, Parameter, functions
from snncompile.backends.c.host import Host, compiler
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Input, Linear, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.model import inside_differences
from tests.backends.exactness import flags

LAYERS = 12


def body(word: str = "kernel", text: str = "dst[0] = @0@ + @1@;", numbers: tuple[int, ...] = (3, 5),
         argument: str = "x") -> Body:
    parameters = (Parameter("int *", "dst", argument), Parameter("const int *", "src", "y"))
    return Body(word, "a label", parameters, text, tuple(Number("int", n) for n in numbers))


def test_bodies_of_one_text_are_one_function_and_others_are_not():
    bodies = [body(), body(text="dst[0] = 1;", numbers=()), body(argument="z"), body(word="update")]
    made, calls = functions(bodies, "net")
    assert calls == ("net_KERNEL0(x)", "net_KERNEL1(x)", "net_KERNEL0(z)", "net_UPDATE2(x)")
    assert [f.shared for f in made] == [True, False, False]
    assert [f.text for f in made] == ["dst[0] = 3 + 5;", "dst[0] = 1;", "dst[0] = 3 + 5;"]
    assert [f.parameters for f in made] == ["int *dst"] * 3, "src is not used"


def test_only_numbers_that_differ_become_parameters():
    (made,), calls = functions([body(numbers=(3, 5)), body(numbers=(3, -6))], "net")
    assert (made.parameters, made.text) == ("int *dst, const int n1", "dst[0] = 3 + n1;")
    assert calls == ("net_KERNEL0(x, 5)", "net_KERNEL0(x, (-6))")


def test_numbers_of_other_types_and_numbers_that_are_not_named_share_nothing():
    other = Body("kernel", "", body().parameters, body().text, (Number("int64_t", 3), Number("int", 5)))
    assert len(functions([body(), other], "net")[0]) == 2
    (made,), _ = functions([body(text="dst[0] = @1@;"), body(text="dst[0] = @1@;", numbers=(9, 5))], "net")
    assert made.parameters == "int *dst"


def deep(kind: str) -> tuple[Graph, dict[str, np.ndarray]]:
    """Equal layers, integer thresholds that differ, and random frames."""
    rng = np.random.default_rng(0)
    nodes: dict[str, Op] = {"in": Input((16,) if kind == "linear" else (4, 5, 5))}
    for i in range(LAYERS):
        nodes[f"w{i}"] = Linear(rng.normal(0.15, 0.4, (16, 16))) if kind == "linear" else Conv(
            rng.normal(0.1, 0.3, (4, 4, 3, 3)), padding=((1, 1), (1, 1)))
        nodes[f"n{i}"] = Neuron.of("lif", Firing(), decay=1 - 2.0 ** -(1 + i % 3), threshold=1.0 + i / 16)
    nodes["out"] = Output()
    names = list(nodes)
    graph = Graph("deep", nodes, tuple(Edge(a, b) for a, b in pairwise(names)))
    x = (rng.random((2, 9, *nodes["in"].infer(()))) < 0.4).astype(int)
    return sc.compile(graph, calibration=x.astype(float), per="layer").graph, {"in": x}


@pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_a_deep_network_of_equal_layers_has_few_functions_and_is_exact(kind):
    graph, x = deep(kind)
    text = str(emit(graph).files["deep.c"])
    made = re.findall(r"^(?:static|SNN_KERNEL) void deep_(KERNEL|UPDATE)\d+\((.*)\)$", text, re.MULTILINE)
    assert 2 <= len(made) <= LAYERS // 2
    assert any(re.search(r"const int\w* n\d", parameters) for _, parameters in made), "thresholds are parameters"
    wanted = run(graph, x, record=True, states=True)
    assert all(v.any() for v in wanted.emitted.values())
    host = Host.of(graph, {}, flags())
    assert inside_differences(wanted, host.trace(x)) == []
    np.testing.assert_array_equal(host.run(x)[0]["out"], wanted.outputs["out"])
