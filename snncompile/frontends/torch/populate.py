"""A neuron module to nodes: its neuron, the operators around it, and its recurrence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from snncompile.frontends.torch.build import Build, Refused, described
from snncompile.frontends.torch.cells import Cell
from snncompile.frontends.torch.values import Value
from snncompile.ir.op import Op, ShapeError


def populate(build: Build, cell: Cell, x: Value, path: str, entries: Sequence[int]) -> list[Value]:
    """Add the nodes of a neuron module.

    Args:
        x: its input.
        path: of the module, which names the nodes.
        entries: for every tensor that `forward` returned, in which entry of the result it stands.

    Returns:
        A value for each of those tensors.
    """
    if any(i >= len(cell.returns) for i in entries):
        raise Refused(f"a neuron module that returns {max(entries) + 1} things; {len(cell.returns)} are known")
    try:
        source = _chain(build, cell.before, build.shaped(x), path)
        node = build.add(path, cell.neuron, [source])
        out = _chain(build, cell.after, node, path)
        _recur(build, cell, node, out, path)
    except ShapeError as e:
        raise Refused(f"{described(x)} arrives at a neuron: {e.expected}", code="SNN202") from None
    shape = build.shapes[out]
    emitted = Value(out, shape, (*x.leading, *("F",) * len(shape)))
    returned = [emitted if kind == "output" else replace(emitted, state=path) for kind in cell.returns]
    if cell.readout is not None and cell.returns[-1] == "state":
        returned[-1] = replace(emitted, node=build.offer(f"{path}.membrane", cell.readout, source))
    return [returned[i] for i in entries]


def _chain(build: Build, ops: Sequence[Op], source: str, path: str) -> str:
    for op in ops:
        source = build.add(f"{path}.{op.kind()}", op, [source])
    return source


def _recur(build: Build, cell: Cell, node: str, out: str, path: str) -> None:
    """Lead what the module emitted a tick earlier back; a recurrence that begins in silence is delayed at its end."""
    if cell.recurrent is None:
        return
    early = bool(cell.recurrent) and not cell.recurrent_silence
    source = out
    for i, op in enumerate(cell.recurrent):
        source = build.add(f"{path}.recurrent", op, [source], int(early and i == 0))
    build.join(source, node, int(not early))
