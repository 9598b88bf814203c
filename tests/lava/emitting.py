"""Graphs as Lava packages, and what Lava makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snncompile.backends.artifact import Artifact, Golden
from snncompile.backends.lava.emit import emit
from snncompile.backends.lava.host import host
from snncompile.backends.network_ticks import NetworkTicks
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.types import Array
from snncompile.model import inside_differences
from snncompile.passes.pipeline import run_passes
from snncompile.passes.retime.retime import Retime


def retimed(graph: Graph, **hardware: Any) -> Graph:
    return run_passes(graph, [Retime(**{"dilate": "auto", **hardware})])


def package(graph: Graph, x: Mapping[str, Array] | None = None, **hardware: Any) -> Artifact:
    """The files for an INT graph; with golden vectors where input is given."""
    return emit(retimed(graph, **hardware), golden=None if x is None else Golden(x, run(graph, x).outputs))


def differences(graph: Graph, x: Mapping[str, Array], **hardware: Any) -> list[str]:
    """Where Lava does something else than the integer interpreter, inside or out."""
    wanted = run(graph, x, record=True, states=True)
    mapped = retimed(graph, **hardware)
    emitted = emit(mapped)
    got = NetworkTicks(host(mapped, emitted), graph, mapped).trace(x)
    found = inside_differences(wanted, got)
    return found + [n for n, v in wanted.outputs.items() if not np.array_equal(v, got.outputs[n])]


def network(files: Mapping[str, str | bytes]) -> str:
    """The text of the emitted network."""
    name, = (n for n in files if n.endswith("/network.py"))
    text = files[name]
    assert isinstance(text, str)
    return text
