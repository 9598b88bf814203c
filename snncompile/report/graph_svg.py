"""A graph as a drawing: an SVG document, or text for Graphviz (DOT)."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.ops import Input, Output
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.types import Shape
from snncompile.report.layered_layout import Column, Link, Size, arrange
from snncompile.report.svg import document, one_line, short, words, xml

CHAR, LINE, PAD = 7.3, 16.0, 9.0
MAX_NAME, MAX_LABEL = 30, 26
LOOP, HEAD = 24.0, 8.0

STYLE = """\
.snnc-net rect{stroke:var(--line);fill:var(--page)}.snnc-net .end{fill:var(--end);stroke:var(--end-line)}
.snnc-net .cell{fill:var(--cell);stroke:var(--cell-line)}.snnc-net rect.label{stroke:none}
.snnc-net path{fill:none;stroke:var(--line);stroke-width:1.3}.snnc-net .back{stroke:var(--mark);stroke-dasharray:5 3}
.snnc-net .backlabel{fill:var(--mark)}.snnc-net marker path{fill:var(--line);stroke:none}
.snnc-net marker .backhead{fill:var(--mark);stroke-dasharray:none}"""


def to_dot(graph: Graph) -> str:
    """The graph in DOT, the language of Graphviz; edges that close a loop are dashed."""
    shapes, order = _shapes(graph), _order(graph)
    place = {name: i for i, name in enumerate(graph.nodes)}
    lines = [f"digraph {_dot(graph.name)} {{", '  node [shape=box, fontname="monospace"];']
    for name, op in graph.nodes.items():
        style = ', style="rounded"' if isinstance(op, (Neuron, Population)) else ""
        lines.append(f"  n{place[name]} [label={_dot(chr(10).join(_lines(name, op, shapes)))}{style}];")
    for edge in graph.edges:
        label = "\n".join(_edge_lines(edge))
        style = ", style=dashed, constraint=false" if order[edge.dst] <= order[edge.src] else ""
        lines.append(f"  n{place[edge.src]} -> n{place[edge.dst]} [label={_dot(label)}{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def _dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{one_line(escaped)}"'


def to_svg(graph: Graph, style: str | None = STYLE) -> str:
    """The graph as an SVG document, or, with a style of None, as a part of a page that has the style.

    Nodes stand in layers from top to bottom. Edges that close a loop are dashed; the operators of a projection and its
    delay stand beside the edge.
    """
    return _Drawing(graph, style).svg()


def _order(graph: Graph) -> Mapping[str, int]:
    """The position of each node in the order of evaluation within a tick.

    An edge whose target has the same position as its source or an earlier one closes a loop.
    """
    return {name: i for i, name in enumerate(n for c in graph.components for n in c)}


def _shapes(graph: Graph) -> Mapping[str, Shape]:
    try:
        return graph.shapes
    except ShapeError:
        return {}


def _times(values: Shape) -> str:
    return "\N{MULTIPLICATION SIGN}".join(map(str, values))


def caption(op: Op) -> str:
    """An operator in a few words: a neuron's rule and reset, a layer's kind, kernel and stride."""
    if isinstance(op, Neuron):
        firing = f", {op.firing.reset} {op.firing.compare}" if op.rule.spiking else ""
        return op.rule.name + firing
    if isinstance(op, Population):
        return op.rule or op.kind()
    if isinstance(op, Input):
        return f"input, {op.values}"
    if isinstance(op, Output):
        return f"output, {op.decode}"
    kernel, stride = getattr(op, "kernel", ()), getattr(op, "stride", ())
    words = [op.kind(), _times(kernel)] if kernel else [op.kind()]
    return " ".join([*words, f"/{_times(stride)}"]) if math.prod(stride) > 1 else " ".join(words)


def _lines(name: str, op: Op, shapes: Mapping[str, Shape]) -> list[str]:
    """The lines of a node's box: name, operator, and output shape where it can be inferred."""
    shape = [_times(shapes[name]) or "1"] if name in shapes else []
    return [short(name, MAX_NAME), short(caption(op), MAX_NAME), *shape]


def _edge_lines(edge: Edge) -> list[str]:
    """The lines beside an edge: the operators of the projection, and its delay."""
    words = [short(caption(op), MAX_LABEL) for op in edge.chain]
    return words + ([f"{edge.delay} tick{'s' * (edge.delay > 1)}"] if edge.delay else [])


def _width(lines: list[str]) -> float:
    wide = [sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line) for line in lines]
    return max(wide, default=0) * CHAR


