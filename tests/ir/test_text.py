"""The text form: it says everything, reads back, and meets damaged text with a diagnostic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.diagnostics import CompileError
from snncompile.ir.expr import Expr, as_expr, flatten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Conv, Input, Linear, Output, Scale
from snncompile.ir.populations import IntState, Neuron, Population
from snncompile.ir.rules import Count, Firing, Membrane, Real, fires, neuron_rule, reset
from snncompile.ir.text import arrays_of, digest, from_text, to_text
from snncompile.ir.types import ShapeOnly, Stage
from snncompile.ir.verify import verify
from tests.strategies import Features, graphs, inputs_for, random_graph


def example() -> Graph:
    """A small network with a bit of everything."""
    nodes = {
        "frames": Input((1, 4, 4), "real", -1.0, 1.0),
        "conv 1": Conv(np.arange(18.0).reshape(2, 1, 3, 3) / 64, np.array([0.5, -0.5]), padding=((1, 1), (0, 1))),
        "lif": Neuron.of("lif", Firing(">", "value", max_spikes=None), initial={"v": 0.25},
                         decay=np.array([0.5, 0.75]).reshape(2, 1, 1), v_reset=-0.125),
        "scale": Scale(0.5),
        "readout": Neuron.of("cubali", options={"filter": "add-first"}),
        "y": Output("max"),
    }
    edges = (Edge("frames", "conv 1"), Edge("conv 1", "lif"), Edge("lif", "scale", 2), Edge("scale", "lif"),
             Edge("lif", "readout"), Edge("readout", "y"))
    return Graph("small \"net\"", nodes, edges, meta={"dt": 0.001, "source": ["a", {"b": None}]})


def integers() -> Graph:
    """An integer graph with a projection, a table and two states."""
    x, v = Expr("input"), Expr("state", (), "v")
    kept = Expr("shr", (v * Expr("param", (), "m"),), (4, "zero"))
    drive = Expr("lut", (x,), ("curve", -8, 2))
    total = kept + drive
    program = flatten(total >= Expr("param", (), "th"), {"v": total, "last": Expr("wrap", (x,), 8)})
    population = Population(program, {"m": 12, "th": np.array([3, 5]), "curve": np.arange(4)},
                            {"v": IntState(16), "last": IntState(8, np.array([1, 2]))}, unit=np.array([0.5, 0.25]))
    weight = np.array([[1, -2, 3], [0, 1, 0]], np.int8)
    return Graph("ints", {"x": Input((3,)), "p": population, "y": Output()},
                 (Edge("x", "p", 1, (Linear(weight), Scale(2))), Edge("p", "y")), Stage.INT)


def again(graph: Graph, **options: object) -> Graph:
    return from_text(to_text(graph), arrays_of(graph), **options)


@pytest.mark.parametrize(("name", "make"), [("small.snn", example), ("integers.snn", integers)])
def test_the_text_reads_as_recorded(golden, name, make):
    golden(name, to_text(make()))


@pytest.mark.parametrize("make", [example, integers])
def test_examples_read_back(make):
    graph = again(make())
    assert to_text(verify(graph)) == to_text(make())
    assert (graph.name, graph.stage, dict(graph.meta)) == (make().name, make().stage, make().meta)


@settings(max_examples=150)
@given(graphs())
def test_any_graph_reads_back_to_the_same_text_and_the_same_behaviour(graph):
    back = again(graph)
    assert to_text(back) == to_text(graph)
    assert list(back.nodes) == list(graph.nodes)
    x = inputs_for(graph, samples=1, ticks=4)
    for name, values in run(graph, x).outputs.items():
        np.testing.assert_array_equal(run(back, x).outputs[name], values)


def test_integer_programs_read_back_to_the_same_behaviour():
    x = np.random.default_rng(0).integers(0, 2, (2, 5, 3))
    np.testing.assert_array_equal(run(again(integers()), x).outputs["y"], run(integers(), x).outputs["y"])


def test_numbers_keep_their_last_bit():
    graph = random_graph(3).replace(meta={"x": 0.1 + 0.2, "tiny": 5e-324})
    assert dict(again(graph).meta) == {"x": 0.1 + 0.2, "tiny": 5e-324}


def test_weights_without_numbers_read_back():
    graph = Graph("g", {"x": Input((3,)), "fc": Linear(ShapeOnly((2, 3)), ShapeOnly((2,), "int8")), "y": Output()},
                  (Edge("x", "fc"), Edge("fc", "y")))
    assert again(graph).nodes["fc"].arrays == {"weight": ShapeOnly((2, 3)), "bias": ShapeOnly((2,), "int8")}


@pytest.mark.parametrize("weight", [ShapeOnly((2, 3), bits=1), ShapeOnly((2, 3), density=0.25),
                                    ShapeOnly((2, 3), "int8", 4, 1e-07), ShapeOnly((2, 3), density=1)])
def test_bits_and_density_read_back(weight):
    graph = Graph("g", {"x": Input((3,)), "fc": Linear(weight), "y": Output()}, (Edge("x", "fc"), Edge("fc", "y")))
    assert again(verify(graph)).nodes["fc"].weight == weight


@pytest.mark.parametrize(("old", "new"), [
    ("bits=4", "bits=x"), ("bits=4", "bits=-4"), ("density=0.5", "density=nan"), ("density=0.5", "density=1.5.5"),
    ("[2,3]", "[2,3,]x"), ("[2,3]", f"[{'9' * 5000}]"), ("bits=4", "bits=" + "9" * 5000)])
def test_hostile_bits_and_densities_are_refused(old, new):
    graph = Graph("g", {"x": Input((3,)), "fc": Linear(ShapeOnly((2, 3), bits=4, density=0.5)), "y": Output()},
                  (Edge("x", "fc"), Edge("fc", "y")))
    text = to_text(graph)
    assert old in text
    with pytest.raises(CompileError):
        verify(from_text(text.replace(old, new, 1)))


@neuron_rule(states={"count": Count(1)}, options={"leak": ("slow", "fast")}, decay=Real(0.5), step=Membrane(None))
def mine(state, x, p):
    v = p.decay * state.v + x if p.step is None else state.v + p.step * state.count
    spike = fires(v, p, as_expr(1))
    state.v = reset(v, spike, p, as_expr(1)) if p.options["leak"] == "slow" else v * 0.25
    state.count = 1 - spike
    return spike


@pytest.mark.parametrize("neuron", [
    Neuron(mine), Neuron(mine, {"step": 0.25}, Firing(">", "subtract", max_spikes=None), {"leak": "fast"}),
    Neuron(mine, {"decay": np.array([0.5, 0.25]), "bias": 0.125}, initial={"v": 0.5})])
def test_a_rule_of_ones_own_travels_with_its_program(neuron):
    graph = Graph("g", {"x": Input((2,)), "n": neuron, "y": Output()}, (Edge("x", "n"), Edge("n", "y")))
    back = again(verify(graph))
    assert back.nodes["n"].traced == neuron.traced
    assert to_text(back) == to_text(graph)
    x = inputs_for(graph)
    assert np.array_equal(run(graph, x).outputs["y"], run(verify(back), x).outputs["y"])


@pytest.mark.parametrize(("line", "bad"), [
    ('%0 = const 1', '%0 = const "one"'), ('%0 = const 1', '%0 = param "w"'), ('%0 = const 1', '%0 = state "w"'),
    ('%0 = const 1', '%0 = lut %0 ["t", 0, 0]'), ('next "v" %0', 'next "w" %0'), ('next "v" %0', ''),
    ('out %0', 'out %-1'), ('dimension="membrane"', 'dimension="length"'), ("default=0.0", "default=null"),
    ("spiking=true", 'spiking="yes"'), ('rule="own"', "rule=[]"), ('rule="own" spiking=true', 'rule="own"')])
def test_a_damaged_program_of_a_rule_is_refused(line, bad):
    text = ('snnc 1\ngraph "g" float\ninput "x" shape=[1]\nneuron "n" rule="own" spiking=true compare=">="\n'
            '  state "v" dimension="membrane" default=0.0\n  %0 = const 1\n  next "v" %0\n  out %0\noutput "y"\n'
            'edge "x" "n"\nedge "n" "y"\n')
    verify(from_text(text))
    assert line in text
    with pytest.raises(CompileError):
        verify(from_text(text.replace(line, bad)))


def test_unlimited_spikes_are_not_confused_with_the_default():
    for limit in (1, 3, None):
        graph = Graph("g", {"x": Input((1,)), "n": Neuron.of("if", Firing(max_spikes=limit)), "y": Output()},
                      (Edge("x", "n"), Edge("n", "y")))
        assert again(graph).nodes["n"].firing.max_spikes == limit


def test_equal_arrays_share_one_name_and_different_ones_do_not():
    a = np.arange(4.0)
    assert digest(a) == digest(a.copy())
    assert len({digest(a), digest(a.reshape(2, 2)), digest(a + 1), digest(a.astype(np.float32))}) == 4


def test_an_array_is_named_by_its_values_not_by_its_layout():
    a = np.arange(6.0).reshape(2, 3)
    assert digest(np.asfortranarray(a)) == digest(a)


def test_any_name_survives_on_one_line():
    name = 'a\n"b"\\ \u2028 \x00 ü 🧠'
    graph = Graph(name, {name: Input((1,)), "y": Output()}, (Edge(name, "y"),))
    assert len(to_text(graph).splitlines()) == 5
    assert list(again(graph).nodes) == [name, "y"]


# --- damaged text ----------------------------------------------------------------------------------------

HEAD = 'snnc 1\ngraph "g" float\ninput "x" shape=[2] values="spike" low=0 high=1 unit=1.0\noutput "y" decode="rate"\n'
INTS = "snnc 1\ngraph \"g\" int\ninput \"x\" shape=[2]\noutput \"y\"\npopulation \"p\" rule=\"r\" unit=1.0\n"
BROKEN = {
    "empty": "",
    "other-version": "snnc 2\n",
    "no-graph-line": "snnc 1\ninput \"x\" shape=[2]\n",
    "unknown-stage": "snnc 1\ngraph \"g\" fixed\n",
    "unknown-operator": HEAD + "convolution \"c\"\n",
    "unknown-attribute": HEAD + "rectify \"r\" slope=0.1\n",
    "unknown-state-attribute": INTS + "  state \"v\" bit=3\n",
    "missing-attribute": HEAD + "reshape \"r\"\n",
    "unknown-rule": HEAD + "neuron \"n\" rule=\"hodgkin-huxley\"\n",
    "misspelt-firing": HEAD + "neuron \"n\" rule=\"if\" compere=\">\" p.threshold=1\n",
    "name-twice": HEAD + "identity \"x\"\n",
    "name-not-quoted": HEAD + "identity 5\n",
    "edge-to-nowhere": HEAD + "edge \"x\" \"z\"\n",
    "edge-misspelt-delay": HEAD + "edge \"x\" \"y\" dealy=1\n",
    "edge-broken-delay": HEAD + "edge \"x\" \"y\" delay=1.5\n",
    "not-json": HEAD + "reshape \"r\" shape=[1,\n",
    "nested-deep": HEAD + "reshape \"r\" shape=" + "[" * 40 + "]" * 40 + "\n",
    "no-equals": HEAD + "reshape \"r\" shape\n",
    "missing-array": HEAD + "linear \"l\" weight=@f64[1,2]#0123456789abcdef\n",
    "stray-chain": "snnc 1\ngraph \"g\" float\n  linear\n",
    "program-out-of-order": INTS + "  %1 = input\n  out %0\n",
    "program-reads-ahead": INTS + "  %0 = neg %1\n  out %0\n",
    "program-unknown-operation": INTS + "  %0 = sqrt\n  out %0\n",
    "program-output-missing": INTS + "  %0 = input\n  out %3\n",
    "program-next-missing": INTS + "  %0 = input\n  next \"v\" %1\n  out %0\n",
    "program-stray-line": INTS + "  %0 = input\n  goto 10\n",
}


def test_damaged_text_is_met_with_the_line_and_what_is_expected(golden):
    found = []
    for name, text in BROKEN.items():
        with pytest.raises(CompileError) as caught:
            from_text(text)
        found.append(f"== {name}\n{caught.value}\n")
    golden("text-errors.txt", "\n".join(found))


JUNK = ['"', "[", "]", "@", "?", "%", "-1", "1e400", "NaN", "-Infinity", "null", "true", "{}", "[[]]", "9" * 25, " ",
        "\n", "\n  ", "=", "p.x=1 ", "o.filter=1 ", "initial.v=", "edge ", "?float32[1000000000000]", "?f8[2,3]", '"x"',
        '[1,"a"]', "\\ud800", "delay=-1", "state", "out %9", "next", "%0", "\u2028", "select", '">="', "0", "1.5",
        '{"a":1}']


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, Graph]:
    """A text with junk put in, parts cut out, lines swapped or values exchanged."""
    graph = draw(st.one_of(graphs(Features(layers=2)), st.builds(integers), st.builds(example)))
    text = to_text(graph)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        lines = text.split("\n")
        one, two = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["insert", "cut", "swap", "repeat", "value", "value", "value"])):
            case "insert":
                text = text[:at] + draw(st.sampled_from(JUNK)) + text[at:]
            case "cut":
                text = text[:at] + text[at + draw(st.integers(1, 6)):]
            case "swap":
                lines[one], lines[two] = lines[two], lines[one]
                text = "\n".join(lines)
            case "repeat":
                text = "\n".join([*lines[:one], lines[two], *lines[one:]])
            case "value":
                text = _replace_value(draw, text)
    return text, graph


def _replace_value(draw: st.DrawFn, text: str) -> str:
    words = text.split(" ")
    places = [i for i, w in enumerate(words) if "=" in w]
    if not places:
        return text
    at = draw(st.sampled_from(places))
    other = words[draw(st.sampled_from(places))].partition("=")[2]
    words[at] = words[at].partition("=")[0] + "=" + draw(st.sampled_from([other, *JUNK]))
    return " ".join(words)


@settings(max_examples=600)
@given(damaged())
def test_damaged_text_gives_a_diagnostic_or_a_graph_that_runs(case):
    text, graph = case
    try:
        found = verify(from_text(text, arrays_of(graph)))
    except CompileError:
        return
    assert to_text(again(found)) == to_text(found)
    numbers = all(isinstance(a, np.ndarray) for op in found.nodes.values() for a in op.arrays.values())
    if numbers and sum(int(np.prod(s)) for s in found.shapes.values()) < 10_000:
        run(found, {n: np.zeros((1, 2, *op.shape)) for n, op in found.inputs.items()})
