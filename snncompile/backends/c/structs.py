"""How a C compiler lays out the structs of the emitted header."""

from __future__ import annotations

from collections.abc import Iterable

from snncompile.backends.c.context import AccumulatorCode, Net, Projection
from snncompile.backends.c.types import DTYPES

WORD_BYTES = 4
"""The least alignment of what is read by words, on processors without vector registers."""
Field = tuple[int, int]
"""Size and alignment, in bytes."""


def array(kind: str, size: int) -> Field:
    """An array of so many elements of a type."""
    item = DTYPES[kind].itemsize
    return item * size, item


def by_words(field: Field) -> Field:
    """A field that begins at a whole word."""
    return field[0], max(field[1], WORD_BYTES)


def struct(fields: Iterable[Field]) -> Field:
    """A struct of such fields: each begins at a multiple of its alignment, and so does what follows the struct."""
    end, widest = 0, 1
    for size, alignment in fields:
        end = -(-end // alignment) * alignment + size
        widest = max(widest, alignment)
    return -(-end // widest) * widest, widest


def union(fields: Iterable[Field]) -> Field:
    """A union of such fields."""
    fields = list(fields)
    return struct([(max(size for size, _ in fields), max(alignment for _, alignment in fields))])


def sums(accumulators: Iterable[AccumulatorCode], neurons: int) -> Field:
    """The accumulators of a population, on a processor without vector registers."""
    return struct(by_words(array(a.type, neurons)) for a in accumulators)


def scratch(projection: Projection) -> Field:
    """The scratch memory of a projection."""
    fields = [array(r.type, r.size) for r in projection.rows]
    if projection.scratch.events:
        fields.append(array(projection.index_type, projection.scratch.events + 8))
    if projection.scratch.bit_words:
        fields.append(array("uint32_t", projection.scratch.bit_words))
    return struct(fields)


def working_memory(net: Net) -> list[Field]:
    """All but the states, in their order: the rows, sums that stand still, sums of one population, scratch memory.

    On a processor without vector registers. Where parts share memory, the first field is that of all but the second.
    """
    rows = {("rows", s.name): array(s.type, (s.history + net.chunk) * s.size) for s in net.sources}
    kept = struct(sums(p.accumulators, p.source.size) for p in net.populations if p.standing)
    moving = {("sums", p.source.name): sums(p.accumulators, p.source.size) for p in net.populations
              if not p.standing and p.accumulators}
    between = {("scratch", j.name): scratch(j) for j in net.projections}
    if net.offsets:
        parts = {part: by_words(size) for part, size in rows.items()} | moving | between
        return [union([(1, 1), *(struct([(net.offsets[part], 1), size]) for part, size in parts.items())]), kept]
    return [struct(rows.values()), kept, union([(1, 1), *moving.values()]), union([(1, 1), *between.values()])]
