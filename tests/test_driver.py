"""The driver: options, samples, labels, what is watched, and what is refused before anything is done."""

from __future__ import annotations

import json

import numpy as np
import pytest

import snncompile as sc
from snncompile.inputs import integers
from snncompile.ir.expr import Expr, flatten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import IntState, Neuron, Population
from snncompile.ir.rules import Firing
from snncompile.ir.serde import dump
from snncompile.ir.types import ShapeOnly, Stage
from snncompile.passes.table import Choices, passes_of
from snncompile.report.steps import GRAPHS, PARTS, line
from snncompile.targets.load import load_target
from tests.nets import SAMPLES, nir_file, reals, small, spikes, two_inputs
from tests.passes.chains import chain


def refused(*args, **options):
    with pytest.raises(sc.CompileError) as caught:
        sc.compile(*args, **options)
    return caught.value.diagnostics


@pytest.mark.parametrize(("name", "value"), [
    ("weight_bits", 0), ("weight_bits", 17), ("weight_bits", "binary"), ("weight_bits", 2.5), ("membrane_bits", 1),
    ("decay_bits", 25), ("rounding", "up"), ("overflow", "trap"), ("per", "neuron"), ("spike_bits", 0),
    ("input_bits", 17), ("table_bits", 1), ("graded_bits", 4),
])
def test_an_option_out_of_range_is_named(name, value):
    (found,) = refused(small(), **{name: value})
    assert (found.code, found.place) == ("SNN404", f"option {name}")


def test_an_option_that_does_not_exist_is_refused():
    (found,) = refused(small(), weight_bit=8)
    assert (found.code, found.place) == ("SNN404", "option weight_bit")
    assert "weight_bits" in found.expected


def test_every_bad_option_is_reported_at_once():
    assert len(refused(small(), weight_bits=0, decay_bits=0, rounding="up")) == 3


def test_options_are_checked_before_the_source_is_read():
    assert [d.code for d in refused("no-such-file.nir", weight_bits=0)] == ["SNN404"]


def test_a_misread_option_of_the_source_is_refused(tmp_path):
    assert [d.code for d in refused(nir_file(tmp_path), load_options={"compare": "<"})] == ["SNN404"]
    assert [d.code for d in refused(small(), load_options={"dt": 1.0})] == ["SNN404"]


def test_a_file_compiles_to_what_its_graph_compiles_to(tmp_path):
    a = sc.compile(nir_file(tmp_path), calibration=spikes())
    b = sc.compile(small(), calibration=spikes())
    assert np.array_equal(a.reference(spikes()).outputs, b.reference(spikes()).outputs)
    assert a.artifact.files == b.artifact.files


def test_the_report_keeps_every_option(tmp_path):
    model = sc.compile(nir_file(tmp_path), load_options={"dt": np.float64(1e-4), "as_": None}, weight_bits="ternary")
    options = json.loads(json.dumps(model.report.to_json()))["options"]
    assert options["dt"] == 1e-4
    assert options["weight_bits"] == "ternary"
    assert options["rounding"] == load_target("c99").arithmetic.rounding
    assert "as_" not in options


def test_samples_may_come_from_a_function_of_the_graph():
    asked = []

    def samples(graph):
        asked.append(graph.stage)
        return spikes()

    model = sc.compile(small(), calibration=samples)
    assert asked == [Stage.LEGAL]
    assert model.report.agreement.samples == SAMPLES


def test_labels_count_correct_decisions():
    x = spikes()
    decisions = sc.compile(small()).reference(x).decisions
    agreement = sc.compile(small(), calibration=x, labels=decisions).report.agreement
    wrong = sc.compile(small(), calibration=x, labels=(decisions + 1) % 3).report.agreement
    assert agreement.integer_correct == SAMPLES
    assert wrong.integer_correct == 0
    assert sc.compile(small(), calibration=x).report.agreement.integer_correct is None


