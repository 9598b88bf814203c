"""The reference interpreter: runs a graph of any stage on all samples at once.

FLOAT and LEGAL graphs run in floats (float64 unless another dtype is chosen), INT and MAPPED graphs in exact integers.
A node that is on no loop is computed for all ticks before the nodes behind it. The nodes of a loop are computed
together, tick by tick.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from snncompile.ir.expr import Program, Step, evaluate
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Input
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.rules import BIAS
from snncompile.ir.types import Array, Shape, Stage

CHUNK_VALUES = 40_000_000
"""The number of values, of all nodes and ticks together, that `sample_chunks` allows in one run."""
Watch: TypeAlias = Callable[[str, Array], None]


@dataclass(frozen=True)
class Traces:
    """What a run computed.

    Attributes:
        outputs: `[sample, tick, *shape]` by output name; integers for an INT or MAPPED graph.
        emitted: what each recorded population emitted, `[sample, tick, *shape]` by population name.
        states: the states of each recorded population after each tick, `[sample, tick, *shape]` by population name and
            state name.
    """

    outputs: Mapping[str, Array]
    emitted: Mapping[str, Array] = field(default_factory=dict)
    states: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)


def in_network_ticks(graph: Graph, traces: Traces, ticks: int) -> Traces:
    """Pick the ticks of the network out of the traces of a MAPPED graph.

    Args:
        traces: what `run` gave for `graph`, in ticks of the hardware.
        ticks: how many ticks of the network the sample has.

    Returns:
        The same traces, `[sample, tick of the network, *shape]`.
    """
    schedule = graph.schedule
    return Traces({n: schedule.collect(v, n, ticks) for n, v in traces.outputs.items()},
                  {n: schedule.collect(v, n, ticks) for n, v in traces.emitted.items()},
                  {n: {s: schedule.collect(v, n, ticks) for s, v in states.items()}
                   for n, states in traces.states.items()})


@dataclass
class RunningPopulation:
    """A population during a run.

    Attributes:
        program: its rule, with the bias added to the input.
        params: its parameters, by name.
        states: its states after the last tick, `[sample, *shape]` by name.
        history: its states after each tick so far, by name; None where they are not kept.
        watch: called with each state after each tick.
    """

    program: Program
    params: Mapping[str, Any]
    states: dict[str, Array]
    history: dict[str, list[Array]] | None
    watch: Callable[[Array], None] | None = None

    def step(self, x: Array) -> Array:
        """Compute a tick. Takes the summed input `[sample, *shape]`, and returns what is emitted, of the same shape."""
        output, self.states = evaluate(self.program, self.params, self.states, x)
        if self.history is not None:
            for name, value in self.states.items():
                self.history[name].append(np.array(value))
        if self.watch is not None:
            for value in self.states.values():
                self.watch(value)
        return output


def run(graph: Graph, x: Array | Mapping[str, Array], *, record: bool | Iterable[str] = False,
        states: bool = False, dtype: npt.DTypeLike = np.float64, watch: Watch | None = None) -> Traces:
    """Run a graph on data that is known to fit it; the arguments are those of `reference.run`, which checks data.

    `watch` is called with the name of each population and each of its states after each tick, `[sample, *shape]`.
    """
    kind = np.dtype(np.int64) if graph.stage >= Stage.INT else np.dtype(dtype)
    given = dict(x) if isinstance(x, Mapping) else dict.fromkeys(graph.inputs, x)
    names = set(graph.populations) if record is True else set() if record is False else set(record)
    runner = _Runner(graph, {n: np.asarray(v).astype(kind, copy=False) for n, v in given.items()}, kind, names, states,
                     watch)
    return runner.run()


class _Runner:
    """One run of a graph. `values` holds the outputs `[sample, tick, *shape]` that nodes still have to read."""

    def __init__(self, graph: Graph, given: Mapping[str, Array], dtype: np.dtype[Any], record: set[str],
                 states: bool, watch: Watch | None):
        self.graph, self.given, self.dtype, self.record, self.keep_states = graph, given, dtype, record, states
        self.watch = watch
        self.samples, self.ticks = next(iter(given.values())).shape[:2]
        self.values: dict[str, Array] = {}
        self.state_traces: dict[str, dict[str, Array]] = {}
        self.kept: dict[str, Array] = {}
        self.readers = {name: len(graph.edges_from[name]) for name in graph.nodes}

    def run(self) -> Traces:
        for component in self.graph.components:
            if len(component) == 1 and not self.graph.loops(component[0]):
                self._run_all_ticks(component[0])
            else:
                self._run_tick_by_tick(component)
            self._retire(component)
        outputs = {name: self.kept[name] for name in self.graph.outputs}
        emitted = {name: v for name, v in self.kept.items() if name in self.record}
        return Traces(outputs, emitted, self.state_traces)

    def _run_all_ticks(self, name: str) -> None:
        op = self.graph.nodes[name]
        if isinstance(op, Input):
            self.values[name] = self.given[name]
            return
        x = self._sum(name, [self._whole(e) for e in self.graph.edges_into[name]], (self.samples, self.ticks))
        if not isinstance(op, (Neuron, Population)):
            self.values[name] = _batched(op, x)
            return
        population = self._start(name, op)
        dtype = narrow_type(op) if isinstance(op, Population) else self.dtype
        out = np.empty((self.ticks, self.samples, *self.graph.shapes[name]), dtype)
        for t in range(self.ticks):
            out[t] = population.step(x[:, t])
        self.values[name] = out.swapaxes(0, 1)
        self._keep_states(name, population)

    def _run_tick_by_tick(self, component: tuple[str, ...]) -> None:
        running = {n: self._start(n, op) for n, op in self.graph.populations.items() if n in component}
        inside = set(component)
        outside = {e: self._whole(e) for n in component for e in self.graph.edges_into[n] if e.src not in inside}
        past: dict[str, list[Array]] = {n: [] for n in component}
        for t in range(self.ticks):
            for name in component:
                parts = [outside[e][:, t] if e in outside else self._delayed(e, past, t)
                         for e in self.graph.edges_into[name]]
                x = self._sum(name, [p for p in parts if p is not None], (self.samples,))
                op = self.graph.nodes[name]
                past[name].append(running[name].step(x) if name in running else op.apply(x))
        for name in component:
            self.values[name] = np.stack(past[name], 1) if past[name] else self._empty(name)
            if name in running:
                self._keep_states(name, running[name])

    def _empty(self, name: str) -> Array:
        return np.zeros((self.samples, 0, *self.graph.shapes[name]), self.dtype)

    def _delayed(self, edge: Edge, past: Mapping[str, list[Array]], t: int) -> Array | None:
        """What an edge inside a loop delivers at tick t, `[sample, *shape]`; None for the zeros of its first ticks."""
        if t < edge.delay:
            return None
        y = past[edge.src][t - edge.delay].astype(self.dtype, copy=False)
        for op in edge.chain:
            y = op.apply(y)
        return y

    def _whole(self, edge: Edge) -> Array:
        """What an edge delivers in all ticks, `[sample, tick, *shape]`.

        The chain is applied to the ticks that `src` has had by then; zeros are put before them for the delay.
        """
        y = self.values[edge.src].astype(self.dtype, copy=False)
        y = y[:, : max(self.ticks - edge.delay, 0)]
        for op in edge.chain:
            y = _batched(op, y)
        late = min(edge.delay, self.ticks)
        return np.pad(y, ((0, 0), (late, 0), *((0, 0),) * (y.ndim - 2))) if late else y

    def _sum(self, name: str, parts: list[Array], lead: Shape) -> Array:
        """The sum of what the edges into a node deliver, `[*lead, *shape]`; zeros for no parts."""
        if not parts:
            first = self.graph.edges_into[name]
            shape = self.graph.arriving(first[0]) if first else self.graph.shapes[name]
            return np.zeros((*lead, *shape), self.dtype)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def _start(self, name: str, op: Neuron | Population) -> RunningPopulation:
        """A population with its initial states."""
        shape = (self.samples, *self.graph.shapes[name])
        program = op.traced.program if isinstance(op, Neuron) else op.program
        first = ({n: op.first(n) for n in op.traced.states} if isinstance(op, Neuron)
                 else {n: s.initial for n, s in op.states.items()})
        states = {n: np.broadcast_to(np.asarray(v, self.dtype), shape) for n, v in first.items()}
        keep = self.keep_states and name in self.record
        program = with_bias(program) if isinstance(op, Neuron) and op.bias is not None else program
        return RunningPopulation(program, op.params, states, {n: [] for n in states} if keep else None,
                                 functools.partial(self.watch, name) if self.watch else None)

    def _keep_states(self, name: str, population: RunningPopulation) -> None:
        if population.history is not None:
            self.state_traces[name] = {
                n: np.stack(v, 1) if v else self._empty(name) for n, v in population.history.items()}

    def _retire(self, component: tuple[str, ...]) -> None:
        """Keep the values that the traces hold, and free those that no node will read again."""
        for name in component:
            if name in self.record or name in self.graph.outputs:
                self.kept[name] = self.values[name]
        for edge in (e for n in component for e in self.graph.edges_into[n]):
            self.readers[edge.src] -= 1
        for name in [n for n in self.values if self.readers[n] == 0]:
            del self.values[name]


def with_bias(program: Program) -> Program:
    """The program of a rule in which the parameter `bias` is added to the input wherever it is read."""
    steps: list[Step] = []
    moved: dict[int, int] = {}
    for i, step in enumerate(program.steps):
        steps.append(Step(step.op, tuple(moved[a] for a in step.args), step.value))
        moved[i] = len(steps) - 1
        if step.op == "input":
            steps += [Step("param", (), BIAS), Step("add", (moved[i], moved[i] + 1))]
            moved[i] += 2
    return Program(tuple(steps), moved[program.output], tuple((n, moved[i]) for n, i in program.next_state))


def _batched(op: Op, x: Array) -> Array:
    """Apply an operator to each tick of each sample, `[sample, tick, *shape]`."""
    y = op.apply(x.reshape(-1, *x.shape[2:]))
    return y.reshape(*x.shape[:2], *y.shape[1:])


def narrow_type(op: Population) -> np.dtype[Any]:
    """The narrowest type of integers that holds what a population emits."""
    return np.dtype(np.result_type(np.min_scalar_type(op.output_low), np.min_scalar_type(op.output_high)))


def sample_chunks(graph: Graph, samples: int, ticks: int, copies: int = 3) -> Iterator[slice]:
    """Split the samples so that a run of each part has at most CHUNK_VALUES values, or a single sample.

    Args:
        samples, ticks: the size of the whole run.
        copies: how many values are kept for each element of a node and tick.

    Returns:
        Slices of the samples, in their order.
    """
    widest = sum(math.prod(graph.shapes[n]) for n in graph.nodes) * max(ticks, 1) * copies
    step = max(1, CHUNK_VALUES // max(widest, 1))
    for start in range(0, samples, step):
        yield slice(start, min(start + step, samples))
