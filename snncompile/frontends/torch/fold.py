"""Folds a recorded pass that loops over time into the calls of one tick.

A forward pass that loops over time calls every neuron module once per tick, and the same torch functions around it.
`fold` takes the calls that lead to neurons, cuts them into ticks, and compares the arguments of every tick. An argument
may be

- the same in all ticks (a weight, or the result of a call before the loop),
- the result of a call of the same tick,
- the result of a call of an earlier tick, always the same number of ticks back. It becomes a `DelayedRef`, later a
  delayed edge of the graph.

For example the loop `for t in range(3): s = lif(fc(x[t]) + rec(s))` makes five calls per tick: getitem, linear, linear,
add, neuron. The input of the second linear in tick t is the result of the neuron call in tick t - 1, so its delay is 1.
All calls that lead to no neuron come after the loop.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from snncompile.frontends.torch.constants import same_numbers, signature
from snncompile.frontends.torch.tape import (
    Const,
    RecordedCall,
    Ref,
    Report,
    Tape,
    Untracked,
    leaves_of,
    map_leaves,
    references,
)
from snncompile.frontends.torch.values import reachable


@dataclass(frozen=True)
class DelayedRef:
    """The result of a call of the loop, `delay` ticks earlier.

    Attributes:
        ref: the result, in the first tick.
        delay: in ticks, at least 1.
        first: the arguments of the first `delay` ticks, in which there is no earlier result.
    """

    ref: Ref
    delay: int
    first: tuple[Any, ...]


@dataclass(frozen=True)
class TickRef:
    """The result of a call of the loop in one tick; `ref` is the result in the first tick."""

    ref: Ref
    tick: int


@dataclass(frozen=True)
class PerTickRef:
    """Results of calls before the loop, one for each tick, as of `unbind` or of `[x[t] for t in range(T)]`."""

    refs: tuple[Ref, ...]


@dataclass(frozen=True)
class TickNumber:
    """The number of the tick plus a number, as the indices in `x[t]` and `x[t:t + 1]`."""

    plus: int = 0


@dataclass(eq=False)
class FoldedCall:
    """A call of a folded pass. A call inside of the loop stands for the same call in every tick.

    Attributes:
        at: its position on the tape; inside of a loop, that in the first tick.
        call: the recorded call.
        args, kwargs: the arguments; for a neuron module only its input.
        states: for a neuron module, the states that it is given in the first tick.
    """

    at: int
    call: RecordedCall
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    states: tuple[Any, ...] = ()


@dataclass
class FoldedPass:
    """The calls of a recorded forward pass, with the calls of a loop over time kept once.

    Attributes:
        before: the calls before the loop, or all calls where no loop was folded.
        body: the calls of one tick of the loop.
        after: the calls that lead to no neuron.
        ticks: how many ticks the loop has; 0 where there is no loop.
        repeated_neurons: where no loop was folded, how often each neuron module is called, by its `id`; only neuron
            modules that are called more than once.
        returned: what `forward` returned, with references in place of tensors.
    """

    before: list[FoldedCall]
    body: list[FoldedCall] = field(default_factory=list)
    after: list[FoldedCall] = field(default_factory=list)
    ticks: int = 0
    repeated_neurons: Mapping[int, int] = field(default_factory=dict)
    returned: Any = None


def fold(tape: Tape, report: Report) -> FoldedPass:
    """Fold the loop over time of a recorded pass.

    Args:
        tape: a pass that calls at least one neuron module more than once (`has_loop`).
        report: called for everything that cannot be folded; the returned pass is then empty.
    """
    used = _used_calls(tape)
    leading = _calls_before_neurons(tape, used)
    counts = _calls_per_neuron(tape, leading)
    ticks = max(counts.values())
    for at in sorted(leading):
        call = tape.calls[at]
        if call.neuron is not None and counts[id(call.neuron)] != ticks:
            report(call.place, f"the neuron module is called {counts[id(call.neuron)]} times in a forward pass that "
                   f"calls other neuron modules {ticks} times",
                   "a neuron module is called once per tick; give every layer a neuron module of its own")
            return FoldedPass([])
    return _Folder(tape, sorted(leading), sorted(used - leading), ticks, report).fold()


def has_loop(tape: Tape) -> bool:
    """Whether a neuron module that the result depends on is called more than once."""
    return max(_calls_per_neuron(tape, _used_calls(tape)).values(), default=1) > 1


def unfolded(tape: Tape) -> FoldedPass:
    """All calls of a recorded pass in order, without folding a loop.

    This is enough for a pass without a loop over time, and for loops through which no recurrence runs: there every
    neuron module is called for one tick after the other.
    """
    used = _used_calls(tape)
    repeated = {neuron: count for neuron, count in _calls_per_neuron(tape, used).items() if count > 1}
    calls = [_unfolded_call(tape.calls[at], at) for at in sorted(used)]
    return FoldedPass(calls, ticks=max(repeated.values(), default=0), repeated_neurons=repeated, returned=tape.returned)


def _calls_per_neuron(tape: Tape, positions: Iterable[int]) -> dict[int, int]:
    """How many of the calls at these positions are calls of each neuron module, by the module's `id`."""
    counts: dict[int, int] = {}
    for at in positions:
        if (neuron := tape.calls[at].neuron) is not None:
            counts[id(neuron)] = counts.get(id(neuron), 0) + 1
    return counts


