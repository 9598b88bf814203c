"""A compiled model: input checks, both backends, traces, and a verification that can fail."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.c.host import compiler
from snncompile.inputs import taken
from snncompile.model import CompiledModel, inside_differences
from tests.nets import SAMPLES, TICKS, reals, relay, small, spikes, two_inputs

needs_c = pytest.mark.skipif(compiler() is None, reason="no C compiler")


@pytest.fixture(scope="module")
def model():
    return sc.compile(small(), calibration=spikes())


@pytest.fixture(scope="module")
def double():
    return sc.compile(two_inputs(), calibration={"spikes": spikes(size=4), "frame": reals()})


def codes_of(work, *args):
    with pytest.raises(sc.CompileError) as caught:
        work(*args)
    assert "Traceback" not in str(caught.value)
    return [d.code for d in caught.value.diagnostics]


def without_compiler(model: CompiledModel, monkeypatch) -> CompiledModel:
    monkeypatch.setenv("CC", "no-such-compiler")
    return dataclasses.replace(model)


def same(a, b):
    assert all(np.array_equal(a.all_outputs[n], b.all_outputs[n]) for n in (*a.all_outputs, *b.all_outputs))
    assert all(np.array_equal(a.spike_counts[n], b.spike_counts[n]) for n in (*a.spike_counts, *b.spike_counts))
    assert np.array_equal(a.decisions, b.decisions)
    assert a.units == b.units


@needs_c
def test_the_emitted_program_gives_what_the_reference_gives(model):
    x = spikes(7, 20, seed=3)
    result, reference = model.run(x), model.reference(x)
    assert (result.backend, reference.backend) == ("c", "interpreter")
    assert result.outputs.shape == (7, 20, 3)
    assert result.outputs.any()
    same(result, reference)


@needs_c
def test_several_inputs_and_outputs_are_told_apart_by_name(double):
    x = {"frame": reals(3, 6, seed=1), "spikes": spikes(3, 6, 4, seed=1)}
    result = double.run(x)
    same(result, double.reference(x))
    assert list(result.all_outputs) == ["first", "second"]
    assert np.array_equal(result.outputs, result.all_outputs["first"])
    assert result.units["second"] == 1.0
    assert 0 < result.units["first"] < 1


def test_a_decision_is_the_strongest_element_decoded_as_the_output_says(model, double):
    result = model.reference(spikes())
    assert result.decisions.tolist() == result.outputs.sum(1).argmax(1).tolist()
    last = double.reference({"spikes": spikes(size=4), "frame": reals()})
    assert last.decisions.tolist() == last.outputs[:, -1].argmax(1).tolist()


def test_spike_counts_are_the_sums_of_the_traces(model):
    x = spikes()
    traces, result = model.trace(x), model.run(x)
    for name, counts in result.spike_counts.items():
        assert counts.tolist() == traces.emitted[name].reshape(SAMPLES, -1).sum(1).tolist()


def test_each_sample_starts_from_a_reset(model):
    x = spikes(3)
    together = model.run(x).outputs
    alone = np.concatenate([model.run(x[i:i + 1]).outputs for i in (2, 1, 0)])[::-1]
    assert np.array_equal(together, alone)


@needs_c
def test_the_trace_of_the_program_holds_every_population_and_state(model):
    x = spikes()
    traces = model.trace(x)
    wanted = sc.run(model.graph, x, record=True, states=True)
    assert traces.emitted.keys() == wanted.emitted.keys() == {"lif1", "lif2"}
    assert traces.states["lif1"]["v"].shape == (SAMPLES, TICKS, 8)
    assert inside_differences(wanted, traces) == []


def test_a_difference_is_placed_at_its_first_sample_and_tick(model):
    wanted = sc.run(model.graph, spikes(), record=True, states=True)
    changed = sc.run(model.graph, spikes(), record=True, states=True)
    changed.states["lif2"]["v"][1, 4:, 0] += 1
    assert inside_differences(wanted, changed) == ['population "lif2", state v: first at sample 1, tick 4']


def test_the_interpreter_takes_over_where_there_is_no_compiler(model, monkeypatch):
    bare = without_compiler(model, monkeypatch)
    x = spikes()
    result = bare.run(x)
    assert result.backend == "interpreter"
    same(result, model.reference(x))
    assert bare.trace(x).states["lif1"]["v"].shape == (SAMPLES, TICKS, 8)
    found = bare.verify()
    assert (found.ok, found.differences, found.backend) == (False, (), "interpreter")


@needs_c
def test_a_fresh_model_verifies(model):
    found = model.verify()
    assert found.ok
    assert (found.samples, found.ticks, found.populations, found.backend) == (4, TICKS, 2, "c")


def with_source(model: CompiledModel, change) -> CompiledModel:
    """The model with its emitted weights changed."""
    files = dict(model.artifact.files)
    name = next(n for n in files if n.endswith("_weights.c"))
    files[name] = change(files[name])
    artifact = type(model.artifact)(files, model.artifact.sizes_bytes)
    return dataclasses.replace(model, artifact=artifact)


def first_number_changed(text: str, array: int) -> str:
    """The text with another first number in one of its arrays."""
    at = list(re.finditer(r"\[\d+\] = \{\s*(-?\d+)", text))[array]
    return text[:at.start(1)] + "100" + text[at.end(1):]


@needs_c
@pytest.mark.parametrize("array", [0, -1])
def test_verification_fails_when_an_emitted_number_was_changed(model, array):
    tampered = with_source(model, lambda text: first_number_changed(text, array))
    found = tampered.verify()
    assert not found.ok
    assert any("population" in d and "tick" in d for d in found.differences)


@needs_c
def test_verification_fails_when_the_golden_vectors_were_changed(model):
    outputs = {n: v.copy() for n, v in model.golden.outputs.items()}
    outputs["out"][0, 0, 0] ^= 1
    changed = dataclasses.replace(model, golden=type(model.golden)(model.golden.inputs, outputs))
    assert sorted(changed.verify().differences) == ['emitted program, output "out"', 'interpreter, output "out"']


@needs_c
def test_a_source_that_the_compiler_refuses_is_a_diagnostic(model):
    assert codes_of(with_source(model, lambda text: text + "\nnot C at all\n").run, spikes()) == ["SNN601"]


@needs_c
def test_a_source_without_the_network_is_a_diagnostic(model):
    files = {"other.c": "int other(void) { return 0; }\n"}
    artifact = type(model.artifact)(files, {})
    bare = dataclasses.replace(model, artifact=artifact)
    assert codes_of(bare.run, spikes()) == ["SNN601"]


@needs_c
def test_a_cache_that_cannot_be_written_is_a_diagnostic(model, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SNNC_CACHE", str(tmp_path / "file" / "cache"))
    fresh = with_source(model, lambda text: text + "\n")
    assert codes_of(fresh.run, spikes()) == ["SNN601"]


BAD = {
    "too few axes": np.zeros((2, 6)),
    "another shape": np.zeros((2, 3, 7)),
    "no samples": np.zeros((0, 3, 6)),
    "fractions": np.full((1, 3, 6), 0.5),
    "not finite": np.full((1, 3, 6), np.nan),
    "text": np.full((1, 3, 6), "1"),
    "objects": np.full((1, 3, 6), None),
    "complex": np.zeros((1, 3, 6), complex),
    "an unknown input": {"other": np.zeros((1, 3, 6))},
    "nothing": {},
}


@pytest.mark.parametrize("method", ["run", "reference", "trace"])
@pytest.mark.parametrize("x", BAD.values(), ids=BAD)
def test_input_that_does_not_fit_is_refused_by_both_backends(model, x, method):
    assert codes_of(getattr(model, method), x) == ["SNN501"]


def test_inputs_of_different_lengths_are_refused(double):
    assert codes_of(double.run, {"spikes": spikes(2, 3, 4), "frame": reals(2, 4)}) == ["SNN501"]
    assert codes_of(double.run, {"spikes": spikes(2, 3, 4)}) == ["SNN501"]


def test_input_without_ticks_gives_output_without_ticks(model):
    for result in (model.run(np.zeros((2, 0, 6))), model.reference(np.zeros((2, 0, 6)))):
        assert result.outputs.shape == (2, 0, 3)
        assert result.decisions.tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, ">i4", ">f8"])
def test_whole_numbers_of_every_type_are_the_same_input(model, dtype):
    x = spikes()
    same(model.run(x.astype(dtype)), model.run(x))


def test_the_order_of_memory_does_not_matter(model):
    x = spikes()
    same(model.run(np.asfortranarray(x)), model.run(x))


def test_progress_is_told_to_the_end(model):
    seen = []
    model.run(spikes(), lambda done, whole: seen.append((done, whole)))
    assert seen[-1] == (SAMPLES, SAMPLES)
    seen.clear()
    model.reference(spikes(), lambda done, whole: seen.append((done, whole)))
    assert seen[-1] == (SAMPLES, SAMPLES)


@pytest.mark.parametrize("threads", [2, 3, 64])
def test_threads_give_the_same_results_in_the_same_order(threads):
    model, x = sc.compile(small(), calibration=spikes()), spikes(samples=7)
    alone, seen = model.run(x), []
    together = model.run(x, lambda done, whole: seen.append((done, whole)), threads=threads)
    same(together, alone)
    assert {n: v.tolist() for n, v in together.spike_counts.items()} == {
        n: v.tolist() for n, v in alone.spike_counts.items()}
    assert seen == [(n, 7) for n in range(1, 8)]


@pytest.mark.parametrize("threads", [0, -1, 1025, 2.0, True])
def test_a_number_of_threads_is_checked(model, threads):
    with pytest.raises(sc.CompileError) as error:
        model.run(spikes(), threads=threads)
    assert (error.value.diagnostics[0].code, error.value.diagnostics[0].place) == ("SNN501", "option threads")


def test_integers_are_not_copied_and_not_changed(model):
    x = spikes().astype(np.uint8)
    before = x.copy()
    (given,) = taken(model.graph, x)[0].values()
    assert np.shares_memory(given, x)
    model.run(x)
    model.reference(x)
    np.testing.assert_array_equal(x, before)
    assert not any(np.shares_memory(v, x) for v in sc.compile(small(), calibration=x).golden.inputs.values())


def test_a_model_says_what_it_is():
    assert repr(sc.compile(relay("a net"))) == "CompiledModel('a net' for c99, 1 populations)"


def test_a_result_shows_itself_and_gives_rows_for_a_data_frame():
    x = spikes(samples=25)
    result = sc.compile(small(), calibration=x).run(x)
    shown = repr(result).splitlines()
    assert shown[0] == f"Result of 25 samples of 9 ticks, run by {result.backend}"
    assert shown[1].split()[1:] == [*map(str, result.decisions[:20]), "..."]
    assert f'"lif1" {result.spike_counts["lif1"].mean():,.1f}' in shown[2]
    rows = result.rows()
    assert len(rows) == 25
    assert rows[3] == {"sample": 3, "decision": result.decisions[3], "spikes.lif1": result.spike_counts["lif1"][3],
                       "spikes.lif2": result.spike_counts["lif2"][3]}
    page = result._repr_html_()
    assert page.count("<tr>") == 21
    assert "and 5 more" in page
    assert "<th>spikes.lif2</th>" in page
    assert "values cut" not in repr(result)
