"""Widths of single layers: by the name of a layer or a population, in a file, in checks, and in what is compiled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import snncompile as sc
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Linear
from snncompile.ir.populations import Neuron
from snncompile.search import Net
from snncompile.targets.layer_options import read, split, to_toml
from tests.passes.chains import chain, joined


def two_layers() -> Graph:
    """Linear layers `a` and `c` before populations `b` and `d`."""
    rng = np.random.default_rng(3)
    return chain(Linear(rng.normal(0, 0.5, (6, 4)), None), Neuron.of("lif", decay=0.75),
                 Linear(rng.normal(0, 0.5, (3, 6)), None), Neuron.of("lif", decay=0.5))


X = (np.random.default_rng(0).random((12, 9, 4)) < 0.4).astype(float)


def widths(model: sc.CompiledModel) -> dict[str, tuple[int, int]]:
    """The widest weight and the width of the membrane of each population."""
    return {p.name: (p.weight_bits, max(p.state_bits.values())) for p in model.report.populations}


def refused(**options):
    with pytest.raises(sc.CompileError) as caught:
        sc.compile(two_layers(), calibration=X, **options)
    return caught.value.diagnostics[0]


@pytest.mark.parametrize("names", [("a", "d"), ("b", "c"), ("b", "d")])
def test_a_layer_or_its_population_has_widths_of_its_own(names):
    first, second = names
    model = sc.compile(two_layers(), calibration=X, weight_bits={first: 8, second: 3}, membrane_bits={second: 10})
    (wide, _), (narrow, membrane) = widths(model).values()
    assert 5 <= wide <= 8
    assert narrow <= 3
    assert membrane <= 10
    assert model.report.layers == {"b": {"weight_bits": 8}, "d": {"weight_bits": 3, "membrane_bits": 10}}
    np.testing.assert_array_equal(model.run(X).outputs, model.reference(X).outputs)


def test_layers_have_what_the_whole_network_has_unless_they_say_otherwise():
    model = sc.compile(two_layers(), calibration=X, weight_bits=4, layers={"a": {"weight_bits": "ternary"}})
    assert [bits for bits, _ in widths(model).values()] == [2, 4]
    whole = sc.compile(two_layers(), calibration=X, weight_bits=4)
    assert str(model.graph.nodes["d"]) == str(whole.graph.nodes["d"])


def test_a_build_holds_a_file_that_gives_the_same_network(tmp_path):
    model = sc.compile(two_layers(), calibration=X, weight_bits={"a": 3}, membrane_bits=12)
    model.save(tmp_path / "build")
    again = sc.compile(two_layers(), calibration=X, layers=tmp_path / "build" / "layers.toml")
    assert str(again.graph) == str(model.graph)
    assert sc.open_build(tmp_path / "build").verify()


def test_checks_and_costs_assume_the_same_widths():
    net = Net((4,)).linear(6, name="a").lif(0.5, name="b").linear(3, name="c").lif(0.5, name="d").graph()
    cost = sc.check(net, "c99", weight_bits={"a": 2, "d": 16}, membrane_bits={"b": 4, "d": 32}).cost
    assert cost.weight_bits == 2 * 24 + 16 * 18
    assert cost.state_bits == 4 * 6 + 32 * 3
    assert sc.estimate(net, "c99", layers={"a": {"weight_bits": 2}}).weight_bits == 2 * 24 + 8 * 18
    verdict = sc.check(net, "loihi1", weight_bits={"d": 12})
    assert [v.diagnostic.place for v in verdict.violations if v.rule == "weight-bits"] == ['projection "b -> d"']


def test_a_readout_inside_a_loop_has_values_of_its_own_width():
    rng = np.random.default_rng(2)
    graph = joined({"a": Linear(rng.normal(0, 0.5, (5, 4)), None), "r": Neuron.of("li", decay=0.5),
                    "back": Linear(rng.normal(0, 0.1, (5, 5)), None), "c": Linear(rng.normal(0, 0.5, (3, 5)), None),
                    "d": Neuron.of("if")},
                   Edge("x", "a"), Edge("a", "r"), Edge("r", "back", 1), Edge("back", "r"), Edge("r", "c"),
                   Edge("c", "d"), Edge("d", "y"))
    units = [sc.compile(graph, calibration=X, membrane_bits=bits).graph.nodes["r"].unit for bits in (None, {"r": 10})]
    assert float(units[1]) == 2**6 * float(units[0])  # spread over 14 bits, or over 10 - 2


def test_packings_take_them_too():
    net = Net((1024,)).linear(1024, name="a").lif(0.5, name="b").linear(1024, name="c").lif(0.5, name="d").graph()
    widths = (None, {"b": 2}, 2, {"a": 2, "c": 2})
    cores = [sc.check(net, "loihi2", packed=True, weight_bits=bits).cores for bits in widths]
    assert cores[0] > cores[1] > cores[2] == cores[3]


@pytest.mark.parametrize(("options", "place"), [
    ({"weight_bits": {"e": 8}}, 'options of layer "e"'),
    ({"weight_bits": {"x": 8}}, 'options of layer "x"'),
    ({"weight_bits": {"a": 8, "b": 4}}, 'options of layer "b", weight_bits'),
    ({"weight_bits": {"a": 0}}, 'layer "a", option "weight_bits"'),
    ({"membrane_bits": {"a": 33}}, 'layer "a", option "membrane_bits"'),
    ({"rounding": {"a": "floor"}}, 'option "rounding"'),
    ({"layers": {"a": {"decay_bits": 4}}}, 'layer "a", option "decay_bits"'),
    ({"layers": {"a": 4}}, "option layers"),
])
def test_what_no_layer_can_have_is_refused(options, place):
    found = refused(**options)
    assert (found.code, found.place) == ("SNN404", place)


@pytest.mark.parametrize(("content", "code"), [
    (b"[a", "SNN102"), (b"a = 3", "SNN102"), (b"\xff", "SNN102"), (b"[a]\nweight_bits = 99", "SNN404"),
    (b"[" * 5000 + b"a", "SNN102"), (b"a.w" + b".x" * 5000 + b" = 1", "SNN102"),
    (b"#" * ((1 << 22) + 1), "SNN103"), (None, "SNN101"),
], ids=["damaged", "no-table", "no-text", "too-wide", "deep", "nested", "large", "none"])
def test_a_file_that_is_wrong_is_refused(content, code, tmp_path):
    path = tmp_path / "layers.toml"
    if content is not None:
        path.write_bytes(content)
    assert refused(layers=path).code == code


NAMES = st.text(st.characters(codec="utf-8"), max_size=8)


@given(st.dictionaries(NAMES, st.fixed_dictionaries({}, optional={
    "weight_bits": st.sampled_from([1, 4, 16, "ternary"]), "membrane_bits": st.integers(2, 32)})))
def test_the_file_is_read_back_as_it_was_written(tmp_path_factory, layers):
    path = tmp_path_factory.mktemp("layers") / "layers.toml"
    path.write_bytes(to_toml(layers).encode())
    assert read(path) == layers
    assert split({}, path) == ({}, layers)
