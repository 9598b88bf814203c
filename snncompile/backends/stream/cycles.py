"""How many clock cycles hardware takes for samples, word by word, without simulating it.

Every part waits for words and for room only, so that the cycle in which a word passes follows from those of words
before it. Cycles are counted from the first one in which an input can bring a word, as the emitted test bench does.

- A source offers a word from the cycle behind that in which its last one was taken.
- A register takes a word in a cycle in which it is empty, and offers it in the next one.
- A buffer offers a word two cycles after it was taken, or one cycle after the word before it has left.
- A stage is busy with an event for a cycle for each group of sums, and idle for a few where sums could meet. Behind the
  last end of a tick come 5 cycles, a step a cycle, and the length of its pipeline.
- A stage that keeps the sums of a few rows does the same for the rows that are complete before it takes an event that
  says so.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

import numpy as np

from snncompile.backends.plan.layouts import channels_last
from snncompile.backends.stream.context import Stage
from snncompile.backends.stream.hardware import Branch, Hardware, Port
from snncompile.backends.stream.links import Link, Stream
from snncompile.backends.stream.words import sent
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.types import Array

AFTER_END, TO_SWEEP = 3, 5
"""Cycles from the end of a projection's tick to the next projection, and from that of the last one to the sweep."""
NOTHING = np.zeros(0, np.int64)
DONE = object()
"""What stands for the next value of a part that has ended."""
Waiting = Generator[None, None, None]


def emissions(graph: Graph, hardware: Hardware, x: Mapping[str, Array]) -> dict[str, Array]:
    """What each stream carries, `[tick, element]` with channels last, all samples one behind another, by its name.

    Args:
        x: integers `[sample, tick, *shape]` by the name of each input.
    """
    frames = {p.label: sent(p.stream, np.asarray(x[p.label])) for p in hardware.inputs}
    emitted = {**frames, **run(graph, x, record=True).emitted}
    streams = [*(p.stream for p in hardware.inputs), *(s.stream for s in hardware.stages if s.relayed is None)]
    found = {s.name: np.asarray(emitted[s.label]) for s in streams}
    for stage in hardware.stages:
        if stage.relayed is not None:
            (link,) = (k for k in stage.links if k.words is not None)
            values = np.zeros_like(found[link.stream.name])
            values[:, link.delay:] = found[link.stream.name][:, :values.shape[1] - link.delay]
            flat = values.reshape(-1, *link.stream.shape)
            for op in stage.relayed:
                flat = op.apply(flat)
            found[stage.stream.name] = flat.reshape(*values.shape[:2], *stage.stream.shape)
    return {n: v.reshape(v.shape[0] * v.shape[1], -1)[:, channels_last(hardware.streams[n].shape)]
            for n, v in found.items()}


def cycles_of(hardware: Hardware, emitted: Mapping[str, Array], ticks: int) -> int:
    """The clock cycles from the first word of the first sample to the last end of all outputs.

    Args:
        emitted: what each stream carries; see `emissions`.
        ticks: of a sample.
    """
    return _Times(hardware, emitted, ticks).last()


@dataclass
class _Buffer:
    """The words of one reader: the cycles in which each was taken from the source, and by the reader."""

    branch: Branch
    pushed: list[int] = field(default_factory=list)
    popped: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pushed = [-1] * self.branch.tokens

    def offered(self, word: int) -> int | None:
        """The first cycle in which the reader can take a word; None while that is not known."""
        if word >= len(self.pushed):
            return None
        if self.branch.slot:
            return self.pushed[word] + 1
        return max(self.pushed[word] + 2, self.popped[word - 1] + 1 if word else 0)

    def room(self) -> int | None:
        """The first cycle in which the next word can be taken from the source; None while that is not known."""
        if self.branch.slot:
            word = len(self.pushed) - 1
            return 0 if word < 0 else self.popped[word] + 1 if word < len(self.popped) else None
        word = len(self.pushed) - self.branch.tokens - self.branch.depth  # which has to leave for the register behind
        if word < 0:
            return 0
        word += self.branch.tokens
        if word > len(self.popped):
            return None
        return max(self.pushed[word] + 1, self.popped[word - 1] if word else 0) + 1


