"""How much flash and RAM firmware takes, and whether a microcontroller has it.

RAM follows from the buffers of the plan, and flash from its constants and an estimate of the code; see `code_bytes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snncompile.backends.c.context import Net
from snncompile.backends.c.structs import WORD_BYTES, Field, array, scratch, struct, sums, working_memory
from snncompile.backends.firmware.code import code_bytes
from snncompile.diagnostics import CompileError, Diagnostic, shorten
from snncompile.targets.target import Target


@dataclass(frozen=True)
class MemoryUse:
    """Bytes that firmware takes of one memory.

    Attributes:
        used: all of it.
        by_population: what each population and input needs at a time, by its label.
    """

    used: int
    by_population: Mapping[str, int]


@dataclass(frozen=True)
class Use:
    """Bytes of flash and of RAM, the stack not counted."""

    flash: MemoryUse
    ram: MemoryUse


def memory_use(net: Net, processor: str) -> Use:
    """What a network takes of the memory of a microcontroller with this processor."""
    return Use(_flash(net, processor), _ram(net))


def constant_bytes(net: Net) -> int:
    """Bytes of all constants in flash, each in whole words."""
    return sum(-(-d.values.nbytes // WORD_BYTES) * WORD_BYTES for d in net.data)


def expect_fit(net: Net, target: Target) -> Use:
    """What a network takes; raises SNN416 for each memory of the target that is too small for it."""
    use = memory_use(net, target.board.processor or "")
    problems = misfits(net.label, use, target)
    if problems:
        raise CompileError(tuple(problems.values()))
    return use


def misfits(name: str, use: Use, target: Target) -> dict[str, Diagnostic]:
    """SNN416 for each memory of a target that is too small, by the figure of the target."""
    board = target.board
    small = {}
    for figure, memory, limit, what, help in (
            ("flash_kib", use.flash, board.flash_bytes, "flash, the code estimated",
             "use fewer weights or --weight-bits, or a board with more flash"),
            ("ram_kib", use.ram, board.data_bytes, f"RAM beside {board.stack_bytes:,} bytes of stack",
             "use smaller layers, --membrane-bits or --chunk 1, or a board with more RAM")):
        if getattr(board, figure) is not None and memory.used > limit:
            largest = max(memory.by_population, key=memory.by_population.__getitem__, default=name)
            share = memory.by_population.get(largest, 0)
            more = f'{help}: --target "{target.name.split()[0]} {figure}={-(-memory.used // 1024) + 1}"'
            small[figure] = Diagnostic(
                "SNN416", f"network {shorten(name)}", f"{memory.used:,} bytes, {share:,} of them of {shorten(largest)}",
                f"{limit:,} bytes of {what}, on {target.name}", more)
    return small


def _flash(net: Net, processor: str) -> MemoryUse:
    own: dict[str, int] = {}
    for data in net.data:
        own[_owner(net, data.name)] = own.get(_owner(net, data.name), 0) + data.values.nbytes
    return MemoryUse(code_bytes(net, processor) + constant_bytes(net), own)


def _owner(net: Net, name: str) -> str:
    """The label of the population to which a constant belongs; its name begins with that of the population."""
    own = name.removeprefix(f"{net.prefix}_N_")
    owners = [p.source for p in net.populations if own.startswith(f"{p.source.name}_")]
    return max(owners, key=lambda s: len(s.name)).label if owners else net.label


def _ram(net: Net) -> MemoryUse:
    own = {s.label: s.row_bytes(net.chunk) for s in net.sources}
    states: list[Field] = []
    for p in net.populations:
        state = struct(array(s.type, p.source.size) for s in p.states)
        rows, between = own[p.source.label], max((scratch(j)[0] for j in p.projections), default=0)
        own[p.source.label] = state[0] + sums(p.accumulators, p.source.size)[0] + (
            max(rows, between) if net.offsets else rows + between)
        states += [state] * bool(p.states)
    parts = working_memory(net)
    whole = struct([parts[0], struct(states), *parts[1:]])
    return MemoryUse(whole[0], own)
