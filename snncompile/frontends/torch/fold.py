"""A recorded pass to a program of one tick: loops over time are folded.

A forward pass that loops over time calls every neuron once a tick, and around it the same functions. The calls that
lead to neurons are cut into ticks, and what tick t was given is compared with what tick 0 was given: the same thing,
the result of the same call in its own tick, or of a tick before: then it is delayed. All other calls come afterwards.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from snncompile.frontends.torch.tape import Call, Const, Lost, Ref, Report, Tape, references, replaced
from snncompile.frontends.torch.values import closure


@dataclass(frozen=True)
class Late:
    """What a call of the loop gave `delay` ticks earlier; `first` is what stood there in the first ticks."""

    ref: Ref
    delay: int
    first: tuple[Any, ...]


@dataclass(frozen=True)
class OneTick:
    """What a call of the loop gave in one tick."""

    ref: Ref
    tick: int


@dataclass(frozen=True)
class EachTick:
    """Of a call before the loop that gave one tensor a tick: that of the tick."""

    call: int


@dataclass(frozen=True)
class Tick:
    """The number of the tick."""


@dataclass(eq=False)
class Step:
    """A call of the program of one tick; `at` is its place on the tape, in the first tick."""

    at: int
    call: Call
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    states: tuple[Any, ...] = ()


@dataclass
class Program:
    """What a recorded pass does.

    Attributes:
        before: calls before the loop, or all of them where there is none.
        body: calls of one tick of the loop.
        after: calls that lead to no neuron.
        ticks: of the loop; 0 where there is none.
        unrolled: of the neurons whose calls were left one after the other, how many.
        returned: what `forward` returned.
    """

    before: list[Step]
    body: list[Step] = field(default_factory=list)
    after: list[Step] = field(default_factory=list)
    ticks: int = 0
    unrolled: Mapping[int, int] = field(default_factory=dict)
    returned: Any = None


def fold(tape: Tape, report: Report) -> Program:
    """The program of one tick of a tape that loops over time. What cannot be folded is reported."""
    live = _live(tape)
    leading = _leading(tape, live)
    counts = _counts(tape, leading)
    ticks = max(counts.values())
    for at in sorted(leading):
        call = tape.calls[at]
        if call.neuron is not None and counts[id(call.neuron)] != ticks:
            report(call.place, f"called {counts[id(call.neuron)]} times in a forward pass in which others are called "
                   f"{ticks} times", "a neuron module is called once a tick; give every layer a neuron of its own")
            return Program([])
    return _Folder(tape, sorted(leading), sorted(live - leading), ticks, report).program()


def loops(tape: Tape) -> bool:
    """Whether a neuron module that matters is called several times."""
    return max(_counts(tape, _live(tape)).values(), default=1) > 1


def unroll(tape: Tape) -> Program:
    """The program of a tape as it stands: every neuron called once, or in tick after tick without a recurrence."""
    live = _live(tape)
    again = {neuron: count for neuron, count in _counts(tape, live).items() if count > 1}
    steps = [_single(tape.calls[at], at) for at in sorted(live)]
    return Program(steps, ticks=max(again.values(), default=0), unrolled=again, returned=tape.returned)


def _counts(tape: Tape, among: Iterable[int]) -> dict[int, int]:
    """How often each neuron module is called."""
    counts: dict[int, int] = {}
    for at in among:
        if (neuron := tape.calls[at].neuron) is not None:
            counts[id(neuron)] = counts.get(id(neuron), 0) + 1
    return counts


def _live(tape: Tape) -> set[int]:
    """The calls that the result depends on; of a neuron module, all or none."""
    latest: dict[int, int] = {}
    before = {}
    for at, call in enumerate(tape.calls):
        if call.neuron is not None:
            before[at] = latest.get(id(call.neuron), -1)
            latest[id(call.neuron)] = at
    around = {at: (latest[id(tape.calls[at].neuron)] if last < 0 else last,) for at, last in before.items()}
    return closure((r.call for r in references(tape.returned)),
                   lambda at: (*tape.sources[at], *around.get(at, ())))


def _leading(tape: Tape, live: set[int]) -> set[int]:
    """The calls that lead to a neuron, and in a last tick those that would lead to the next."""
    neurons = [at for at in live if tape.calls[at].neuron is not None]
    leading = closure(neurons, tape.sources.__getitem__)
    lines = {_signature(tape.calls[at]) for at in leading}
    more = {at for at, call in enumerate(tape.calls) if _signature(call) in lines}
    return closure(more, tape.sources.__getitem__)


def _signature(call: Call) -> tuple[Any, ...]:
    return call.name, call.where, id(call.neuron), call.line


def _single(call: Call, at: int) -> Step:
    if call.neuron is None:
        return Step(at, call, call.args, call.kwargs)
    inputs, states = _split(call)
    return Step(at, call, (inputs,), {}, states)


def _split(call: Call) -> tuple[Any, tuple[Any, ...]]:
    """What a neuron module is given: its input, and its states, in the order of its signature."""
    assert call.neuron is not None
    order = list(inspect.signature(call.neuron.forward).parameters) if call.kwargs else []
    everything = (*call.args, *(call.kwargs[name] for name in order if name in call.kwargs))
    return (everything[0] if everything else None), everything[1:]


def handed_on(tape: Tape, at: int, states: Any) -> bool:
    """Whether states are all that the neuron called at a place gave then; none will do for one that keeps its own."""
    found: list[Any] = []
    replaced(states, found.append)
    earlier = tape.calls[at]
    if all(state is None for state in found):
        return earlier.keeps
    gave = earlier.results[-len(found):]
    return len(gave) == len(found) and all(
        state is None or (isinstance(state, Ref) and state.call == at and earlier.results[state.slot] is now)
        for state, now in zip(found, gave, strict=True))


@dataclass
class _Folder:
    tape: Tape
    leading: list[int]
    after: list[int]
    ticks: int
    report: Report

    def program(self) -> Program:
        neuron = next(c for c in map(self.tape.calls.__getitem__, self.leading) if c.neuron is not None)
        places = [i for i, at in enumerate(self.leading) if self.tape.calls[at].neuron is neuron.neuron]
        self.period = places[1] - places[0]
        self.start = len(self.leading) - self.period * self.ticks
        if not self._repeats(neuron):
            return Program([])
        self.position = {at: i - self.start for i, at in enumerate(self.leading)}
        calls = self.tape.calls
        before = [_single(calls[at], at) for at in self.leading[:self.start]]
        body = [self._body(j) for j in range(self.period)]
        after = [Step(at, calls[at], self._late(calls[at].args), self._late(calls[at].kwargs)) for at in self.after]
        return Program(before, body, after, self.ticks, returned=self._late(self.tape.returned))

    def _at(self, tick: int, j: int) -> int:
        return self.leading[self.start + tick * self.period + j]

    def _repeats(self, neuron: Call) -> bool:
        """Whether every tick makes the same calls."""
        calls = self.tape.calls
        for i in range(max(self.start, 0), len(self.leading) - self.period):
            here, later = calls[self.leading[i]], calls[self.leading[i + self.period]]
            if _signature(here) != _signature(later):
                self.report(later.place, f"a call of {later.name} where the tick before called {here.name} in "
                            f"{here.place}; a tick ends where {neuron.place} is called again", "every tick of a loop "
                            "over time must do the same, and call a neuron once; let states begin as zeros instead of "
                            "treating the first tick apart")
                return False
        alone = [calls[at].place for at in self.leading[:max(self.start, 0)] if calls[at].neuron is not None]
        if alone:
            self.report(alone[0], "a neuron in a loop over time of its own", "let one loop call all neurons that a "
                        "recurrence joins")
            return False
        if self.start < 0:
            self.report(str(calls[self.leading[0]].place), "the first tick of the loop over time does less than the "
                        "others", "let states begin as zeros instead of treating the first tick apart")
        return self.start >= 0

    def _body(self, j: int) -> Step:
        calls = [self.tape.calls[self._at(t, j)] for t in range(self.ticks)]
        first = calls[0]
        if first.neuron is None:
            return Step(self._at(0, j), first, self.merge([c.args for c in calls], first),
                        self.merge([c.kwargs for c in calls], first))
        split = [_split(c) for c in calls]
        self._check_states(j, [states for _, states in split])
        return Step(self._at(0, j), first, (self.merge([given for given, _ in split], first),), {}, split[0][1])

    def _check_states(self, j: int, states: Sequence[Any]) -> None:
        """The states that a neuron is given must be those that it gave in the tick before."""
        for tick in range(1, self.ticks):
            if not handed_on(self.tape, self._at(tick - 1, j), states[tick]):
                self.report(self.tape.calls[self._at(tick, j)].place, "states that are not what the module returned a "
                            "tick earlier", "hand the states back as they came, all of them and in order")
                return

    # --- arguments of one tick -------------------------------------------------------------------------------

    def merge(self, parts: Sequence[Any], call: Call) -> Any:
        """One argument for all ticks, given that of each."""
        first = parts[0]
        if isinstance(first, (list, tuple)) and all(type(p) is type(first) and len(p) == len(first) for p in parts):
            return type(first)(self.merge([p[i] for p in parts], call) for i in range(len(first)))
        if isinstance(first, dict) and all(isinstance(p, dict) and p.keys() == first.keys() for p in parts):
            return {k: self.merge([p[k] for p in parts], call) for k in first}
        if any(isinstance(p, Ref) for p in parts):
            found = self._same(parts) or self._each(parts) or self._delayed(parts)
        else:
            found = _plain(parts)
        if found is None:
            self.report(call.place, f"an argument of {call.name} changes from tick to tick in a way that is no "
                        "recurrence", "a tick may use the input of the tick and what an earlier tick made")
            return Lost("an argument that changes from tick to tick")
        return found[0]

    def _same(self, parts: Sequence[Any]) -> tuple[Any] | None:
        outside = all(isinstance(p, Ref) and self.position.get(p.call, -1) < 0 for p in parts)
        return (parts[0],) if outside and len(set(parts)) == 1 else None

    def _each(self, parts: Sequence[Any]) -> tuple[Any] | None:
        """One tensor a tick of a call before the loop."""
        each = all(isinstance(p, Ref) and self.position.get(p.call, -1) < 0 and p == Ref(parts[0].call, t)
                   for t, p in enumerate(parts))
        return (EachTick(parts[0].call),) if each else None

    def _delayed(self, parts: Sequence[Any]) -> tuple[Any] | None:
        """What a call of the loop gave in the same tick, or a fixed number of ticks earlier."""
        last = parts[-1]
        at = self.position.get(last.call, -1) if isinstance(last, Ref) else -1
        if at < 0:
            return None
        made, j = divmod(at, self.period)
        delay = self.ticks - 1 - made
        expected = [Ref(self._at(t - delay, j), last.slot) for t in range(delay, self.ticks)]
        if delay < 0 or list(parts[delay:]) != expected:
            return None
        ref = Ref(self._at(0, j), last.slot)
        return (Late(ref, delay, tuple(parts[:delay])),) if delay else (ref,)

    # --- after the loop --------------------------------------------------------------------------------------

    def _late(self, value: Any) -> Any:
        return replaced(value, self._one_tick)

    def _one_tick(self, value: Any) -> Any:
        if not isinstance(value, Ref) or self.position.get(value.call, -1) < 0:
            return value
        tick, j = divmod(self.position[value.call], self.period)
        return OneTick(Ref(self._at(0, j), value.slot), tick)


def _plain(parts: Sequence[Any]) -> tuple[Any] | None:
    """An argument without references: the same in every tick, or the tick's number."""
    first = parts[0]
    if isinstance(first, Const):
        return (first,) if all(isinstance(p, Const) and _equal(p, first) for p in parts) else None
    if all(type(p) is type(first) and p == first for p in parts):
        return (first,)
    counting = all(type(p) is int and p == t for t, p in enumerate(parts))
    return (Tick(),) if counting else None


def _equal(a: Const, b: Const) -> bool:
    return a.value is b.value or (a.value.shape == b.value.shape and bool(torch.equal(a.value, b.value)))
