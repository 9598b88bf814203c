"""`snnc inspect`: what is in a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.cli.build import TargetName
from snncompile.cli.options import Reading
from snncompile.cli.out import Out
from snncompile.diagnostics import fail, shorten

if TYPE_CHECKING:
    from snncompile.ir.graph import Edge, Graph
    from snncompile.ir.op import Op


def inspect(
    out: Out,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A network (.nir, .net, .snn, model.py:build), or a "
                                                     "build folder.",
                                          show_default=False)],
    reading: Reading,
    stage: Annotated[str | None, typer.Option("--stage", help="As it was read, or as populations and projections that "
                                              "the target allows.", metavar="float|legal", show_default=False)] = None,
    target: TargetName = "c99",
    text: Annotated[bool, typer.Option("--text", help="Print the text form.")] = False,
    dot: Annotated[str | None, typer.Option("--dot", help="Write a drawing for Graphviz; - is stdout.", metavar="FILE",
                                            show_default=False)] = None,
    svg: Annotated[str | None, typer.Option("--svg", help="Write a drawing; - is stdout.", metavar="FILE",
                                            show_default=False)] = None,
) -> dict[str, Any]:
    """Show a network: its nodes, shapes, neuron rules and connections."""
    from snncompile.report.graph_svg import to_dot, to_svg

    if out.json and (text or "-" in (dot, svg)):
        fail("SNN701", "option --json", "another form for stdout too", "one of them")
    graph = _graph(source, stage, target, reading)
    out.note(graph.notes)
    for path, draw in ((dot, to_dot), (svg, to_svg)):
        if path is not None:
            _draw(out, path, draw(graph))
    if text:
        out.raw(str(graph))
    elif "-" not in (dot, svg):
        _tables(out, graph)
    return described(graph)


def _graph(source: str, stage: str | None, target: str, reading: Reading) -> Graph:
    if stage not in (None, "float", "legal"):
        fail("SNN701", "option --stage", shorten(stage), "float, legal")
    if Path(source).is_dir():
        from snncompile.saved_build import open_build

        reading.expect_none("a build folder", "options for a source: .nir, .snn")
        if stage is not None:
            fail("SNN701", "option --stage", "a build folder, which holds the integer graph", "a source: .nir, .snn")
        return open_build(source).graph
    from snncompile.frontends import load
    from snncompile.ir.verify import verify

    graph = verify(load(source, **reading.said()))
    return graph if stage != "legal" else _legal(graph, target)


def _legal(graph: Graph, target: str) -> Graph:
    from snncompile.ir.types import Stage
    from snncompile.passes.pipeline import run_passes
    from snncompile.passes.table import Choices, passes_of
    from snncompile.targets.load import load_target

    passes = passes_of(Choices(load_target(target)), "legalize")
    if graph.stage != Stage.FLOAT:
        fail("SNN701", "option --stage", f"a graph of stage {graph.stage.name.lower()}", "one of stage float")
    return run_passes(graph, passes)


def _draw(out: Out, path: str, drawing: str) -> None:
    from snncompile.build_folder import write_file

    if path == "-":
        out.raw(drawing)
    else:
        out.say(f"wrote {write_file(path, drawing.encode())}")


def _tables(out: Out, graph: Graph) -> None:
    from snncompile.report.graph_svg import caption

    out.say(f"{shorten(graph.name)}, stage {graph.stage.name.lower()}: {len(graph.nodes)} nodes, {len(graph.edges)} "
            f"edges\n")
    out.table(("node", "operator", "shape", "parameters"),
              [(n, caption(op), _shape(graph.shapes[n]), _parameters(op)) for n, op in graph.nodes.items()])
    out.say("")
    out.table(("from", "to", "#delay", "through"),
              [(e.src, e.dst, e.delay or "", _through(e)) for e in graph.edges])


def _shape(shape: Iterable[int]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def _through(edge: Edge) -> str:
    from snncompile.report.graph_svg import caption

    return ", ".join(f"{caption(op)} {_parameters(op)}".strip() for op in edge.chain)


def _parameters(op: Op) -> str:
    """Arrays by shape and range, numbers as they are; a kernel's geometry stands in the caption."""
    from snncompile.ir.populations import Neuron, Population

    if isinstance(op, Neuron):
        pairs: Mapping[str, Any] = {**op.params, **{f"initial {n}": v for n, v in op.initial.items()}}
        limit = [f"at most {op.firing.max_spikes} a tick"] if op.rule.spiking and op.firing.max_spikes else []
        return ", ".join([f"{n} {_value(v)}" for n, v in pairs.items()] + limit)
    if isinstance(op, Population):
        states = [f"{n} {s.bits} bits" for n, s in op.states.items()]
        return ", ".join([*states, *(f"{n} {_value(v)}" for n, v in op.params.items())])
    return ", ".join(f"{n} {_value(v)}" for n, v in op.arrays().items())


def _value(value: Any) -> str:
    shape = getattr(value, "shape", ())
    if not shape:
        return f"{value:g}" if isinstance(value, float) else str(value)
    ends = f" {value.min():.3g} to {value.max():.3g}" if hasattr(value, "min") and value.size else ""
    return _shape(shape) + ends


def described(graph: Graph) -> dict[str, Any]:
    """A graph as JSON: without its numbers, which the text form and its arrays hold."""
    from snncompile.report.graph_svg import caption

    return {
        "name": graph.name,
        "stage": graph.stage.name.lower(),
        "nodes": [{"name": n, "kind": op.kind(), "operator": caption(op), "shape": list(graph.shapes[n]),
                   "parameters": _parameters(op)} for n, op in graph.nodes.items()],
        "edges": [{"from": e.src, "to": e.dst, "delay": e.delay, "through": [caption(op) for op in e.chain]}
                  for e in graph.edges],
    }