class _Times:
    def __init__(self, hardware: Hardware, emitted: Mapping[str, Array], ticks: int):
        self.hardware, self.emitted, self.ticks = hardware, emitted, ticks
        self.buffers = {name: [_Buffer(b) for b in found] for name, found in hardware.branches.items()}
        self.into = {id(b.branch.reader): b for found in self.buffers.values() for b in found}

    def last(self) -> int:
        waiting: list[Waiting] = [*map(self._source, self.hardware.inputs), *map(self._stage, self.hardware.stages),
                                  *map(self._sink, self.hardware.outputs)]
        before = -1
        while waiting:
            waiting = [part for part in waiting if next(part, DONE) is not DONE]
            taken = sum(len(b.popped) + len(b.pushed) for b in self.into.values())
            assert taken > before or not waiting, "no network waits for ever"
            before = taken
        return max(self.into[id(p)].popped[-1] for p in self.hardware.outputs) + 1

    def _words(self, stream: Stream, tick: int) -> Array:
        """The elements that are sent in a tick."""
        values = self.emitted[stream.name][tick]
        return np.arange(len(values)) if stream.whole else np.flatnonzero(values)

    def _send(self, stream: Stream, earliest: int, end: bool) -> Generator[None, None, int]:
        """Send a word in the first cycle, from `earliest` on, in which all readers have room. Gives the cycle."""
        readers = [b for b in self.buffers[stream.name] if end or not b.branch.ends_only]
        for buffer in readers:
            while (room := buffer.room()) is None:
                yield
            earliest = max(earliest, room)
        for buffer in readers:
            buffer.pushed.append(earliest)
        return earliest

    def _source(self, port: Port) -> Waiting:
        cycle = 0
        for tick in range(len(self.emitted[port.stream.name])):
            for _ in self._words(port.stream, tick):
                cycle = yield from self._send(port.stream, cycle + 1, False)
            cycle = yield from self._send(port.stream, cycle + 1, True)

    def _sink(self, port: Port) -> Waiting:
        buffer = self.into[id(port)]
        words = sum(len(self._words(port.stream, t)) + 1 for t in range(len(self.emitted[port.stream.name])))
        for word in range(words):
            while (cycle := buffer.offered(word)) is None:
                yield
            buffer.popped.append(cycle)

    def _stage(self, stage: Stage) -> Waiting:
        free, held, swept = 0, 0, 0
        costs = [event_costs(k) for k in stage.links]
        stale = [k.delay for k in stage.links]
        complete = [rows_before(stage, k) for k in stage.links]
        for tick in range(len(self.emitted[stage.stream.name])):
            last = tick % self.ticks == self.ticks - 1
            for i, k in enumerate(stage.links):
                read = tick - k.delay
                events = NOTHING if read < 0 or k.words is None else self._words(k.stream, read)
                for cost, done in zip(costs[i][events].tolist(), complete[i][events].tolist(), strict=True):
                    if done > swept:
                        start = max((yield from self._offered(k)), free) + TO_SWEEP
                        free, held = yield from self._sweep(stage, tick, max(start, held), swept, done, False)
                        swept = done
                    cycle = yield from self._take(k, free)
                    free = cycle + (1 if stale[i] else cost)
                free = yield from self._take(k, free)
                stale[i] = k.delay if last else max(stale[i] - 1, 0)
                free += AFTER_END
            start = max(free - AFTER_END + TO_SWEEP, held)
            free, held = yield from self._sweep(stage, tick, start, swept, stage.stream.image[1], True)
            swept = 0

    def _offered(self, k: Link) -> Generator[None, None, int]:
        """The first cycle in which the next word can be taken."""
        buffer = self.into[id(k)]
        while (cycle := buffer.offered(len(buffer.popped))) is None:
            yield
        return cycle

    def _take(self, k: Link, free: int) -> Generator[None, None, int]:
        cycle = yield from self._offered(k)
        self.into[id(k)].popped.append(max(cycle, free))
        return max(cycle, free)

    def _sweep(self, stage: Stage, tick: int, start: int, first: int, stop: int, ends: bool
               ) -> Generator[None, None, tuple[int, int]]:
        """A sweep of some rows. Gives the cycle from which on the stage takes words again, and the one in which the end
        of the tick has left, which follows where the sweep `ends` the tick.
        """
        stream, units = stage.stream, stage.units
        channels = stream.image[0]
        words = self._words(stream, tick)
        steps = words // channels * stage.place_steps + words % channels // units
        steps = steps[(steps >= first * stage.row_steps) & (steps < stop * stage.row_steps)]
        move, at = start + stage.latency - 1, first * stage.row_steps - 1  # when step `at` leaves the pipeline
        for step, count in zip(*map(np.ndarray.tolist, np.unique(steps, return_counts=True)), strict=True):
            move, at = move + step - at, step
            if units == 1:
                move = yield from self._send(stream, move, False)
                continue
            sent = move
            for _ in range(count):
                sent = yield from self._send(stream, sent + 1, False)
            move = sent - 1  # the next step leaves the pipeline in the cycle of the last word
        move += stop * stage.row_steps - at
        if not ends:
            return move + 1, 0
        if units == 1:
            move = yield from self._send(stream, move, True)
            return move + 1, 0
        end = yield from self._send(stream, move + 1, True)
        return move + 1, end


def event_costs(k: Link) -> Array:
    """The cycles from an event of each element to the next word that a stage can take, `[element]`, channels last."""
    channels = k.stream.image[0]
    if k.words is None:
        return np.zeros(k.stream.size, np.int64)
    pairs = k.rows.most * k.columns.most
    rows, columns = (np.array([len(each) for each in axis.reached]) for axis in (k.rows, k.columns))
    hits = np.outer(rows, columns)
    taps = hits * k.reach + (pairs - hits) + k.hold * (pairs - 1)
    return np.repeat((taps + (k.pause + 1 if k.pause else 0)).reshape(-1), channels)


def busiest(hardware: Hardware, emitted: Mapping[str, Array]) -> dict[str, int]:
    """The cycles in which each stage is busy with events and sweeps, by the name of its stream."""
    def of(stage: Stage) -> int:
        ticks = len(emitted[stage.stream.name])
        events = sum(int((emitted[k.stream.name] != 0).sum(0) @ event_costs(k)) for k in stage.links
                     if k.words is not None)
        sweep = stage.latency + TO_SWEEP + 1
        return (events + ticks * (stage.steps + sweep + AFTER_END * (len(stage.links) - 1))
                + sweep * _early_sweeps(stage, emitted[stage.links[0].stream.name]))

    return {s.stream.name: of(s) for s in hardware.stages}


def rows_before(stage: Stage, k: Link) -> Array:
    """How many rows are swept before an event of each element is taken, `[element]`, channels last."""
    channels, rows, columns = k.stream.image
    complete = k.complete if stage.lines else (0,) * rows
    return np.repeat(np.array(complete, np.int64), channels * columns)


def _early_sweeps(stage: Stage, values: Array) -> int:
    """How many sweeps there are before the ends of ticks, for what it reads, `[tick, element]`."""
    if not stage.lines:
        return 0
    before = rows_before(stage, stage.links[0])
    return sum(int((values[:, before == n] != 0).any(1).sum()) for n in set(before.tolist()) - {0})
