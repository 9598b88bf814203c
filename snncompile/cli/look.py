"""`snnc inspect`: the nodes and edges of a network, before or after some passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.cli import complete
from snncompile.cli.build import TargetName
from snncompile.cli.options import SourceOptions
from snncompile.cli.out import Out
from snncompile.diagnostics import fail, shorten

if TYPE_CHECKING:
    from snncompile.ir.graph import Edge, Graph
    from snncompile.ir.op import Op
    from snncompile.passes.pipeline import Pass


def inspect(
    out: Out,
    source: Annotated[str, typer.Argument(
        metavar="SOURCE", autocompletion=complete.sources, show_default=False,
        help="A network (.nir, .net, .snn, model.py:build), or a build folder.")],
    reading: SourceOptions,
    stage: Annotated[str | None, typer.Option("--stage", help="float: as it was read; legal: as populations and "
                                              "projections that the target allows.", metavar="float|legal",
                                              show_default=False)] = None,
    target: TargetName = "c99",
    passes: Annotated[str | None, typer.Option("--passes", help="Run these passes on the network, in this order, and "
                                               "show the result: a,b{option=value},c.", metavar="PASS,PASS,...",
                                               show_default=False)] = None,
    text: Annotated[bool, typer.Option("--text", help="Print the text form.")] = False,
    dot: Annotated[str | None, typer.Option("--dot", help="Write a drawing for Graphviz; - is stdout.", metavar="FILE",
                                            show_default=False)] = None,
    svg: Annotated[str | None, typer.Option("--svg", help="Write a drawing; - is stdout.", metavar="FILE",
                                            show_default=False)] = None,
) -> dict[str, Any]:
    """Show a network: its nodes, shapes, neuron rules and connections."""
    from snncompile.ir.stand_ins import with_stand_ins
    from snncompile.passes.pipeline import run_passes
    from snncompile.passes.pipeline_text import to_text
    from snncompile.report.graph_svg import to_dot, to_svg

    if out.json and (text or "-" in (dot, svg)):
        fail("SNN701", "option --json", "another form for stdout too", "one of them")
    graph = _graph(source, stage, reading)
    chosen = _passes(graph, stage, passes, target)
    graph = run_passes(with_stand_ins(graph) if chosen else graph, chosen)
    out.note(graph.notes)
    for path, draw in ((dot, to_dot), (svg, to_svg)):
        if path is not None:
            _draw(out, path, draw(graph))
    if text:
        out.raw(str(graph))
    elif "-" not in (dot, svg):
        _tables(out, graph, f"after {to_text(chosen)}\n" if passes else "")
    return {**described(graph), "passes": to_text(chosen)}


def _graph(source: str, stage: str | None, reading: SourceOptions) -> Graph:
    """The network of a source as it was read, or the integer graph of a build folder."""
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

    return verify(load(source, **reading.given()))


def _passes(graph: Graph, stage: str | None, text: str | None, target: str) -> tuple[Pass, ...]:
    """The passes to run on a graph before it is shown: those of `--passes`, or all that `--stage legal` takes."""
    from snncompile.inputs import expect_numbers
    from snncompile.ir.types import Stage
    from snncompile.passes.pipeline_text import expect_stages, passes_from_text
    from snncompile.passes.table import Choices, passes_of
    from snncompile.targets.load import load_target

    if text is None and stage != "legal":
        return ()
    choices = Choices(load_target(target))
    if text is None:
        if graph.stage != Stage.FLOAT:
            fail("SNN701", "option --stage", f"a graph of stage {graph.stage.name.lower()}", "one of stage float")
        return passes_of(choices, "legalize")
    if stage is not None:
        fail("SNN701", "option --passes", "option --stage too, which chooses the passes to run", "one of the two")
    passes = passes_from_text(text, choices, "option --passes")
    expect_stages(passes, graph.stage, "option --passes")
    if any(p.ensures >= Stage.INT for p in passes):
        expect_numbers(graph)
    return passes


def _draw(out: Out, path: str, drawing: str) -> None:
    from snncompile.build_folder import write_file

    if path == "-":
        out.raw(drawing)
    else:
        out.say(f"wrote {write_file(path, drawing.encode())}")


def _tables(out: Out, graph: Graph, origin: str) -> None:
    """Print the nodes and edges, below a heading and a line that says where the graph comes from."""
    from snncompile.report.graph_svg import caption

    out.say(f"{shorten(graph.name)}, stage {graph.stage.name.lower()}: {len(graph.nodes)} nodes, {len(graph.edges)} "
            f"edges\n{origin}")
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
    """The parameters of an operator: arrays by shape and range, numbers as they are.

    The geometry of a kernel is left out, because `caption` shows it.
    """
    from snncompile.ir.populations import Neuron, Population

    if isinstance(op, Neuron):
        pairs: Mapping[str, Any] = {**op.params, **{f"initial {n}": v for n, v in op.initial.items()}}
        limit = [f"at most {op.firing.max_spikes} a tick"] if op.rule.spiking and op.firing.max_spikes else []
        return ", ".join([f"{n} {_value(v)}" for n, v in pairs.items()] + limit)
    if isinstance(op, Population):
        states = [f"{n} {s.bits} bits" for n, s in op.states.items()]
        return ", ".join([*states, *(f"{n} {_value(v)}" for n, v in op.params.items())])
    return ", ".join(f"{n} {_value(v)}" for n, v in op.arrays.items())


def _value(value: Any) -> str:
    shape = getattr(value, "shape", ())
    if not shape:
        return f"{value:g}" if isinstance(value, float) else str(value)
    ends = f" {value.min():.3g} to {value.max():.3g}" if hasattr(value, "min") and value.size else ""
    return _shape(shape) + ends


def described(graph: Graph) -> dict[str, Any]:
    """A graph as JSON, without the values of its arrays, which the text form holds."""
    from snncompile.report.graph_svg import caption

    return {
        "name": graph.name,
        "stage": graph.stage.name.lower(),
        "nodes": [{"name": n, "kind": op.kind(), "operator": caption(op), "shape": list(graph.shapes[n]),
                   "parameters": _parameters(op)} for n, op in graph.nodes.items()],
        "edges": [{"from": e.src, "to": e.dst, "delay": e.delay, "through": [caption(op) for op in e.chain]}
                  for e in graph.edges],
    }
