"""How much flash and RAM firmware takes, and whether a microcontroller has it.

RAM follows from the buffers of the plan, and flash from its constants and an estimate of the code; see `code_bytes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from snncompile.backends.c.context import Net, PopulationCode
from snncompile.backends.c.types import DTYPES
from snncompile.backends.firmware.code import code_bytes
from snncompile.diagnostics import CompileError, Diagnostic, shorten
from snncompile.targets.target import Target

WORD_BYTES = 4
Field = tuple[int, int]
"""Size and alignment, in bytes."""


@dataclass(frozen=True)
class MemoryUse:
    """Bytes that firmware takes of one memory.

    Attributes:
        used: all of it.
        by_population: what belongs to each population and input alone, by its label.
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
    kept: list[Field] = []
    sums: list[Field] = [(1, 1)]
    for p in net.populations:
        state = _struct(_array(s.type, p.source.size) for s in p.states)
        acc = _struct(_by_words(_array(a.type, p.source.size)) for a in p.accumulators)
        scratch = max((_scratch(p, i)[0] for i in range(len(p.projections))), default=0)
        own[p.source.label] += state[0] + acc[0] + scratch
        states += [state] * bool(p.states)
        (kept if p.standing else sums).append(acc)
    shared = [(1, 1), *(_scratch(p, i) for p in net.populations for i in range(len(p.projections)))]
    whole = _struct([_rows(net), _struct(states), _struct(kept), _union(sums), _union(shared)])
    return MemoryUse(whole[0], own)


def _rows(net: Net) -> Field:
    """The rows of all inputs and populations."""
    rows = [_array(s.type, (s.history + net.chunk) * s.size) for s in net.sources]
    if net.shares:
        return _union(_struct([(s.offset or 0, 1), _by_words(row)]) for s, row in zip(net.sources, rows, strict=True))
    return _struct(rows)


def _scratch(population: PopulationCode, number: int) -> Field:
    """The scratch memory of a projection."""
    projection = population.projections[number]
    fields = [_array(r.type, r.size) for r in projection.rows]
    if projection.scratch.events:
        fields.append(_array(projection.index_type, projection.scratch.events + 8))
    if projection.scratch.bit_words:
        fields.append(_array("uint32_t", projection.scratch.bit_words))
    return _struct(fields)


def _array(kind: str, size: int) -> Field:
    item = DTYPES[kind].itemsize
    return item * size, item


def _by_words(array: Field) -> Field:
    """An array that begins at a whole word."""
    return array[0], max(array[1], WORD_BYTES)


def _struct(fields: Iterable[Field]) -> Field:
    """A C struct of such fields: each begins at a multiple of its alignment, and so does what follows the struct."""
    end, widest = 0, 1
    for size, alignment in fields:
        end = -(-end // alignment) * alignment + size
        widest = max(widest, alignment)
    return -(-end // widest) * widest, widest


def _union(fields: Iterable[Field]) -> Field:
    fields = list(fields)
    return _struct([(max(size for size, _ in fields), max(alignment for _, alignment in fields))])