@dataclass
class _Drawing:
    """An SVG document while it is built; `parts` are its elements so far."""

    graph: Graph
    style: str | None
    parts: list[str] = field(default_factory=list)

    def svg(self) -> str:
        order = _order(self.graph)
        names = list(order)
        texts = {n: _lines(n, self.graph.nodes[n], _shapes(self.graph)) for n in names}
        loops = {n: [e for e in self.graph.edges_from[n] if e.dst == n] for n in names}
        edges = [e for e in self.graph.edges if e.src != e.dst]
        links = [_link(e, order) for e in edges]
        layout = arrange([_box(texts[n], loops[n]) for n in names], links)
        for edge, path, label in zip(edges, layout.paths, layout.labels, strict=True):
            self._edge(edge, path, label, order[edge.dst] < order[edge.src])
        for name, (x, y) in zip(names, layout.boxes, strict=True):
            self._node(name, texts[name], x, y)
            if loops[name]:
                self._loop(texts[name], loops[name], x, y)
        heads = f"<defs>{_marker('snnc-head', '')}{_marker('snnc-backhead', 'backhead')}</defs>"
        return document("snnc-net", self.graph.name, layout.width, layout.height, [heads, *self.parts], self.style)

    def _node(self, name: str, lines: list[str], x: float, y: float) -> None:
        op = self.graph.nodes[name]
        kind = "cell" if isinstance(op, (Neuron, Population)) else "end" if isinstance(op, (Input, Output)) else "op"
        width, height = _width(lines) + 2 * PAD, len(lines) * LINE + PAD
        corner = 9 if kind == "cell" else 2
        self.parts.append(
            f'<g><title>{xml(name)}</title><rect class="{kind}" x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" '
            f'width="{width:.1f}" height="{height:.1f}" rx="{corner}"/>')
        self._text(lines, x, y, ["name", *["small"] * len(lines)])
        self.parts.append("</g>")

    def _text(self, lines: list[str], x: float, y: float, kinds: list[str], anchor: str = "middle") -> None:
        top = y - (len(lines) - 1) * LINE / 2 + 4
        self.parts += [words(x, top + i * LINE, line, kind, anchor)
                       for i, (line, kind) in enumerate(zip(lines, kinds, strict=False))]

    def _edge(self, edge: Edge, path: list[Column], label: tuple[float, float] | None, back: bool) -> None:
        self.parts.append(_line(path[::-1] if back else path, back))
        if label:
            lines = _edge_lines(edge)
            width, height = _width(lines) + 6, len(lines) * LINE
            x, y = label
            self.parts.append(f'<rect class="label" x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" '
                              f'width="{width:.1f}" height="{height:.1f}"/>')
            self._text(lines, x, y, ["backlabel" if back else "small"] * len(lines))

    def _loop(self, lines: list[str], edges: list[Edge], x: float, y: float) -> None:
        """Draw the edges from a node to itself as one arc at its right side, with the labels of all of them."""
        side, high = x + _width(lines) / 2 + PAD, (len(lines) * LINE + PAD) / 4
        self.parts.append(
            f'<path class="back" marker-end="url(#snnc-backhead)" d="M{side:.1f} {y + high:.1f}'
            f'C{side + LOOP:.1f} {y + high:.1f} {side + LOOP:.1f} {y - high:.1f} {side + 2:.1f} {y - high:.1f}"/>')
        labels = _loop_lines(edges)
        self._text(labels, side + LOOP, y, ["backlabel"] * len(labels), "start")


def _marker(name: str, kind: str) -> str:
    return (f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            f'orient="auto"><path class="{kind}" d="M0 0L8 4L0 8z"/></marker>')


def _link(edge: Edge, order: Mapping[str, int]) -> Link:
    lines = _edge_lines(edge)
    size = Size(_width(lines) / 2 + 3, _width(lines) / 2 + 3, len(lines) * LINE + 4) if lines else None
    ends = order[edge.src], order[edge.dst]
    return Link(min(ends), max(ends), size)


def _loop_lines(edges: list[Edge]) -> list[str]:
    return [", ".join(reversed(_edge_lines(e))) for e in edges]


def _box(lines: list[str], loops: list[Edge]) -> Size:
    half = _width(lines) / 2 + PAD
    extra = LOOP + _width(_loop_lines(loops)) if loops else 0.0
    return Size(half, half + extra, max(len(lines) * LINE + PAD, len(loops) * LINE))


def _line(path: list[Column], back: bool) -> str:
    """The SVG path of an edge: vertical within each column, and a smooth curve from one column to the next.

    Args:
        path: the columns in the order of drawing; for an edge that closes a loop (`back`) from bottom to top.
    """
    columns = [(x, b, a) if back else (x, a, b) for x, a, b in path]
    end, last_y, tip = columns[-1]
    columns[-1] = end, last_y + HEAD if back else last_y - HEAD, tip
    x, enter, leave = columns[0]
    d = [f"M{x:.1f} {enter:.1f}L{x:.1f} {leave:.1f}"]
    for nx, top, bottom in columns[1:]:
        bend = (leave + top) / 2
        d.append(f"C{x:.1f} {bend:.1f} {nx:.1f} {bend:.1f} {nx:.1f} {top:.1f}L{nx:.1f} {bottom:.1f}")
        x, leave = nx, bottom
    kind = 'class="back" marker-end="url(#snnc-backhead)"' if back else 'marker-end="url(#snnc-head)"'
    return f'<path {kind} d="{"".join(d)}"/>'