def test_samples_held_out_are_compared_apart():
    x, held_out = spikes(), spikes()[:3]
    plain = sc.compile(small(), calibration=x)
    model = sc.compile(small(), calibration=x, validation=held_out, validation_labels=[0, 1, 2])
    assert str(model.graph) == str(plain.graph)
    assert plain.report.validation is None
    alone = sc.compile(small(), calibration=x, validation=x).report
    assert alone.validation == alone.agreement
    found = json.loads(json.dumps(model.report.to_json()))["validation"]
    decisions = model.reference(held_out).decisions
    assert found["samples"] == 3
    assert found["integer_correct"] == int((decisions == [0, 1, 2]).sum())
    assert set(found["rate_ratios"]) == set(model.graph.populations)
    assert sc.compile(small(), validation=x).report.agreement is None


@pytest.mark.parametrize(("factor", "cut"), [(1.0, 0), (3.0, 2)])
def test_samples_held_out_beyond_the_range_are_noted(factor, cut):
    """Two values of 3 where the calibration had none above 1."""
    rng = np.random.default_rng(0)
    x = {"frame": rng.uniform(-1, 1, (3, 5, 5)), "spikes": rng.integers(0, 2, (3, 5, 4))}
    held_out = {n: v.copy() for n, v in x.items()}
    held_out["frame"].flat[:2] = factor * np.abs(x["frame"]).max()
    model = sc.compile(two_inputs(), calibration=x, validation=held_out)
    told = [n.found for n in model.notes if n.code == "SNN501"]
    assert told == [f"{cut} values of the samples held out are outside, and were cut"] * (cut > 0)


def test_samples_held_out_have_to_fit():
    assert [d.place for d in refused(small(), validation=spikes()[:, :0])] == ["validation samples"]
    assert "validation" in refused(small(), validation_labels=[1])[0].expected


@pytest.mark.parametrize("labels", [
    [0] * (SAMPLES + 1), [[0]] * SAMPLES, 0, ["0"] * SAMPLES, [0.5] * SAMPLES, [],
], ids=["too many", "two axes", "a number", "text", "fractions", "none"])
def test_labels_of_another_form_are_refused(labels):
    (found,) = refused(small(), calibration=spikes(), labels=labels)
    assert (found.code, found.place) == ("SNN501", "labels")


def test_labels_without_samples_are_refused():
    assert [d.code for d in refused(small(), labels=[0, 1])] == ["SNN501"]


@pytest.mark.parametrize("x", [np.zeros((2, 3, 7)), np.full((2, 3, 6), np.inf), {"other": np.zeros((2, 3, 6))},
                               np.zeros((0, 3, 6)), np.zeros((2, 0, 6)), "text"])
def test_samples_that_do_not_fit_are_refused(x):
    assert {d.code for d in refused(small(), calibration=x)} == {"SNN501"}


def test_several_inputs_are_calibrated_by_name():
    x = {"spikes": spikes(size=4), "frame": reals()}
    model = sc.compile(two_inputs(), calibration=x)
    assert set(model.golden.inputs) == {"spikes", "frame"}
    assert refused(two_inputs(), calibration={"spikes": x["spikes"]})[0].code == "SNN501"
    assert refused(two_inputs(), calibration={**x, "frame": reals(SAMPLES + 1)})[0].code == "SNN501"


def test_without_samples_golden_vectors_are_random_but_always_the_same():
    a, b = sc.compile(small()).golden, sc.compile(small()).golden
    assert np.array_equal(a.inputs["in"], b.inputs["in"])
    assert a.inputs["in"].any()


def test_golden_vectors_are_the_first_samples():
    golden = sc.compile(small(), calibration=spikes()).golden
    assert np.array_equal(golden.inputs["in"], spikes()[:len(golden.inputs["in"])])


def test_a_graph_half_way_is_refused():
    (found,) = refused(sc.compile(small()).float_graph)
    assert (found.code, found.found) == ("SNN204", "stage LEGAL")


def test_a_graph_in_integers_keeps_them():
    """The program is that of the network it came from; what only floats have is absent."""
    first = sc.compile(small())
    again = sc.compile(first.graph)
    assert str(again.graph) == str(first.graph)
    assert again.artifact.files == first.artifact.files
    assert again.float_graph is None
    assert again.report.agreement is None
    assert again.report.options == {}
    assert again.notes == first.notes
    assert {p.rate for p in again.report.populations} == {None}
    assert again.verify().ok


