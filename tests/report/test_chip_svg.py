"""The picture of a chip, and what the line and the report say of cores."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.graph import Graph
from snncompile.mapping.partition import partition
from snncompile.mapping.place import place
from snncompile.report.chip_svg import drawable, link_loads, to_svg
from snncompile.report.html import page
from snncompile.report.steps import line
from tests.mapping.test_partition import chain_net, conv
from tests.mapping.test_place import MESH, NET, TILES
from tests.nets import small


def test_link_loads_add_up_to_the_hops():
    found = partition(NET, MESH)
    at = place(found, MESH)
    right, down = link_loads(found, at)
    assert right.sum() == sum(at.hops_x.values())
    assert down.sum() == sum(at.hops_y.values())
    assert (right >= 0).all()
    assert (down >= 0).all()


def test_the_picture_names_every_core_and_escapes_names():
    graph = chain_net((2, 4, 4), (conv(2, 2),))
    nodes = {("<b>&" if n == "p0" else n): op for n, op in graph.nodes.items()}
    edges = tuple(type(e)(*("<b>&" if n == "p0" else n for n in (e.src, e.dst)), e.delay, e.chain) for e in graph.edges)
    target = MESH.with_(neurons_per_core=16)
    found = partition(graph.replace(nodes=nodes, edges=edges), target)
    picture = to_svg(found, place(found, target))
    assert picture.count("<title>core ") == found.cores == 2
    assert "&lt;b&gt;&amp; 32 neurons" not in picture
    assert "&lt;b&gt;&amp;" in picture
    assert "<b>" not in picture


def legend(picture: str) -> list[tuple[float, float, str]]:
    return [(float(x), float(y), name + words) for x, y, name, words in
            re.findall(r'<text x="([\d.]+)" y="([\d.]+)">([^<]*)<tspan[^>]*>([^<]*)</tspan>', picture)]


def chained(layers: int) -> Graph:
    return chain_net((2, 4, 4), *((conv(2, 2),) for _ in range(layers)))


@pytest.mark.parametrize(("layers", "columns"), [(6, 1), (7, 2)])
def test_entries_of_the_legend_do_not_lie_on_each_other(layers, columns):
    long = "a population with a long name"
    graph = chained(layers)
    graph = graph.replace(nodes={(long if n == "p0" else n): op for n, op in graph.nodes.items()}, edges=tuple(
        type(e)(*(long if n == "p0" else n for n in (e.src, e.dst)), e.delay, e.chain) for e in graph.edges))
    found = partition(graph, MESH)
    entries = legend(to_svg(found, place(found, MESH)))
    assert len(entries) == layers
    assert len({x for x, _, _ in entries}) == columns
    assert len({(x, y) for x, y, _ in entries}) == layers
    if columns == 2:
        (first, _, text), (second, _, _) = entries[:2]
        assert text.startswith(long)
        assert second - first > 7.2 * len(text) + 17


def test_only_the_tiles_in_use_are_drawn_and_the_page_says_how_many_cores_there_are():
    found = partition(NET, MESH)
    at = place(found, MESH)
    columns, rows = np.ptp(at.column) + 1, np.ptp(at.row) + 1
    picture = to_svg(found, at)
    assert picture.count('<rect class="tile"') == columns * rows < MESH.mesh.columns * MESH.mesh.rows
    assert f"<title>{found.cores} of {MESH.mesh.columns * MESH.mesh.rows} cores</title>" in picture


def test_few_neurons_are_seen_in_a_core():
    found = partition(chain_net((2, 4, 4), (conv(64, 2),), (conv(1, 64),)), MESH.with_(neurons_per_core=10_000))
    assert found.cores == 1
    picture = to_svg(found, place(found, MESH))
    bands = [float(h) for h in re.findall(r'<rect fill="[^"]*" [^>]*height="([\d.]+)"', picture)]
    assert len(bands) == 2
    assert 0.05 < min(bands) / sum(bands) < 0.1


def test_several_cores_of_a_tile_do_not_lie_on_each_other():
    found = partition(NET, TILES)
    picture = to_svg(found, place(found, TILES))
    corners = [part.split('width="')[0] for part in picture.split('<rect class="core" x=')[1:]]
    assert len(set(corners)) == found.cores


def test_meshes_that_are_too_large_are_not_drawn():
    found = partition(NET, MESH)
    assert drawable(place(found, MESH))
    assert not drawable(place(found, MESH.with_(columns=1000, rows=1000)))


@pytest.fixture(scope="module")
def compiled() -> sc.CompiledModel:
    return sc.compile(small(), sc.load_target("loihi2").with_(neurons_per_core=4))


def test_the_line_says_cores_and_hops_beside_their_bounds(compiled):
    said = {step.name: (step.result, step.detail) for step in line(compiled)}
    assert said["partition"][0] == "3 cores"
    assert said["partition"][1].startswith("lower bound 3 (neurons), ")
    assert said["place"][0].endswith(" hops a packet")


def test_the_report_shows_the_chip(compiled):
    text = page(compiled)
    assert text.count('class="snnc snnc-chip"') == 1
    assert "3 of 128 cores are in use." in text
    assert "bits of synapse memory" in text
    assert json.loads(json.dumps(compiled.report.to_json()))["cores"]["cores"] == 3


def test_targets_without_cores_have_no_chip():
    model = sc.compile(small(), "c99")
    assert model.chip is None
    assert model.report.cores is None
    assert "The chip" not in page(model)
