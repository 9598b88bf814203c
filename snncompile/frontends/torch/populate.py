"""Adds a neuron module to the graph: its neuron, the operators around it, and its recurrence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from snncompile.frontends.torch.build import GraphBuilder, Refused, described
from snncompile.frontends.torch.cells import Cell
from snncompile.frontends.torch.values import Value
from snncompile.ir.op import Op, ShapeError


def add_cell(builder: GraphBuilder, cell: Cell, x: Value, path: str, entries: Sequence[int]) -> list[Value]:
    """Add the nodes of a neuron module.

    Args:
        cell: what the module computes.
        x: the input of the module.
        path: the path of the module, from which the nodes get their names.
        entries: for every tensor that `forward` returned, the entry of the returned tuple that holds it.

    Returns:
        A value for each of these tensors.

    Raises:
        Refused: the module returned more entries than the cell describes, or the input has a wrong shape (SNN202).
    """
    if cell.over_time != "listed" and any(i >= len(cell.returns) for i in entries):
        raise Refused(f"a neuron module that returns {max(entries) + 1} entries; the compiler knows "
                      f"{len(cell.returns)} of them")
    try:
        source = _add_chain(builder, cell.before, builder.node_of(x), path)
        node = builder.add(path, cell.neuron, [source])
        out = _add_chain(builder, cell.after, node, path)
        _add_recurrence(builder, cell, node, out, path)
    except ShapeError as e:
        raise Refused(f"the input of a neuron is {described(x)}: {e.expected}", code="SNN202") from None
    shape = builder.shapes[out] if x.shape else ()
    emitted = Value(out, shape, (*x.leading, *("F",) * len(shape)))
    if cell.over_time != "all":
        one_tick = replace(emitted, axes=tuple(a for a in emitted.axes if a != "T"))
        if cell.over_time == "listed":
            return [replace(one_tick, tick=tick) for tick in entries]
        return [replace(one_tick, decode=cell.over_time)]
    returned = [emitted if kind == "output" else replace(emitted, state=path) for kind in cell.returns]
    if cell.readout is not None and cell.returns[-1] == "state":
        returned[-1] = replace(emitted, node=builder.add_optional(f"{path}.membrane", cell.readout, source))
    return [returned[i] for i in entries]


def _add_chain(builder: GraphBuilder, ops: Sequence[Op], source: str, path: str) -> str:
    """Add operators one after the other and return the last node."""
    for op in ops:
        source = builder.add(f"{path}.{op.kind()}", op, [source])
    return source


def _add_recurrence(builder: GraphBuilder, cell: Cell, node: str, out: str, path: str) -> None:
    """Connect the output of the module, one tick later, to its neuron.

    The delay of one tick is on the first edge, so that the operators act on zeros in the first tick and their biases
    arrive; with `recurrent_silence` it is on the last edge, so that nothing arrives in the first tick.
    """
    if cell.recurrent is None:
        return
    delay_first = bool(cell.recurrent) and not cell.recurrent_silence
    source = out
    for i, op in enumerate(cell.recurrent):
        source = builder.add(f"{path}.recurrent", op, [source], int(delay_first and i == 0))
    builder.connect(source, node, int(not delay_first))
