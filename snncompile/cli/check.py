"""`snnc check`: whether a network can run on a target, without compiling it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.cli.build import Source, TargetName
from snncompile.cli.options import (
    CostOptions,
    SourceOptions,
    TimingOptions,
    VerdictOptions,
    arithmetic_value,
    layers_option,
)
from snncompile.cli.out import Out

if TYPE_CHECKING:
    from snncompile.ir.graph import Graph
    from snncompile.targets.verdict import Verdict

SHOWN_RULES = 6
"""How many of the rules that the network keeps are shown: those of whose limits it uses the largest share."""


def check(
    out: Out,
    source: Source,
    reading: SourceOptions,
    timing: TimingOptions,
    costs: CostOptions,
    limits: VerdictOptions,
    target: TargetName = "c99",
    weight_bits: Annotated[str | None, typer.Option("--weight-bits", help="Width that weights will have; the target's "
                                                    "choice without it.", metavar="1..16|ternary",
                                                    show_default=False)] = None,
    layers: Annotated[str | None, layers_option()] = None,
) -> dict[str, Any]:
    """Check a network against a target's rules.

    Every rule that it breaks is shown with what it uses and the limit; of the rules that it keeps, those of whose
    limits it uses the largest share.
    """
    from snncompile.checker import check as judge

    graph = _read(source, reading)
    out.note(graph.notes)
    bits = None if weight_bits is None else arithmetic_value("weight_bits", weight_bits)
    verdict = judge(graph, target, weight_bits=bits, layers=layers, **timing.given(), **costs.given(), **limits.given())
    _margins(out, verdict)
    if not verdict.ok:
        code = out.refuse(verdict.diagnostics, verdict.to_json())
        possible = _possible(graph, target, bits, layers, limits.given().get("budget"))
        out.say(f"infeasible on {verdict.target}; {possible}")
        raise typer.Exit(code)
    out.say(str(verdict.cost))
    out.say(f"feasible on {_named(verdict)}" + _used(verdict))
    return verdict.to_json()


def _read(source: str, reading: SourceOptions) -> Graph:
    """The network of a file, or the candidate that a text such as stdano:vgg11:00011100 names."""
    from snncompile.frontends import load
    from snncompile.search.families.table import candidate, names_candidate

    if not names_candidate(source):
        return load(source, **reading.given())
    reading.expect_none("a candidate has no options of reading", "options for files")
    return candidate(source)


def _margins(out: Out, verdict: Verdict) -> None:
    kept = sorted(((m, n) for n, m in verdict.margins.items() if -1 < m <= 0), reverse=True)
    if kept:
        out.table(("rule", "#used"), [(name, f"{100 * (margin + 1):.3g} %") for margin, name in kept[:SHOWN_RULES]])


def _used(verdict: Verdict) -> str:
    """The cores and chips of a packing; empty where nothing was packed."""
    chips = f" on {verdict.chips:,} chips" if verdict.chips and verdict.chips > 1 else ""
    return f"; cores used: {verdict.cores:,}{chips}" if verdict.cores else ""


def _named(verdict: Verdict) -> str:
    return verdict.target + (f" (--dilate {verdict.dilation})" if verdict.dilation > 1 else "")


def _possible(graph: Graph, target: str, bits: int | str | None, layers: str | None,
              budget: Mapping[str, float] | None) -> str:
    """The targets on which the network is feasible, of this one in dilated time and those that the compiler knows.

    Targets that have no figures for a budget are left out.
    """
    from snncompile.checker import check as judge
    from snncompile.diagnostics import CompileError
    from snncompile.targets.load import NAMES

    feasible = []
    for name in dict.fromkeys((target, *NAMES)):
        with suppress(CompileError):
            verdict = judge(graph, name, weight_bits=bits, layers=layers, dilate="auto", budget=budget)
            feasible += [_named(verdict)] if verdict.ok else []
    return f"feasible on {', '.join(feasible)}" if feasible else "feasible on none of the other targets"
