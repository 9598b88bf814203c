"""The pictures of a report: they show what the networks did, and nothing that names say can break them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import snncompile as sc
from snncompile.report import bars_svg, curve_svg, raster_svg
from snncompile.report.bars_svg import MOST, WIDTH, Bar, panel
from snncompile.report.curve_svg import Curves, Line
from snncompile.report.pictures import pictures
from snncompile.report.raster_svg import MAX_ROWS, Raster
from snncompile.report.replay import Replay
from tests.nets import relay, small, spikes, two_inputs

SVG = "{http://www.w3.org/2000/svg}"


def drawn(model: sc.CompiledModel):
    return pictures(model.report, Replay.of(model.graph, model.float_graph, model.golden.inputs))


def texts(svg: str) -> list[str]:
    return [t.text or "" for t in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def boxes(svg: str, kind: str) -> list[tuple[float, float]]:
    """The corners of the cells of a raster of one kind."""
    paths = [p.get("d", "") for p in ElementTree.fromstring(svg).iter(f"{SVG}path") if p.get("class") == kind]
    return [(float(x), float(y)) for path in paths for x, y in re.findall(r"M([\d.]+) ([\d.]+)h", path)]


def widths(svg: str, kind: str) -> list[float]:
    return [float(r.get("width", 0)) for r in ElementTree.fromstring(svg).iter(f"{SVG}rect") if r.get("class") == kind]


def test_bars_are_as_long_as_their_figures():
    svg = panel("p", [Bar("a", (2.0,), "2"), Bar("b", (1.0, 3.0), "4"), Bar("c", (), "?")])
    (a, b), (second,), rest = widths(svg, "bar"), widths(svg, "second"), widths(svg, "rest")
    assert a == pytest.approx(rest[0] / 2, abs=0.02)
    assert b + second == pytest.approx(rest[0], abs=0.02)
    assert second == pytest.approx(3 * b, abs=0.02)
    assert rest[0] < WIDTH
    assert widths(panel("p", [Bar("a", (0.25,), "25 %")], 1.0), "bar")[0] == pytest.approx(
        widths(panel("p", [Bar("a", (0.25,), "25 %")], 1.0), "rest")[0] / 4, abs=0.02)
    assert widths(panel("p", [Bar("a", (0.0,), "0")]), "bar") == [0.0]


def test_a_panel_ends_after_many_populations():
    svg = panel("p", [Bar(f"n{i}", (1.0,), "1") for i in range(MOST + 3)])
    assert len(widths(svg, "bar")) == MOST
    assert "and 3 more" in texts(svg)


def test_a_raster_has_a_cell_for_each_spike_of_each_network_and_marks_where_they_differ():
    exact, integer = np.zeros((2, 5, 3))
    exact[[0, 2, 4], [0, 1, 2]] = 1
    integer[[0, 3, 4], [0, 1, 2]] = 1
    svg = raster_svg.to_svg(Raster("output", integer, exact))
    float_cells, integer_cells, apart = (boxes(svg, kind) for kind in ("float", "integer", "apart"))
    assert len(float_cells) == len(integer_cells) == 3
    high = raster_svg.HEIGHT  # no two halves of a row are farther apart than a row
    pairs = [(x, y, v) for x, y in float_cells for u, v in integer_cells if u == x and 0 < v - y < high]
    assert sorted(x for x, _, _ in pairs) == sorted({x for x, _ in float_cells} & {x for x, _ in integer_cells})
    assert {x for x, _ in apart} == {x for x, _ in float_cells} ^ {x for x, _ in integer_cells}


def test_a_raster_of_many_elements_shows_the_most_active_ones():
    values = np.zeros((4, 200))
    values[:, 120:120 + MAX_ROWS] = 1
    values[0, 7] = 1
    svg = raster_svg.to_svg(Raster("input", values))
    assert f"input, the {MAX_ROWS} most active of 200" in texts(svg)
    assert len(boxes(svg, "input")) == 4 * MAX_ROWS
    assert "7" not in texts(svg)[1:]


@pytest.mark.parametrize("shape", [(1, 0), (0, 3), (1, 1), (200, 60)])
def test_rasters_of_any_size_are_drawn(shape):
    for values in (np.zeros(shape), np.ones(shape)):
        assert len(boxes(raster_svg.to_svg(Raster("input", values)), "input")) == int(
            values[:, :MAX_ROWS].sum())


def test_a_curve_lies_between_its_ends_and_crosses_its_threshold():
    svg = curve_svg.to_svg(Curves("m", [Line(np.array([0.0, 2.0, -1.0]), "integer")], threshold=1.0, first=1))
    path = next(p.get("d", "") for p in ElementTree.fromstring(svg).iter(f"{SVG}path") if p.get("class") == "integer")
    (x0, y0), (x1, y1), (x2, y2) = [(float(a), float(b)) for a, b in re.findall(r"([\d.]+) ([\d.]+)", path)]
    level = float(re.search(r'class="threshold" d="M[\d.]+ ([\d.]+)H', svg)[1])
    assert y1 < level < y0 < y2
    assert level == pytest.approx((y0 + y1) / 2, abs=0.1)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.1)
    assert float(re.search(r'class="first" d="M([\d.]+) ', svg)[1]) == x1
    assert "threshold 1" in texts(svg)


def test_spikes_stand_above_the_curves_in_a_row_for_each_network():
    svg = curve_svg.to_svg(Curves("m", [Line(np.zeros(4), "integer")], [
        ("float", np.array([1, 0, 0, 1])), ("integer", np.array([0, 1, 0, 0]))]))
    rows = [p.get("d", "").count("M") for p in ElementTree.fromstring(svg).iter(f"{SVG}path")
            if p.get("style") == "stroke-dasharray:none"]
    assert rows == [2, 1]


def test_a_report_has_bars_a_raster_of_each_end_and_a_membrane():
    model = sc.compile(small(), calibration=spikes(), weight_bits=2)
    found = drawn(model)
    assert [texts(b)[0] for b in found.bars] == ["shared with the float network", "spikes of a neuron in a tick",
                                                 "memory of weights and states", "synaptic operations a sample"]
    first = Replay.of(model.graph, model.float_graph, model.golden.inputs).first_difference
    assert texts(found.sample[0])[0] == 'input "in"'
    assert texts(found.sample[1])[0] == 'output "out"'
    assert texts(found.sample[2])[0] == f'membrane of neuron [{first.neuron[0]}] of "{first.population}"'
    assert found.difference.startswith(
        f'The first difference lies in tick {first.tick} of sample {first.sample}, in population "{first.population}"')
    assert ("fires in the integer network and not in the float network" in found.difference) is (first.integer == 1)


def test_values_are_drawn_as_curves_and_told_by_their_error():
    rng = np.random.default_rng(0)
    x = {"spikes": (rng.random((3, 12, 4)) < 0.4).astype(float), "frame": rng.uniform(-1, 1, (3, 12, 5))}
    model = sc.compile(two_inputs(), calibration=x, weight_bits=16)
    found = drawn(model)
    first = next(s for s in found.sample if texts(s)[0] == 'output "first"')
    assert first.count('class="float"') == first.count('class="integer"') == 3
    assert any(t.startswith("error ") for t in texts(found.bars[0]))
    assert "li" not in texts(found.bars[1])


def test_where_all_is_equal_the_report_says_so():
    found = drawn(sc.compile(small(), calibration=spikes(), weight_bits=16))
    assert found.difference == "Every spike of 4 samples of 9 ticks is equal."


def test_without_a_float_network_nothing_is_compared(tmp_path):
    model = sc.open_build(sc.compile(small(), calibration=spikes(), weight_bits=2).save(tmp_path / "build"))
    found = drawn(model)
    assert found.difference == ""
    assert [texts(b)[0] for b in found.bars] == ["spikes of a neuron in a tick", "memory of weights and states",
                                                 "synaptic operations a sample"]
    assert boxes(found.sample[1], "float") == []


def test_without_samples_the_golden_vectors_are_what_is_measured():
    model = sc.compile(small(), weight_bits=2)
    replay = Replay.of(model.graph, model.float_graph, model.golden.inputs)
    rate = replay.integer.emitted["lif1"].mean()
    assert f"{rate:.3g}" in texts(drawn(model).bars[1])


def test_names_cannot_break_a_picture():
    model = sc.compile(relay("x", '<b>"&\x00\n' + "long" * 30))
    for svg in (*drawn(model).bars, *drawn(model).sample):
        assert all(len(t) < 80 for t in texts(svg))
        assert "\x00" not in svg


def test_styles_name_colours_that_there_are():
    from snncompile.report import chip_svg, graph_svg, palette, svg

    used = set(re.findall(r"var\(--([a-z-]+)\)", "".join(
        m.STYLE for m in (svg, bars_svg, raster_svg, curve_svg, chip_svg, graph_svg))))
    assert used <= set(palette.LIGHT)
    assert set(palette.LIGHT) == set(palette.DARK)
    assert "var(" not in palette.plain(graph_svg.STYLE)
