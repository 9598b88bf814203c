"""`run`: a graph in the interpreter, on data that is checked first."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from snncompile.diagnostics import expect_known
from snncompile.inputs import Data, by_name, expect_numbers, expect_within
from snncompile.ir import interp
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces
from snncompile.ir.types import Stage


def run(graph: Graph, x: Data, *, record: bool | Iterable[str] = False, states: bool = False,
        dtype: npt.DTypeLike = np.float64) -> Traces:
    """Run a graph in the interpreter.

    Args:
        x: samples `[sample, tick, *shape]`, or a mapping of such arrays by input name. INT and MAPPED graphs take
            integers, and a MAPPED graph takes ticks of the hardware (`Schedule.present`).
        record: the populations whose emissions are returned: True for all, False for none, or names.
        states: whether the states of the recorded populations are returned too.
        dtype: the arithmetic of FLOAT and LEGAL graphs; the others compute in int64.

    Returns:
        Outputs, emissions and states, each `[sample, tick, *shape]` by name.

    Raises:
        CompileError: SNN501 for data that does not fit the inputs, is not finite, or, for INT and MAPPED graphs, not
            whole or outside of the range that the graph was compiled for; SNN203 for arrays that are bare shapes;
            SNN404 for names of populations that the graph does not have.
    """
    given = by_name(expect_numbers(graph), x)
    if graph.stage >= Stage.INT:
        expect_within(graph, given)
    if not isinstance(record, bool):
        record = [record] if isinstance(record, str) else list(record)
        for name in record:
            expect_known(name, graph.populations, "option record")
    return interp.run(graph, given, record=record, states=states, dtype=dtype)