def _used_calls(tape: Tape) -> set[int]:
    """The positions of the calls that the result depends on. If one call of a neuron module is among them, all are."""
    last_call: dict[int, int] = {}
    previous = {}
    for at, call in enumerate(tape.calls):
        if call.neuron is not None:
            previous[at] = last_call.get(id(call.neuron), -1)
            last_call[id(call.neuron)] = at
    # Each call leads to the one before it, and the first one to the last, so that one of them reaches all.
    same_neuron = {at: (last_call[id(tape.calls[at].neuron)] if earlier < 0 else earlier,)
                   for at, earlier in previous.items()}
    return reachable((r.call for r in references(tape.returned)),
                     lambda at: (*tape.sources[at], *same_neuron.get(at, ())))


def _calls_before_neurons(tape: Tape, used: set[int]) -> set[int]:
    """The positions of the neuron calls, and of all calls whose results they depend on.

    The last tick may compute something for a tick that never comes, such as `back = rec(s)`. These calls are included
    as well: they are recognised by the same signature in earlier ticks.
    """
    neurons = [at for at in used if tape.calls[at].neuron is not None]
    leading = reachable(neurons, tape.sources.__getitem__)
    signatures = {signature(tape.calls[at]) for at in leading}
    alike = {at for at, call in enumerate(tape.calls) if signature(call) in signatures}
    return reachable(alike, tape.sources.__getitem__)


def _unfolded_call(call: RecordedCall, at: int) -> FoldedCall:
    if call.neuron is None:
        return FoldedCall(at, call, call.args, call.kwargs)
    given, states = _input_and_states(call)
    return FoldedCall(at, call, (given,), {}, states)


def _input_and_states(call: RecordedCall) -> tuple[Any, tuple[Any, ...]]:
    """The arguments of a neuron module: its input, and its states in the order of the signature of `forward`."""
    assert call.neuron is not None
    order = list(inspect.signature(call.neuron.forward).parameters) if call.kwargs else []
    everything = (*call.args, *(call.kwargs[name] for name in order if name in call.kwargs))
    return (everything[0] if everything else None), everything[1:]


def are_states_of(tape: Tape, at: int, states: Any) -> bool:
    """Whether these arguments are the states that the neuron call at a position returned, all of them and in order.

    No states, or only None, are enough for a neuron module that keeps its state itself.
    """
    given = leaves_of(states)
    earlier = tape.calls[at]
    if all(state is None for state in given):
        return earlier.keeps_state
    returned = earlier.results[:len(earlier.entries)][-len(given):]
    return len(returned) == len(given) and all(
        state is None or (isinstance(state, Ref) and state.call == at and earlier.results[state.slot] is tensor)
        for state, tensor in zip(given, returned, strict=True))