def test_a_text_file_in_integers_compiles(tmp_path):
    first = sc.compile(small(), calibration=spikes())
    text, weights = dump(first.graph)
    (tmp_path / "small.snn").write_text(text, encoding="utf-8")
    (tmp_path / "small.safetensors").write_bytes(weights)
    again = sc.compile(tmp_path / "small.snn")
    assert again.graph.notes == ()
    assert np.array_equal(again.run(spikes()).outputs, first.reference(spikes()).outputs)


def test_a_graph_in_integers_leaves_no_choices():
    graph = sc.compile(small()).graph
    (found,) = refused(graph, weight_bits=4, rounding=None, decay_bits=8)
    assert (found.code, found.place) == ("SNN404", "options weight_bits, decay_bits")
    (found,) = refused(graph, calibration=spikes(), labels=np.zeros(SAMPLES, int))
    assert (found.code, found.place) == ("SNN501", "labels")


def test_ranges_of_given_integers_are_proved_too():
    """A program whose state leaves its width, which no pass of ours would write."""
    program = flatten(Expr("state", (), "v"), {"v": Expr("state", (), "v") + Expr("input")})
    nodes = {"in": Input((2,)), "n": Population(program, {}, {"v": IntState(8)}), "out": Output()}
    graph = Graph("endless", nodes, (Edge("in", "n"), Edge("n", "out")), Stage.INT)
    (found,) = refused(graph)
    assert (found.code, found.place) == ("SNN402", 'population "n"')


def test_a_graph_without_numbers_is_refused():
    nodes = {"in": Input((6,)), "fc": Linear(ShapeOnly((3, 6))), "n": Neuron.of("if", threshold=1.0), "out": Output()}
    graph = Graph("candidate", nodes, (Edge("in", "fc"), Edge("fc", "n"), Edge("n", "out")))
    (found,) = refused(graph)
    assert (found.code, found.place) == ("SNN203", 'node "fc", weight')


def test_something_that_is_no_network_is_refused():
    assert [d.code for d in refused(3)] == ["SNN107"]
    assert [d.code for d in refused("net.tflite")] == ["SNN107"]


def test_passes_and_progress_are_watched():
    stages, counts = [], []
    observer = sc.Observer(stage=lambda name, graph, seconds: stages.append((name, graph and graph.stage)),
                     progress=lambda name, done, whole: counts.append((name, done, whole)))
    model = sc.compile(small(), calibration=spikes(), observer=observer)
    assert stages == [
        ("read", Stage.FLOAT), ("canonicalize", Stage.FLOAT), ("plain-neurons", Stage.FLOAT),
        ("form-populations", Stage.LEGAL), ("prompt-resets", Stage.LEGAL), ("or-pools", Stage.LEGAL),
        ("unify-thresholds", Stage.LEGAL),
        ("fold-scales", Stage.LEGAL), ("merge-chains", Stage.LEGAL), ("calibrate", None), ("quantize", Stage.INT),
        ("prove-ranges", Stage.INT), ("compare", None), ("golden", None), ("emit", None)]
    assert counts == [("calibrate", SAMPLES, SAMPLES), ("compare", SAMPLES, SAMPLES)]
    assert list(model.report.seconds) == [name for name, _ in stages]


def test_every_part_that_is_watched_belongs_to_a_step_of_the_line():
    target = load_target("loihi2")
    passes = passes_of(Choices(target), "legalize", "quantize", "ranges", "retime")
    assert ("read", *(p.name for p in passes)) == GRAPHS
    parts = sc.compile(small(), target, calibration=spikes(), validation=spikes(), weight_bits="auto").report.seconds
    assert sorted(parts) == sorted(p for step in PARTS.values() for p in step)


