"""Drawings: well-formed, complete, harmless, and without anything on top of anything else."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Conv, Input, Linear, Output, SumPool
from snncompile.ir.populations import Neuron
from snncompile.ir.types import ShapeOnly, Stage
from snncompile.report import layered_layout as layout
from snncompile.report.graph_svg import caption, to_dot, to_svg
from snncompile.report.layered_layout import Layout, Link, Size, arrange
from tests.strategies import graphs

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert("1")</script>&\x00\n]]> \\'


def recurrent() -> Graph:
    """A projection with operators, a shortcut with a delay, a backward edge and a node that feeds itself."""
    nodes = {"events": Input((2,)), "a": Neuron.of("lif"), "b": Neuron.of("if"), "y": Output("last")}
    edges = (Edge("events", "a", 0, (Linear(np.eye(2)),)), Edge("a", "b"), Edge("events", "b", 2), Edge("b", "a", 1),
             Edge("b", "b", 3), Edge("b", "y"))
    return Graph("loops & more", nodes, edges, Stage.LEGAL)


def elements(svg: str, tag: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(SVG + tag))


def texts(svg: str) -> list[str]:
    return [t.text or "" for t in elements(svg, "text")]


def test_the_drawings_are_as_recorded(golden):
    golden("recurrent.svg", to_svg(recurrent()))
    golden("recurrent.dot", to_dot(recurrent()))


def test_a_drawing_shows_names_rules_shapes_delays_and_operators():
    found = texts(to_svg(recurrent()))
    assert {"events", "a", "b", "y", "lif, subtract >=", "output, last", "2", "2 ticks", "linear", "1 tick",
            "3 ticks"} <= set(found)


def test_loops_are_drawn_dashed_and_upward():
    paths = [p for p in elements(to_svg(recurrent()), "path") if p.get("marker-end")]
    back = [p for p in paths if p.get("class") == "back"]
    assert len(paths) == 6
    assert len(back) == 2
    for path in back:
        y = [float(n) for n in re.findall(r" (-?[\d.]+)", path.get("d", ""))]
        assert y[0] > y[-1]


def test_a_graph_of_sixty_nodes_stays_narrow():
    nodes = {"x": Input((2,)), **{f"n{i}": Neuron.of("if") for i in range(58)}, "y": Output()}
    edges = [Edge(a, b) for a, b in pairwise(nodes)] + [Edge(f"n{i}", f"n{i + 3}") for i in range(0, 54, 4)]
    root = ElementTree.fromstring(to_svg(Graph("deep", nodes, tuple(edges))))
    assert int(root.get("width", "0")) < 600


@pytest.mark.parametrize("draw", [to_svg, to_dot])
def test_hostile_names_are_text_and_nothing_else(draw):
    graph = Graph(HOSTILE, {HOSTILE: Input((1,)), "y": Output()}, (Edge(HOSTILE, "y"),))
    drawing = draw(graph)
    assert "<script>" not in drawing or draw is to_dot
    assert "\x00" not in drawing
    if draw is to_svg:
        assert elements(drawing, "script") == []
        assert any(t.startswith("<script>") for t in texts(drawing))


@given(st.text(max_size=40))
def test_any_name_makes_a_well_formed_drawing(name):
    graph = Graph(name, {name + "x": Input((1,)), "y": Output()}, (Edge(name + "x", "y"),))
    ElementTree.fromstring(to_svg(graph))
    unquoted = re.sub(r'"(?:[^"\\\n]|\\.)*"', "", to_dot(graph))
    assert '"' not in unquoted
    assert unquoted.count("{") == unquoted.count("}") == 1


def test_long_names_are_cut_but_kept_in_the_tooltip():
    name = "layer." * 20
    svg = to_svg(Graph("g", {name: Input((1,)), "y": Output()}, (Edge(name, "y"),)))
    assert name in [t.text for t in elements(svg, "title")]
    assert max(map(len, texts(svg))) <= 30


def test_a_graph_whose_shapes_do_not_fit_can_still_be_drawn():
    graph = Graph("g", {"x": Input((3,)), "fc": Linear(np.ones((2, 2))), "y": Output()},
                  (Edge("x", "fc"), Edge("fc", "y")))
    assert "fc" in texts(to_svg(graph))
    assert "fc" in to_dot(graph)


def test_an_empty_graph_is_an_empty_drawing():
    ElementTree.fromstring(to_svg(Graph("g", {}, ())))
    assert to_dot(Graph("g", {}, ())).startswith('digraph "g"')


def test_captions_say_what_matters():
    assert caption(Conv(ShapeOnly((4, 2, 3, 5)), stride=(2, 1))) == "conv 3×5 /2×1"
    assert caption(SumPool((2, 2), (1, 1))) == "sumpool 2×2"
    assert caption(Neuron.of("li")) == "li"


def rectangles(svg: str) -> list[tuple[float, float, float, float]]:
    boxes = [[float(r.get(k, "0")) for k in ("x", "y", "width", "height")] for r in elements(svg, "rect")]
    return [(x, y, x + w, y + h) for x, y, w, h in boxes]


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@settings(max_examples=60)
@given(graphs())
def test_no_box_and_no_label_lies_on_another(graph):
    svg = to_svg(graph)
    boxes = rectangles(svg)
    assert len(boxes) >= len(graph.nodes)
    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]
    root = ElementTree.fromstring(svg)
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    assert all(min(box) >= 0 and box[2] <= width and box[3] <= height for box in boxes)


@given(graphs())
def test_dot_holds_every_node_and_every_edge(graph):
    dot = to_dot(graph)
    assert len(re.findall(r"^  n\d+ \[", dot, re.M)) == len(graph.nodes)
    assert len(re.findall(r"^  n\d+ -> n\d+ ", dot, re.M)) == len(graph.edges)


# --- the layout ------------------------------------------------------------------------------------------

BOX = Size(40, 40, 30)


@st.composite
def links(draw: st.DrawFn) -> tuple[int, list[Link]]:
    count = draw(st.integers(1, 12))
    pairs = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=25))
    labels = st.sampled_from([None, Size(20, 20, 12)])
    return count, [Link(min(p), max(p), draw(labels)) for p in pairs if p[0] != p[1]]


def columns_hit_boxes(found: Layout, given_links: list[Link]) -> bool:
    for link, path in zip(given_links, found.paths, strict=True):
        for i, (x, y) in enumerate(found.boxes):
            box = (x - BOX.left, y - BOX.height / 2, x + BOX.right, y + BOX.height / 2)
            others = [c for c in path if i not in (link.upper, link.lower) and overlap((c[0], c[1], c[0], c[2]), box)]
            if others:
                return True
    return False


@given(links())
def test_lines_run_downward_from_box_to_box_and_past_all_others(case):
    count, given_links = case
    found = arrange([BOX] * count, given_links)
    for link, path in zip(given_links, found.paths, strict=True):
        ys = [y for column in path for y in column[1:]]
        assert all(b - a > -1e-6 for a, b in pairwise(ys))
        assert ys[0] == pytest.approx(found.boxes[link.upper][1] + BOX.height / 2)
        assert ys[-1] == pytest.approx(found.boxes[link.lower][1] - BOX.height / 2)
        assert abs(path[0][0] - found.boxes[link.upper][0]) <= BOX.left
        assert abs(path[-1][0] - found.boxes[link.lower][0]) <= BOX.left
    assert not columns_hit_boxes(found, given_links)


def test_two_lines_that_need_not_cross_do_not():
    given_links = [Link(0, 3), Link(1, 2)]
    found = arrange([BOX] * 4, given_links)
    left, right = sorted((found.boxes[0][0], found.boxes[1][0]))
    assert left < right
    assert (found.boxes[0][0] < found.boxes[1][0]) == (found.boxes[3][0] < found.boxes[2][0])


def test_a_dense_graph_gives_up_its_detours_but_is_still_laid_out(monkeypatch):
    monkeypatch.setattr(layout, "MAX_CELLS", 50)
    given_links = [Link(a, b) for a, b in combinations(range(12), 2)]
    found = arrange([BOX] * 12, given_links)
    assert len({y for _, y in found.boxes}) == 12


def test_a_chain_of_thousands_is_laid_out_in_one_straight_line():
    found = arrange([BOX] * 3000, [Link(i, i + 1) for i in range(2999)])
    assert len({round(x, 6) for x, _ in found.boxes}) == 1
