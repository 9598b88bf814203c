"""A program of one tick to a graph, under a belief of which axes of the input are time and batch."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from snncompile.diagnostics import Collector, CompileError, shorten
from snncompile.frontends.torch.build import WORDS, Arrays, Build, Refused, Site, described
from snncompile.frontends.torch.cells import Cell, Layout
from snncompile.frontends.torch.fold import EachTick, Late, OneTick, Program, Step, handed_on
from snncompile.frontends.torch.functions import FUNCTIONS
from snncompile.frontends.torch.neurons import cell_of
from snncompile.frontends.torch.populate import populate
from snncompile.frontends.torch.tape import Const, Lost, Ref, Tape, replaced
from snncompile.frontends.torch.values import Axis, Value, in_order
from snncompile.ir.ops import Input
from torch import Tensor

# Makers of constants, whose results may be new in every pass.
RANDOM = frozenset(("rand", "randn", "randint", "rand_like", "randn_like", "randint_like", "bernoulli", "normal",
                    "poisson", "uniform", "exponential", "randperm", "multinomial", "random"))
MAKERS = frozenset(("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "new_tensor"))
LAYERS = frozenset(("linear", "conv1d", "conv2d", "batch_norm"))
LAYOUTS: Mapping[Layout, tuple[Axis, ...]] = {
    "tick": ("B",), "ticks-first": ("T", "B"), "batch-first": ("B", "T"), "merged": ("BT",)}
UNSAYABLE = ("write it with layers that a graph has, or make the module that calls it a neuron module "
             "(snncompile.neuron_module)")


class Broken:
    """What a call gave that was refused: whatever depends on it is refused already."""


@dataclass(frozen=True)
class Belief:
    """What the leading axes of the inputs are."""

    axes: tuple[Axis, ...]


def beliefs(tape: Tape, looped: bool) -> tuple[Belief, ...]:
    """What the leading axes of an input may be, most usual first. Without neurons nothing tells of time."""
    alone, sequences = Belief(("B",)), (Belief(("T", "B")), Belief(("B", "T")))
    if all(call.neuron is None for call in tape.calls):
        return (alone,)
    return (*sequences, alone) if looped else (alone, *sequences, Belief(("BT",)))


@dataclass
class Interpreter:
    """Turns one program into nodes and edges; `found` gathers what is refused."""

    tape: Tape
    program: Program
    belief: Belief
    inputs: Mapping[str, Input]
    arrays: Arrays
    found: Collector = field(default_factory=Collector)
    build: Build = field(default_factory=Build)
    extent: dict[str, int] = field(default_factory=dict)
    made: dict[Ref, Any] = field(default_factory=dict)
    waiting: dict[Late, Value] = field(default_factory=dict)
    ticked: dict[Any, Any] = field(default_factory=dict)
    fired: dict[int, list[Step]] = field(default_factory=dict)
    driven: dict[int, tuple[Value, list[Any]]] = field(default_factory=dict)
    results: list[tuple[str, Value]] = field(default_factory=list)

    def run(self) -> None:
        for step in (*self.program.before, *self.program.body):
            self.take(step)
        for late, value in self.waiting.items():
            self.close(late, value)
        for step in self.program.after:
            self.take(step)
        try:
            self.result("output", replaced(_own_states(self.tape, self.program.returned), self.resolve))
        except Refused as e:
            self.problem("the network's result", e.found, e.help, e.code)

    def unknown(self) -> tuple[int, int]:
        """How many results are not known, and how many problems there are."""
        return sum(isinstance(made, Broken) for made in self.made.values()), len(self.found.errors)

    def result(self, name: str, given: Any) -> None:
        """Keep what the network returned, as far as it depends on the input; a list of all ticks is one result."""
        if isinstance(given, dict):
            for key, item in given.items():
                self.result(str(key), item)
        elif isinstance(given, (list, tuple)) and not in_order(given):
            for i, item in enumerate(given):
                self.result(name if len(given) == 1 else f"{name}_{i}", item)
        elif isinstance(given, (list, tuple)):
            self.results.append((name, replace(given[0], tick=None)))
        elif isinstance(given, Value):
            self.results.append((name, given if given.state else self.last(name, given)))

    def last(self, name: str, value: Value) -> Value:
        """A value of the last tick, as a decoding; values of other ticks alone are refused."""
        ticks = self.program.ticks or self.extent.get("T", 0)
        if value.summed is not None or value.tick not in (None, ticks - 1):
            self.problem(f"output {shorten(name)}", "some of the ticks of a loop",
                         "return all ticks, their sum, or the last", "SNN110")
        return value if value.tick is None else replace(value, tick=None, decode="last")

    def problem(self, place: str, found: str, help: str = "", code: str = "SNN104") -> None:
        self.found.error(code, place, found, help=help)

    # --- calls -----------------------------------------------------------------------------------------------

    def take(self, step: Step) -> None:
        """Find out what the results of a call are."""
        results = [Broken()] * len(step.call.results)
        try:
            given = replaced((step.args, dict(step.kwargs)), self.resolve)
            if not _any(given, Broken):
                results = self.evaluate(step, given)
        except Refused as e:
            self.problem(step.call.place, e.found, e.help, e.code)
        except CompileError as e:
            self.found.found += e.diagnostics
        for slot, result in enumerate(results):
            self.made[Ref(step.at, slot)] = result

    def evaluate(self, step: Step, given: Any) -> list[Any]:
        call = step.call
        if call.name == "input":
            return [self.input(call.where.path, call.results[0])]
        if call.name in RANDOM:
            raise Refused(f"{call.name} draws random numbers in the forward pass",
                          "encode the input outside the network: snncompile encodes with --encode")
        if call.neuron is not None:
            return self.fire(step, given[0][0])
        values = list(_values(given))
        if not values and call.name in LAYERS:
            raise Refused("a layer of a constant: a recurrence of which only the first tick is seen",
                          "give an example input of 2 ticks or more, and let every tick of the loop do the same",
                          "SNN110")
        if not values or call.name in MAKERS:
            return list(call.results)
        if all(v.state for v in values):
            return [replace(values[0], tick=None)] * len(call.results)
        ticks = {v.tick for v in values if v.summed is None}
        if len(ticks) == 1 and None not in ticks and len(values) == 1 and call.name not in ("setitem", "stack", "cat"):
            return self.one_tick(step, given, ticks.pop())
        return self.function(step, given)

    def one_tick(self, step: Step, given: Any, tick: int | None) -> list[Any]:
        """A call after the loop on one of its ticks: made once for all of them."""
        whole = replaced(given, lambda v: replace(v, tick=None) if isinstance(v, Value) else v)
        key = step.call.name, step.call.where, repr(replaced(whole, _identity))
        if key not in self.ticked:
            self.ticked[key] = self.function(step, whole)
        return [replace(v, tick=tick) if isinstance(v, Value) else v for v in self.ticked[key]]

    def function(self, step: Step, given: Any) -> list[Any]:
        call = step.call
        handler = FUNCTIONS.get(call.name)
        if handler is None:
            raise Refused(f"the operation {shorten(call.name)}", UNSAYABLE)
        site = Site(call, self.build, self.arrays, self.extent, self.program.ticks)
        args, kwargs = given
        try:
            inspect.signature(handler).bind(site, *args, **kwargs)
        except TypeError:
            raise Refused(f"the operation {shorten(call.name)} with arguments that are not known here") from None
        result = handler(site, *args, **kwargs)
        return list(result) if isinstance(result, tuple) else [result]

    def input(self, name: str, tensor: Tensor) -> Value:
        axes = self.belief.axes
        shape = tuple(tensor.shape[len(axes):])
        for letter, size in zip(axes, tensor.shape, strict=False):
            if self.extent.setdefault(letter, size) != size:
                raise Refused(f"an input [{_words(axes)}, ...] of other sizes than the first: {list(tensor.shape)}",
                              "all inputs have the same ticks and samples", "SNN110")
        node = self.build.add(name, replace(self.inputs[name], shape=shape), [])
        return Value(node, shape, (*axes, *("F",) * len(shape)))

    # --- arguments -------------------------------------------------------------------------------------------

    def resolve(self, given: Any) -> Any:
        match given:
            case Ref():
                return self.made.get(given, Broken())
            case Const():
                return given.value
            case Lost():
                raise Refused(given.why, "give it to the module as a parameter or buffer, or make the module a neuron "
                              "module (snncompile.neuron_module)", "SNN110")
            case OneTick():
                made = self.made.get(given.ref, Broken())
                return replace(made, tick=given.tick) if isinstance(made, Value) else made
            case EachTick():
                made = self.made.get(Ref(given.call), Broken())
                return replace(made, tick=None) if isinstance(made, Value) else made
            case Late():
                return self.late(given)
        return given

    def late(self, given: Late) -> Value:
        """What an earlier tick made, which stands for itself until it is known."""
        if given not in self.waiting:
            call = self.tape.calls[given.ref.call]
            if not all(self.silent(f) for f in given.first):
                raise Refused(f"a recurrence, through {call.place}, that begins with something other than zeros",
                              "what a tick hands to the next begins as zeros", "SNN110")
            shape = tuple(call.results[given.ref.slot].shape[1:])
            node = self.build.placeholder(f"{call.where.path or call.name}.before", shape)
            self.waiting[given] = Value(node, shape, ("B", *("F",) * len(shape)))
        return self.waiting[given]

    def silent(self, first: Any) -> bool:
        """Whether what stood in the place of an earlier tick is nothing."""
        value = first.value if isinstance(first, Const) else first
        if isinstance(first, Ref):
            value = self.made.get(first, Broken())
        if isinstance(value, Tensor):
            return not bool(torch.any(value))
        return value is None or (isinstance(value, (int, float)) and value == 0)

    def close(self, late: Late, value: Value) -> None:
        """Lead the recurrence from where it comes."""
        source, call = self.made.get(late.ref), self.tape.calls[late.ref.call]
        if not isinstance(source, Value):
            return
        if source.state or source.axes != value.axes or source.shape != value.shape:
            self.problem(call.place, "a recurrence of " + ("a neuron's state" if source.state else described(source)),
                         "what a tick hands to the next are spikes, or sums of such", "SNN110")
            return
        self.build.connect(value.node, self.build.shaped(source), late.delay)

    # --- neurons ---------------------------------------------------------------------------------------------

    def fire(self, step: Step, given: Any) -> list[Any]:
        """What a call of a neuron gave; where its calls stand one after the other, the ticks of the first."""
        if not self.program.unrolled.get(id(step.call.neuron)):
            return self.neuron(step, given)
        calls = self.fired.setdefault(id(step.call.neuron), [])
        tick = len(calls)
        whole = replace(given, tick=None) if isinstance(given, Value) and given.tick in (None, tick) else None
        if calls and calls[0].at not in self.driven:
            return [Broken()] * len(step.call.results)
        if whole is None or (calls and (whole != self.driven[calls[0].at][0]
                                        or not handed_on(self.tape, calls[-1].at, step.states))):
            raise Refused("a neuron that is called several times, and not with one tick after the other",
                          "a neuron module is called once a tick; give every layer a neuron of its own", "SNN110")
        calls.append(step)
        if tick == 0:
            self.driven[step.at] = whole, self.neuron(step, whole)
        return [replace(v, tick=tick) for v in self.driven[calls[0].at][1]]

    def neuron(self, step: Step, given: Any) -> list[Any]:
        path = step.call.where.path or step.call.where.kind
        x = given
        if not isinstance(x, Value) or x.state or x.decode or x.tick is not None:
            raise Refused("a neuron whose input is a constant, a state, or decided over time already",
                          "neurons are driven by the input of the network, tick by tick")
        recognise = cell_of(step.call.neuron)
        assert recognise is not None
        cell = recognise(step.call.neuron, x.shape, path)
        expected = LAYOUTS[cell.layout]
        if x.leading != expected or not x.regular:
            raise Refused(f"a neuron that takes tensors [{_words(expected)}, ...] is given {described(x)}",
                          "the axes of the example input: [batch, ...] for one tick, [tick, batch, ...] or "
                          "[batch, tick, ...] for several, with 2 ticks or more", "SNN110")
        self.initial(step, cell)
        return populate(self.build, cell, x, path, step.call.top)

    def initial(self, step: Step, cell: Cell) -> None:
        """The states that a neuron is first given must be those that it begins with by itself."""
        firsts = [cell.neuron.first(s) for s in cell.neuron.traced.states]
        given: list[Any] = []
        replaced(step.states, given.append)
        if not self.program.ticks and cell.layout == "tick" and any(isinstance(g, (Ref, Const)) for g in given):
            self.found.warn("SNN105", step.call.place, "every call of the network hands it the states that it begins "
                            "with: the graph keeps them from tick to tick", "an example of one tick",
                            "loop over the ticks of the input, and give an example of 2 ticks or more")
        for state in given:
            value = self.resolve(state)
            if isinstance(value, Tensor) and not any(_equals(value, f) for f in firsts):
                raise Refused("a state that begins elsewhere than the neuron itself does", "begin with the neuron's "
                              "own initial states", "SNN110")
            if isinstance(value, Value):
                raise Refused("a state that depends on the input of the tick", code="SNN110")


def _own_states(tape: Tape, value: Any) -> Any:
    """What was returned, without the outputs of neurons that only stand there as a part of a neuron's state."""
    if isinstance(value, dict):
        return {key: _own_states(tape, item) for key, item in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    refs = [v.ref if isinstance(v, OneTick) else v for v in value]
    if refs and all(isinstance(r, Ref) and r.call == refs[0].call for r in refs):
        top = tape.calls[refs[0].call].top
        if any(top[r.slot] and top.count(top[r.slot]) == len(refs) for r in refs if r.slot < len(top)):
            return [v for v, r in zip(value, refs, strict=True) if top[r.slot]]
    return [_own_states(tape, item) for item in value]


def _any(given: Any, kind: type) -> bool:
    found: list[Any] = []
    replaced(given, found.append)
    return any(isinstance(v, kind) for v in found)


def _values(given: Any) -> Iterator[Value]:
    found: list[Any] = []
    replaced(given, found.append)
    return (v for v in found if isinstance(v, Value))


def _identity(value: Any) -> Any:
    return id(value) if isinstance(value, Tensor) else value


def _equals(value: Tensor, first: Any) -> bool:
    wide = torch.as_tensor(first, dtype=value.dtype)
    try:
        return bool((value == wide).all())
    except RuntimeError:
        return False


def _words(axes: Sequence[Axis]) -> str:
    return ", ".join(WORDS[a] for a in axes)