@dataclass
class _Folder:
    """Folds one tape.

    Attributes:
        leading: positions of the calls that lead to a neuron, sorted.
        after: positions of all other calls that the result depends on, sorted.
        ticks: how often every neuron module is called.
    """

    tape: Tape
    leading: list[int]
    after: list[int]
    ticks: int
    report: Report

    def fold(self) -> FoldedPass:
        neuron = next(c for c in map(self.tape.calls.__getitem__, self.leading) if c.neuron is not None)
        places = [i for i, at in enumerate(self.leading) if self.tape.calls[at].neuron is neuron.neuron]
        # `leading` is: the calls before the loop, then `ticks` times the `period` calls of one tick.
        self.period = places[1] - places[0]
        self.start = len(self.leading) - self.period * self.ticks
        if not self._ticks_repeat(neuron):
            return FoldedPass([])
        self.index_in_loop = {at: i - self.start for i, at in enumerate(self.leading)}
        calls = self.tape.calls
        before = [_unfolded_call(calls[at], at) for at in self.leading[:self.start]]
        body = [self._fold_call(j) for j in range(self.period)]
        after = [FoldedCall(at, calls[at], self._with_tick_refs(calls[at].args),
                            self._with_tick_refs(calls[at].kwargs)) for at in self.after]
        return FoldedPass(before, body, after, self.ticks, returned=self._with_tick_refs(self.tape.returned))

    def _position(self, tick: int, j: int) -> int:
        """The position on the tape of call `j` of a tick."""
        return self.leading[self.start + tick * self.period + j]

    def _ticks_repeat(self, neuron: RecordedCall) -> bool:
        """Whether every tick makes the same calls. Reports the first difference."""
        calls = self.tape.calls
        for i in range(max(self.start, 0), len(self.leading) - self.period):
            here, later = calls[self.leading[i]], calls[self.leading[i + self.period]]
            if signature(here) != signature(later):
                self.report(later.place, f"this tick calls {later.name} where the tick before called {here.name} in "
                            f"{here.place}; a tick ends where {neuron.place} is called again", "every tick of a loop "
                            "over time must make the same calls, and call a neuron module once; let states begin as "
                            "zeros instead of treating the first tick separately")
                return False
        in_other_loop = [calls[at].place for at in self.leading[:max(self.start, 0)] if calls[at].neuron is not None]
        if in_other_loop:
            self.report(in_other_loop[0], "the neuron module is called in another loop over time than the neuron "
                        "modules after it", "call all neuron modules that a recurrence connects in one loop")
            return False
        if self.start < 0:
            self.report(str(calls[self.leading[0]].place), "the first tick of the loop over time makes fewer calls "
                        "than the others", "let states begin as zeros instead of treating the first tick separately")
        return self.start >= 0

    def _fold_call(self, j: int) -> FoldedCall:
        """Call `j` of a tick, with arguments that hold for every tick."""
        calls = [self.tape.calls[self._position(t, j)] for t in range(self.ticks)]
        first = calls[0]
        if first.neuron is None:
            return FoldedCall(self._position(0, j), first, self.merge([c.args for c in calls], first),
                              self.merge([c.kwargs for c in calls], first))
        arguments = [_input_and_states(c) for c in calls]
        self._check_states(j, [states for _, states in arguments])
        merged = self.merge([given for given, _ in arguments], first)
        return FoldedCall(self._position(0, j), first, (merged,), {}, arguments[0][1])

    def _check_states(self, j: int, states: Sequence[Any]) -> None:
        """Report a neuron module that is given other states than those it returned in the tick before."""
        for tick in range(1, self.ticks):
            if not are_states_of(self.tape, self._position(tick - 1, j), states[tick]):
                self.report(self.tape.calls[self._position(tick, j)].place, "the neuron module is given states that "
                            "are not what the module returned a tick earlier", "pass the returned states back "
                            "unchanged, all of them and in order")
                return

    # --- arguments of one tick -------------------------------------------------------------------------------

    def merge(self, parts: Sequence[Any], call: RecordedCall) -> Any:
        """One argument that holds for every tick.

        Args:
            parts: the argument in each tick.
            call: the call in the first tick, for diagnostics.

        Returns:
            The argument, with `DelayedRef`, `PerTickRef` and `TickNumber` where it changes from tick to tick;
            `Untracked`, after a report, where it changes in another way.
        """
        first = parts[0]
        if isinstance(first, (list, tuple)) and all(type(p) is type(first) and len(p) == len(first) for p in parts):
            return type(first)(self.merge([p[i] for p in parts], call) for i in range(len(first)))
        if isinstance(first, dict) and all(isinstance(p, dict) and p.keys() == first.keys() for p in parts):
            return {k: self.merge([p[k] for p in parts], call) for k in first}
        if all(isinstance(p, slice) for p in parts):
            return slice(*(self.merge([getattr(p, end) for p in parts], call) for end in ("start", "stop", "step")))
        if any(isinstance(p, Ref) for p in parts):
            merged = self._same_in_all_ticks(parts) or self._one_per_tick(parts) or self._from_loop(parts)
        else:
            merged = _merge_constants(parts)
        if merged is None:
            self.report(call.place, f"an argument of {call.name} changes from tick to tick in a way that is not a "
                        "recurrence", "a tick may use the input of the tick, and what was computed a fixed number of "
                        "ticks earlier")
            return Untracked("an argument that changes from tick to tick")
        return merged[0]

    # The following return a tuple of one argument, or None where they do not apply: the argument itself may be None.

    def _same_in_all_ticks(self, parts: Sequence[Any]) -> tuple[Any] | None:
        outside = all(isinstance(p, Ref) and self.index_in_loop.get(p.call, -1) < 0 for p in parts)
        return (parts[0],) if outside and len(set(parts)) == 1 else None

    def _one_per_tick(self, parts: Sequence[Any]) -> tuple[Any] | None:
        """The results of calls before the loop, another one in each tick."""
        before = all(isinstance(p, Ref) and self.index_in_loop.get(p.call, -1) < 0 for p in parts)
        return (PerTickRef(tuple(parts)),) if before and len(set(parts)) == len(parts) else None

    def _from_loop(self, parts: Sequence[Any]) -> tuple[Any] | None:
        """The result of a call of the loop, of the same tick or of a fixed number of ticks earlier."""
        last = parts[-1]
        index = self.index_in_loop.get(last.call, -1) if isinstance(last, Ref) else -1
        if index < 0:
            return None
        tick, j = divmod(index, self.period)
        delay = self.ticks - 1 - tick
        expected = [Ref(self._position(t - delay, j), last.slot) for t in range(delay, self.ticks)]
        if delay < 0 or list(parts[delay:]) != expected:
            return None
        ref = Ref(self._position(0, j), last.slot)
        return (DelayedRef(ref, delay, tuple(parts[:delay])),) if delay else (ref,)

    # --- after the loop --------------------------------------------------------------------------------------

    def _with_tick_refs(self, value: Any) -> Any:
        """Nested data after the loop, with a `TickRef` in place of every reference to a call of the loop."""
        return map_leaves(value, self._tick_ref)

    def _tick_ref(self, value: Any) -> Any:
        if not isinstance(value, Ref) or self.index_in_loop.get(value.call, -1) < 0:
            return value
        tick, j = divmod(self.index_in_loop[value.call], self.period)
        return TickRef(Ref(self._position(0, j), value.slot), tick)


def _merge_constants(parts: Sequence[Any]) -> tuple[Any] | None:
    """An argument without references: the same in every tick, or the number of the tick. None for any other."""
    first = parts[0]
    if all(isinstance(p, Const) for p in parts):
        if all(same_numbers(p.value, first.value) for p in parts):
            return (first,)
        parts = [_whole_number(p.value) for p in parts]
    elif all(type(p) is type(first) and p == first for p in parts):
        return (first,)
    counts = all(type(p) is int and p == parts[0] + t for t, p in enumerate(parts))
    return (TickNumber(parts[0]),) if counts else None


def _whole_number(index: torch.Tensor) -> int | None:
    """The number in a tensor of one whole number, as in `index_select(0, torch.tensor([t]))`."""
    known = index.numel() == 1 and not index.is_meta and not index.is_floating_point()
    return int(index) if known else None