def test_populations_are_reported_as_they_are():
    x = spikes()
    model = sc.compile(small(), calibration=x, weight_bits=4)
    one, two = model.report.populations
    assert (one.name, one.rule, one.neurons, one.synapses, two.synapses) == ("lif1", "lif", 8, 6 * 8 + 8 * 8, 24)
    assert one.weight_bits <= 4
    traces = model.trace(x)
    for row in (one, two):
        low, high = row.state_range["v"]
        assert low <= traces.states[row.name]["v"].min()
        assert traces.states[row.name]["v"].max() <= high
        assert -(1 << (row.state_bits["v"] - 1)) <= low
        assert high < 1 << (row.state_bits["v"] - 1)
    rate = sc.run(model.float_graph, x, record=True).emitted["lif1"].mean()
    assert one.rate == pytest.approx(rate)


def test_agreement_counts_equal_and_shared_spikes():
    x = spikes()
    model = sc.compile(small(), calibration=x, weight_bits=2)
    real = sc.run(model.float_graph, x, record=True, dtype=np.float32).emitted
    whole = sc.run(model.graph, x, record=True).emitted
    agreement = model.report.agreement
    for name in real:
        both, either = (real[name] * whole[name]).sum(), np.maximum(real[name], whole[name]).sum()
        assert agreement.shared(name) == pytest.approx(both / either)
        assert agreement.equal(name) == pytest.approx((real[name] == whole[name]).mean())
    assert agreement.spikes_equal < 1


def test_graded_populations_have_an_error_and_do_not_count_as_spikes():
    rng = np.random.default_rng(0)
    x = {"spikes": (rng.random((4, 12, 4)) < 0.4).astype(float), "frame": rng.uniform(-1, 1, (4, 12, 5))}
    model = sc.compile(two_inputs(), calibration=x, weight_bits=3)
    real = sc.run(model.float_graph, x, record=True, dtype=np.float32).emitted
    given = integers(model.graph, x)
    whole = sc.run(model.graph, given, record=True).emitted
    values = whole["li"] * model.graph.population("li").unit
    found = model.report.agreement
    assert found.spikes_equal == pytest.approx((real["lif"] == whole["lif"]).mean())
    assert found.spikes_shared == pytest.approx(
        (real["lif"] * whole["lif"]).sum() / np.maximum(real["lif"], whole["lif"]).sum())
    of = {n: np.sqrt(np.mean(np.square(v, dtype=np.float64))) for n, v in (
        ("apart", real["li"] - values), ("real", real["li"]), ("whole", values))}
    assert found.graded_error == found.error("li") == pytest.approx(of["apart"] / max(of["real"], of["whole"]))
    assert 0 < found.graded_error < 0.5
    spiking, graded = model.report.populations
    assert (spiking.name, spiking.spikes_equal, spiking.graded_error) == ("lif", found.spikes_equal, None)
    assert (graded.name, graded.spikes_equal, graded.spikes_shared, graded.counts_shared, graded.graded_error) == (
        "li", None, None, None, found.graded_error)
    assert found.to_json()["graded_error"] == found.graded_error


def test_a_network_without_spikes_is_told_by_its_error_alone():
    graph = chain(Linear(np.eye(3), None), Neuron.of("li", decay=0.5), shape=(3,))
    model = sc.compile(graph, calibration=spikes(size=3))
    step = next(s for s in line(model) if s.name == "compare")
    assert step.result.startswith("graded error ")
    assert "spikes" not in step.result + step.detail


@pytest.mark.parametrize(("reset", "codes"), [("subtract", ["SNN411"]), ("value", [])])
def test_integers_that_registers_cannot_hold_are_emulated_and_said_to_be(reset, codes):
    nodes = {"in": Input((4,)), "fc": Linear(np.eye(4)), "n": Neuron.of("lif", Firing(">", reset, "same", 1)),
             "out": Output()}
    graph = Graph("net", nodes, (Edge("in", "fc"), Edge("fc", "n"), Edge("n", "out")))
    integer = sc.compile(graph, target="loihi2", calibration=np.ones((1, 5, 4))).graph
    assert [d.code for d in sc.compile(integer, target="loihi1").notes if d.place == 'population "n"'] == codes
