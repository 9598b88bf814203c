"""Adds a neuron module to the graph: its neuron, the operators around it, and its recurrence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from snncompile.frontends.torch.build import GraphBuilder, Refused, described
from snncompile.frontends.torch.cells import Cell
from snncompile.frontends.torch.tape import RecordedCall
from snncompile.frontends.torch.values import Value
from snncompile.ir.op import Op, ShapeError


def add_cell(builder: GraphBuilder, cell: Cell, x: Value, path: str, call: RecordedCall) -> list[Value]:
    """Add the nodes of a neuron module.

    Args:
        cell: what the module computes.
        x: the input of the module.
        path: the path of the module, from which the nodes get their names.
        call: of the module.

    Returns:
        A value for each result of the call.

    Raises:
        Refused: the module returned more entries than the cell describes, or the input has a wrong shape (SNN202).
    """
    entries = call.entries
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
    membrane = _membrane(builder, cell, emitted, node, source, path)
    returned = [emitted if kind == "output" and not cell.silent else replace(emitted, state=path)
                for kind in cell.returns]
    if cell.returns[-1] == "state":
        returned[-1] = membrane
    return [*(returned[i] for i in entries), *(_kept(membrane, name) for name in call.kept)]


def _membrane(builder: GraphBuilder, cell: Cell, emitted: Value, node: str, source: str, path: str) -> Value:
    """The membrane of a neuron: a state, or what a neuron that emits it gives, where there is one."""
    if cell.silent:
        return emitted
    if cell.readout is None:
        return replace(emitted, state=path)
    return replace(emitted, node=builder.add_optional(f"{path}.membrane", cell.readout, source))


def _kept(membrane: Value, name: str) -> Value:
    """What an attribute of the module holds after the call: the membrane of all ticks (`v_seq`), or of the last one."""
    if name == "v_seq" or "T" not in membrane.axes:
        return membrane
    return replace(membrane, axes=tuple(a for a in membrane.axes if a != "T"), decode="last")


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
