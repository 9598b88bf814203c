"""Foldings: what may be asked for a population, what that becomes, and how it is written and read again."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.stream.context import Fold
from snncompile.backends.stream.cycles import cycles_of, emissions
from snncompile.backends.stream.estimate import worst_cycles
from snncompile.backends.stream.lower import lower
from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Conv, Input, Linear, Output, Reshape
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.targets.layer_options import to_toml
from tests.backends.exactness import random_case
from tests.backends.verilog.test_exact import folding
from tests.image_graphs import image_graph


def two_layers(side: int = 6) -> Graph:
    """A convolution and a fully connected layer, both with spiking neurons."""
    fire, rng = Neuron.of("lif", Firing(), decay=0.5, threshold=1.0), np.random.default_rng(0)
    nodes = {"in": Input((1, side, side)), "conv": Conv(rng.standard_normal((4, 1, 3, 3))), "lif1": fire,
             "flat": Reshape((4 * (side - 2) ** 2,)), "fc": Linear(rng.standard_normal((3, 4 * (side - 2) ** 2)) / 4),
             "lif2": fire, "out": Output()}
    names = list(nodes)
    return Graph("two", nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(names)))


def compiled(target: str = "xc7a35t", side: int = 6, **options: Any) -> sc.CompiledModel:
    x = (np.random.default_rng(1).random((6, 5, 1, side, side)) < 0.3).astype(np.uint8)
    return sc.compile(two_layers(side), target, calibration=x, **options)


@pytest.mark.parametrize(("target", "own", "found", "help"), [
    ("xc7a35t", {"lif2": {"lines": True}}, "true, but no row is complete", "lines = false"),
    ("ice40-hx8k", {"lif1": {"memory": "distributed"}}, "distributed on a device", 'memory = "block"'),
    ("xc7a35t", {"lif1": {"lanes": 5}}, "5 for 4 channels", "lanes = 4"),
    ("xc7a35t", {"lif1": {"lanes": 2, "units": 4}}, "4 with 2 lanes", "units = 2")])
def test_what_a_population_cannot_have_is_refused_with_the_nearest(target: str, own: dict[str, Any], found: str,
                                                                    help: str) -> None:
    with pytest.raises(CompileError) as caught:
        compiled(target, layers=own)
    (problem,) = caught.value.diagnostics
    assert problem.code == "SNN404"
    assert problem.found.startswith(found)
    assert problem.help == help


def test_options_of_the_whole_network_hold_where_they_can() -> None:
    model = compiled(lines=True, memory="distributed")
    assert {n: (o["lines"], o["memory"]) for n, o in model.report.layers.items()} == {
        "lif1": (True, "distributed"), "lif2": (False, "distributed")}
    sources = [str(text) for name, text in model.artifact.files.items() if "_S_" in name and name.endswith(".v")]
    assert not any('"block"' in text for text in sources)
    assert model.report.figures["blocks"] == 0


def test_a_folding_is_given_back_as_it_was_written(tmp_path: Path) -> None:
    model = compiled(layers={"lif1": {"lines": True, "memory": "block", "lanes": 4, "units": 2, "queue": 8}})
    (tmp_path / "layers.toml").write_text(to_toml(model.report.layers))
    again = compiled(layers=tmp_path / "layers.toml")
    assert again.report.layers == model.report.layers
    assert again.artifact.files == model.artifact.files


def test_lines_are_chosen_where_all_rows_would_not_fit() -> None:
    blocks = {lines: compiled("ecp5-25f", 40, lines=lines).report.figures["blocks"] for lines in (False, True)}
    assert blocks[True] < blocks[False]
    small = sc.load_target("ecp5-25f").with_(blocks=blocks[True])
    model = sc.compile(two_layers(40), small, calibration=np.zeros((1, 2, 1, 40, 40), np.uint8))
    assert model.report.layers["lif1"]["lines"]
    with pytest.raises(CompileError) as caught:
        sc.compile(two_layers(40), small, calibration=np.zeros((1, 2, 1, 40, 40), np.uint8), lines=False)
    assert caught.value.diagnostics[0].code == "SNN416"


def test_percentiles_are_of_the_recorded_samples() -> None:
    figures = compiled().report.figures
    cycles = sorted(figures["cycles"])
    assert len(cycles) == 6
    assert figures["cycles_p50"] == round((cycles[2] + cycles[3]) / 2)
    assert cycles[4] <= figures["cycles_p99"] <= cycles[5] <= figures["cycles_worst"]
    assert figures["cycles_mean"] == round(sum(cycles) / 6)


@pytest.mark.parametrize("seed", range(12))
def test_no_sample_takes_longer_than_the_worst(seed: int) -> None:
    case = random_case(image_graph(seed), seed)
    hardware = lower(case.graph, *folding(case.graph, seed))
    samples, ticks = case.x["in"].shape[:2]
    found = emissions(case.graph, hardware, case.x)
    each = [cycles_of(hardware, {n: v[k * ticks:(k + 1) * ticks] for n, v in found.items()}, ticks)
            for k in range(samples)]
    worst = worst_cycles(hardware, ticks)
    assert worst is not None
    assert max(each) <= worst


def test_the_page_says_which_bit_tells_that_a_frame_stands() -> None:
    """Just above the value of 9 bits, signed, of a real-valued input; networks of spikes have no such bit."""
    graph = two_layers().replace(nodes={**two_layers().nodes, "in": Input((1, 6, 6), "real")})
    x = np.random.default_rng(1).random((2, 5, 1, 6, 6))
    page = str(sc.compile(graph, "xc7a35t", calibration=x).artifact.files["README.md"])
    assert "bit 9 of `s_axis_in` says that the next tick has the" in page
    assert "stands still" not in str(compiled().artifact.files["README.md"])


def test_options_of_a_fold_are_those_of_layers() -> None:
    assert Fold(2, lines=True).options == {"lanes": 2, "units": 1, "queue": 1, "lines": True}
