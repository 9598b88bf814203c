"""Targets: those that come with the compiler, and the user's own files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from snncompile.targets import target as module
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.figures import Origin
from snncompile.targets.load import GENERAL, MAX_BYTES, NAMES, load_target
from snncompile.targets.sections import SECTIONS, Costs, Limits, Network
from snncompile.targets.target import Target
from tests.nets import small

CHIPS = Path(module.__file__).parent / "chips"
MINE = """
title = "My chip"
backend = "c"

[arithmetic]
rounding = "floor"
membrane_bits = 24

[network]
graded = false

[limits]
cores = {value = 12, source = "sheet"}
neurons_per_core = 100

[sources]
sheet = "the data sheet, page 3"

[costs.mine]
spike_pj = {value = 1.5, source = "measured", provisional = true}
"""


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(source):
    with pytest.raises(sc.CompileError) as caught:
        load_target(source)
    (found,) = caught.value.diagnostics
    return found


def test_every_description_beside_the_module_is_listed():
    present = {p.stem for p in CHIPS.glob("*.toml")} - {GENERAL}
    assert set(NAMES) == present


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_of_a_target_are_options_that_exist(name):
    target = load_target(name)
    assert target.name == name
    assert isinstance(target.arithmetic, Arithmetic)


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_of_a_target_has_a_source(name):
    figures = list(load_target(name).figures())
    assert figures
    assert [f.key for f in figures if not f.origin.source] == []


def test_figures_have_names_of_their_own_so_that_a_variant_can_name_them():
    names = [f.name for section in SECTIONS.values() for f in dataclasses.fields(section)]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize(("name", "key", "value"), [
    ("loihi1", "neurons_per_core", 1024), ("loihi1", "synapse_bits_per_core", 16384 * 64), ("speck2f", "cores", 9),
    ("xylo-a2", "inputs", 16), ("truenorth", "fan_in", 256), ("loihi2", "neurons_per_core", 8192),
])
def test_figures_are_those_of_the_public_record(name, key, value):
    assert getattr(load_target(name).limits, key) == value


def test_a_target_passes_through():
    target = Target("mine", "Mine", "c")
    assert load_target(target) is target


def test_a_file_of_the_users_own_is_a_target(tmp_path):
    path = written(tmp_path, MINE)
    target = load_target(path)
    assert target == Target("mine", "My chip", "c", arithmetic=Arithmetic(rounding="floor", membrane_bits=24),
                            network=Network(graded=False), limits=Limits(cores=12, neurons_per_core=100),
                            costs={"mine": Costs(spike_pj=1.5)})
    assert load_target(str(path)) == target
    assert target.origin("limits.cores") == Origin("the data sheet, page 3")
    assert "mine.toml" in target.origin("limits.neurons_per_core").source
    assert target.origin("costs.mine.spike_pj") == Origin("measured", True)
    assert target.origin("limits.inputs") == Origin()
    model = sc.compile(small(), path)
    assert model.report.target == "mine"
    assert (model.report.options["rounding"], model.report.options["membrane_bits"]) == ("floor", 24)


def test_a_variant_is_another_target_with_other_figures():
    target = load_target("loihi1")
    variant = target.with_(cores=64, recurrence=False, pool_sides=(1, 2))
    assert (variant.limits.cores, variant.network.recurrence, variant.network.pool_sides) == (64, False, (1, 2))
    assert (target.limits.cores, target.network.recurrence) == (128, True)
    assert variant.limits.neurons_per_core == 1024
    assert "variant of loihi1" in variant.origin("limits.cores").source
    assert target.with_(cores=None).limits.cores is None


@pytest.mark.parametrize(("change", "found", "help"), [
    ({"cors": 64}, "unknown key", "cores"), ({"cores": 0}, "0", ""), ({"cores": True}, "True", ""),
    ({"rules": ("liff",)}, "liff", ""), ({"strides": ()}, "()", ""),
])
def test_a_variant_with_a_wrong_figure_is_refused(change, found, help):
    with pytest.raises(sc.CompileError) as caught:
        load_target("loihi1").with_(**change)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "SNN102"
    assert found in diagnostic.found
    assert help in diagnostic.help


def test_figures_behind_a_name_make_a_variant(tmp_path):
    target = load_target("loihi2 chips=4 weight_bits=none graded=false  strides=[1,2]")
    assert (target.limits.chips, target.weights.weight_bits, target.network.graded, target.network.strides) == (
        4, None, False, (1, 2))
    assert target.name == "loihi2 chips=4 weight_bits=none graded=false  strides=[1,2]"
    (tmp_path / "my chip.toml").write_text('title = "x"\n')
    assert load_target(f"{tmp_path / 'my chip.toml'} cores=3").limits.cores == 3


@pytest.mark.parametrize(("text", "code"), [
    ("loihi2 chip=4", "SNN102"), ("loihi2 chips=0", "SNN102"), ("loihi2 chips=", "SNN102"), ("loihi chips=1", "SNN404"),
    ("loihi2 chips=[[[", "SNN102"), ("loihi2 chips=" + 9000 * "[", "SNN102"), ("loihi2 chips=1 and more", "SNN404"),
    ("loihi2 " + "cores=1 " * 9000, "SNN103"), (" chips=4", "SNN404"), ("loihi2 graded=flat", "SNN102")])
def test_wrong_figures_behind_a_name_are_refused(text, code):
    with pytest.raises(sc.CompileError) as refused:
        load_target(text)
    assert refused.value.diagnostics[0].code == code


def test_the_users_options_win_over_the_targets(tmp_path):
    model = sc.compile(small(), written(tmp_path, MINE), rounding="nearest")
    assert model.report.options["rounding"] == "nearest"


@pytest.mark.parametrize(("text", "code", "place"), [
    ("title = ", "SNN102", "file"),
    ('backend = "c"\n', "SNN102", "file"),
    ('title = "x"\nbackend = 3\n', "SNN102", 'line 2, "backend"'),
    ('title = "x"\nlimits = 8\n', "SNN102", 'line 2, "limits"'),
    ('title = "x"\ncores = 4\n', "SNN102", 'line 2, "cores"'),
    ('title = "x"\n[limits]\n# cores\ncores = 0\n', "SNN102", 'line 4, "limits.cores"'),
    ('title = "x"\n[limits]\n"cores" = 1.5\n', "SNN102", 'line 3, "limits.cores"'),
    ('title = "x"\n[limits]\ncores = {value = 1, sauce = "y"}\n', "SNN102", 'line 3, "limits.cores"'),
    ('title = "x"\n[limits]\ncores = {value = 1, source = 3}\n', "SNN102", 'line 3, "limits.cores"'),
    ('title = "x"\n[limits]\ncores = {source = "y"}\n', "SNN102", 'line 3, "limits.cores"'),
    ('title = "x"\n[mesh]\nrows = 2\n[limits]\nrows = 2\n', "SNN102", 'line 5, "limits.rows"'),
    ('title = "x"\n[network]\ngraded = 1\n', "SNN102", 'line 3, "network.graded"'),
    ('title = "x"\n[neurons]\nrules = ["lif", "fil"]\n', "SNN102", 'line 3, "neurons.rules"'),
    ('title = "x"\n[memory]\nmodel = "tape"\n', "SNN102", 'line 3, "memory.model"'),
    ('title = "x"\n[costs.a]\nspike_pj = -1\n', "SNN102", 'line 3, "costs.a.spike_pj"'),
    ('title = "x"\n[costs.a]\nspike_pj = inf\n', "SNN102", 'line 3, "costs.a.spike_pj"'),
    ('title = "x"\n[costs]\na = 1\n', "SNN102", 'line 3, "costs.a"'),
    ('title = "x"\n[memory]\nkernel_words = [1, 0]\n', "SNN102", 'line 3, "memory.kernel_words"'),
    ('title = "x"\n[arithmetic]\nmembrane_bits = 99\n', "SNN102", 'line 3, "arithmetic.membrane_bits"'),
    ('title = "x"\n[arithmetic]\nroundness = "floor"\n', "SNN102", 'line 3, "arithmetic.roundness"'),
    ('title = "x"\n[arithmetic]\nweight_bits = "quaternary"\n', "SNN102", 'line 3, "arithmetic.weight_bits"'),
    (b'title = "\xff"\n', "SNN101", "file"),
    ("x = " + "[" * 100_000, "SNN102", "file"),
    ("#" * (MAX_BYTES + 1), "SNN103", "file"),
])
def test_a_description_that_is_wrong_is_refused(tmp_path, text, code, place):
    found = refusal(written(tmp_path, text))
    assert found.code == code
    assert place in found.place


def test_all_that_is_wrong_is_said_at_once_with_what_was_meant(tmp_path):
    text = 'title = "x"\n[limits]\ncore = 1\nfan_in = 0\n[timing]\nhop_tick = 1\n[cost.mine]\n'
    with pytest.raises(sc.CompileError) as caught:
        load_target(written(tmp_path, text))
    assert [(d.place.split(", ")[1], d.help) for d in caught.value.diagnostics] == [
        ("line 7", "did you mean costs?"), ("line 3", "did you mean cores?"), ("line 4", ""),
        ("line 6", "did you mean hop_ticks?")]


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_description_is_read_or_refused_but_never_breaks(tmp_path, seed):
    rng = np.random.default_rng(seed)
    lines = (CHIPS / f"{NAMES[seed % len(NAMES)]}.toml").read_text("utf-8").splitlines()
    for _ in range(3):
        at = int(rng.integers(len(lines)))
        line = lines[at]
        cut = int(rng.integers(len(line) + 1))
        lines[at] = [line[:cut], line[cut:], line[:cut] + "]{1='" + line[cut:], line.replace("=", "", 1),
                     line.replace("value", "valu"), line.upper(), line.replace("{", "{x = [[1]], ", 1)][rng.integers(7)]
    codes = set()
    try:
        load_target(written(tmp_path, "\n".join(lines)))
    except sc.CompileError as e:
        codes = {d.code for d in e.diagnostics}
    assert codes <= {"SNN102"}


def test_a_target_without_a_backend_compiles_nothing(tmp_path):
    with pytest.raises(sc.CompileError) as caught:
        sc.compile(small(), "speck2f")
    assert "only be checked" in caught.value.diagnostics[0].found


def test_a_target_that_is_not_there_is_refused(tmp_path):
    assert refusal("loihi9").code == "SNN404"
    assert refusal("ruff").code == "SNN404"
    assert refusal(tmp_path / "none.toml").code == "SNN101"
    assert refusal("a\0b.toml").code == "SNN101"
    (tmp_path / "folder.toml").mkdir()
    assert refusal(tmp_path / "folder.toml").code == "SNN101"


def test_a_backend_that_there_is_not_is_refused_when_something_is_compiled(tmp_path):
    with pytest.raises(sc.CompileError) as caught:
        sc.compile(small(), written(tmp_path, MINE.replace('backend = "c"', 'backend = "vhdl"')))
    (found,) = caught.value.diagnostics
    assert (found.code, found.place) == ("SNN404", 'target "mine", backend')


def test_a_target_without_graded_values_flattens_sums(tmp_path):
    from snncompile.ir.ops import Identity, Input, Output
    from snncompile.ir.populations import Neuron

    nodes = {"in": Input((4,)), "sum": Identity(), "a": Neuron.of("if", threshold=1.0),
             "b": Neuron.of("if", threshold=2.0), "out a": Output(), "out b": Output()}
    ends = [("in", "sum"), ("sum", "a"), ("sum", "b"), ("a", "out a"), ("b", "out b")]
    graph = sc.Graph("g", nodes, tuple(sc.Edge(*e) for e in ends))
    assert set(sc.compile(graph, written(tmp_path, MINE)).graph.populations) == {"a", "b"}
