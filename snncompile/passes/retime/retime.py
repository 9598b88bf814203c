"""retime: give every projection the ticks that hardware takes for it, without changing a spike."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from snncompile.diagnostics import Collector, fail, shorten
from snncompile.ir.expr import Expr, flatten
from snncompile.ir.graph import Edge, Graph, unused
from snncompile.ir.op import Op
from snncompile.ir.ops import Input, Linear, Output, Reshape
from snncompile.ir.populations import Population
from snncompile.ir.ranges import input_range, source_range
from snncompile.ir.schedule import Schedule
from snncompile.ir.types import Array, Stage
from snncompile.passes.retime.cycles import Cycle, quickest_cycles
from snncompile.passes.retime.idle import holds_still, starts_idle, waiting, without_bias
from snncompile.passes.retime.initial_state import rewound

EARLY = 1e-3
"""What a tick of latency costs beside one value kept for a tick: it decides between equally small buffers."""
MAX_PERIOD = 1 << 16
STATE_BITS = 24
"""The widest state that is used where the target does not say how wide its states are."""
NAMED = 8


@dataclass(frozen=True)
class Retime:
    """Give every projection at least the ticks of a hop; the network does the same, some ticks later.

    Finds integers r(node), 0 for inputs, such that the delay `d + r(target) - r(source)` of every projection is one
    that the hardware has, and that the values kept on the way are as few as possible (Leiserson and Saxe's retiming).

    Attributes:
        hop_ticks: the least delay of a projection.
        max_delay_ticks: the largest; None for no limit.
        relays: whether populations that pass on what they receive may be put into longer projections.
        programmable: whether neurons run any program, and so can be made to wait.
        dilate: hardware ticks for each tick of the network, so that quick loops become possible; "auto" takes as many
            as needed.
        state_bits: the width of a state of the hardware, in which an earlier first value has to fit; 24 where nothing
            is said.

    Raises SNN302 for cycles that are too quick, SNN303 for projections that would have to wait too long, SNN304 for
    neurons that act by themselves and cannot be kept from it.
    """

    hop_ticks: int = 1
    max_delay_ticks: int | None = None
    relays: bool = True
    programmable: bool = True
    dilate: int | Literal["auto"] = 1
    state_bits: int | None = None
    name: ClassVar[str] = "retime"
    needs: ClassVar[Stage] = Stage.INT
    ensures: ClassVar[Stage] = Stage.MAPPED

    def __post_init__(self) -> None:
        if self.dilate != "auto" and not 1 <= self.dilate <= MAX_PERIOD:
            fail("SNN404", "option dilate", str(self.dilate), f'1 to {MAX_PERIOD}, or "auto"')
        least = 2 * self.hop_ticks - 1 if self.relays else self.hop_ticks
        if self.max_delay_ticks is not None and self.max_delay_ticks < max(1, least):
            fail("SNN404", "option max_delay_ticks", str(self.max_delay_ticks), f"at least {max(1, least)}")

    def run(self, graph: Graph) -> Graph:
        period = dilation(graph, self.hop_ticks) if self.dilate == "auto" else self.dilate
        check_cycles(graph, self.hop_ticks, period)
        latency = self._latencies(graph, period)
        late = _Late(graph, latency, period, self.hop_ticks)
        nodes, sources, first = late.populations(self.programmable, self.state_bits or STATE_BITS)
        fresh, edges, relayed = late.projections(nodes, math.inf if self.max_delay_ticks is None
                                                 else self.max_delay_ticks)
        schedule = Schedule({**latency, **relayed, **first}, period, first)
        return graph.replace(nodes={**nodes, **fresh}, edges=(*edges, *sources), stage=Stage.MAPPED,
                             schedule=schedule)

    def _latencies(self, graph: Graph, period: int) -> dict[str, int]:
        edges = projections(graph)
        fed = set() if self.programmable else {n for n, op in graph.nodes.items() if isinstance(op, Population)
                                               and not starts_idle(op, graph.shapes[n])}
        nodes = [n for n, op in graph.nodes.items() if not isinstance(op, Output)]
        most = None if self.relays else self.max_delay_ticks
        # Neurons that act on their own need no source of their bias if they may begin with the inputs.
        found = solve(graph, edges, dict.fromkeys(nodes, 0), self.hop_ticks, most, period, fed) if fed else None
        least = {n: self.hop_ticks if n in fed else 0 for n in nodes}
        found = found or solve(graph, edges, least, self.hop_ticks, most, period)
        if found is None:
            found = solve(graph, edges, least, self.hop_ticks, None, period)
            assert found is not None
            assert most is not None
            _refuse_delays(edges, found, period, most)
        for output in graph.outputs:
            edge, = graph.edges_into[output]
            found[output] = max(0, found[edge.src] - period * edge.delay)
        return found


def projections(graph: Graph) -> tuple[Edge, ...]:
    """The edges that are made of synapses; what an output reads takes no hop."""
    return tuple(e for e in graph.edges if not isinstance(graph.nodes[e.dst], Output))


def dilation(graph: Graph, hop_ticks: int) -> int:
    """By how much time must be dilated until every cycle has the delay that its hops take."""
    cycles = quickest_cycles(projections(graph), hop_ticks)
    return max((c.dilation(hop_ticks) for c in cycles), default=1)


def check_cycles(graph: Graph, hop_ticks: int, period: int) -> None:
    """SNN302 for every part of the network with a cycle that is too quick for its hops, naming the worst."""
    found = Collector()
    for cycle in quickest_cycles(projections(graph), hop_ticks):
        if cycle.dilation(hop_ticks) > period:
            hops, kept = len(cycle.edges), period * cycle.delay
            found.error("SNN302", f"cycle {_path(cycle)}", f"{_count(kept, 'tick')} of delay for {_count(hops, 'hop')}",
                        f"at least {_count(hops * hop_ticks, 'tick')}: {hop_ticks} a hop",
                        f"a time dilation of {cycle.dilation(hop_ticks)}, or longer delays on its backward links")
    found.finish()


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _path(cycle: Cycle) -> str:
    names = [shorten(e.src, 30) for e in cycle.edges]
    if len(names) > NAMED:
        names = [*names[:NAMED - 1], f"({len(names) - NAMED} more)", names[-1]]
    return " -> ".join([*names, names[0]])


def solve(graph: Graph, edges: Sequence[Edge], least: Mapping[str, int], hop_ticks: int, most: int | None,
          period: int, prompt: Collection[str] = ()) -> dict[str, int] | None:
    """Latencies that make every delay long enough, and at most `most`, with the fewest values kept; None if none do.

    Inputs have no latency, nor have the nodes that are to be `prompt`.

    A source keeps what it emitted for as many ticks as its longest projection takes, so that the cost is the sum of
    `size(u) (m(u) - r(u))` with `m(u) >= d + r(v)`. All constraints are differences of two unknowns: the matrix is
    totally unimodular, and the optimum of the linear programme is whole.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array

    number = {n: i for i, n in enumerate(least)}
    count = len(number)
    src, dst = (np.array([number[getattr(e, end)] for e in edges], np.int64) for end in ("src", "dst"))
    delay = period * np.array([e.delay for e in edges], np.int64)
    rows = [(src, dst, delay - hop_ticks), (dst, src + count, -delay)]
    if most is not None:
        rows.append((dst, src, most - delay))
    plus, minus, limits = (np.concatenate(part) for part in zip(*rows, strict=True))
    at = np.arange(len(limits))
    matrix = coo_array((np.repeat([1.0, -1.0], len(at)), (np.tile(at, 2), np.concatenate([plus, minus]))),
                       (len(at), 2 * count))
    sizes = np.array([math.prod(graph.shapes[n]) for n in number], float)
    cost = np.concatenate([np.where(np.isin(np.arange(count), src), -sizes, 0) + EARLY, np.zeros(count)])
    cost[count:][np.unique(src)] = sizes[np.unique(src)]
    low = np.concatenate([np.array(list(least.values()), float), np.full(count, -np.inf)])
    high = np.full(2 * count, np.inf)
    high[:count][[n in prompt or isinstance(graph.nodes[n], Input) for n in number]] = 0
    answer = milp(cost, bounds=Bounds(low, high), constraints=LinearConstraint(matrix.tocsr(), ub=limits))
    if answer.x is None:
        return None
    whole = np.rint(answer.x[:count]).astype(np.int64)
    late = delay + whole[dst] - whole[src]
    assert np.all(late >= hop_ticks), "a hop that the linear programme was told of"
    assert most is None or np.all(late <= most), "a limit that the linear programme was told of"
    return dict(zip(number, map(int, whole), strict=True))


def _refuse_delays(edges: Sequence[Edge], latency: Mapping[str, int], period: int, most: int) -> None:
    found = Collector()
    for edge in edges:
        late = period * edge.delay + latency[edge.dst] - latency[edge.src]
        if late > most:
            found.error("SNN303", f"projection {shorten(edge.label)}",
                        f"it must take {_count(late, 'tick')}, so that it arrives with what goes the longest way",
                        f"at most {_count(most, 'tick')}",
                        "a target with relay populations or longer delays, or fewer populations beside the projection")
    found.finish()


@dataclass(frozen=True)
class _Late:
    """A graph whose nodes act some ticks later."""

    graph: Graph
    latency: Mapping[str, int]
    period: int
    hop_ticks: int

    def populations(self, programmable: bool, state_bits: int) -> tuple[dict[str, Op], list[Edge], dict[str, int]]:
        """The nodes, none of which acts before its first tick or between two; with always-on sources for some."""
        nodes, edges = dict(self.graph.nodes), []
        starts: dict[int, str] = {}
        found = Collector()
        for name, op in self.graph.nodes.items():
            if not isinstance(op, Population) or not self._restless(name, op):
                continue
            first = self.latency[name]
            early = rewound(op, self.graph.shapes[name], first, state_bits) if self.period == 1 else None
            if early is not None:
                nodes[name] = early
                continue
            if programmable:
                nodes[name] = waiting(op, first, self.period)
                continue
            fed = without_bias(op, self.graph.shapes[name])
            if fed is None or self._restless(name, fed[0]):
                _refuse(name, first, self.period, found)
                continue
            nodes[name] = fed[0]
            start = first - self.hop_ticks
            if start not in starts:
                starts[start] = unused("always-on", nodes, "")
                nodes[starts[start]] = Input((1,))
            edges.append(self._constant(starts[start], name, fed[1]))
        found.finish()
        return nodes, edges, {name: first for first, name in starts.items()}

    def _restless(self, name: str, op: Population) -> bool:
        """Whether a population would act on its own before its first tick, or between two."""
        shape = self.graph.shapes[name]
        return (self.latency[name] > 0 and not starts_idle(op, shape)) or (
            self.period > 1 and not holds_still(op, shape, input_range(self.graph, name)))

    def _constant(self, source: str, name: str, values: Array) -> Edge:
        shape = self.graph.shapes[name]
        return Edge(source, name, self.hop_ticks, (Linear(values.reshape(-1, 1)), Reshape(shape)))

    def projections(self, nodes: Mapping[str, Op], most: float
                    ) -> tuple[dict[str, Op], list[Edge], dict[str, int]]:
        """The edges with their delays, the relays that long ones need, and when these act."""
        line = _Relays(self, {**nodes}, most)
        edges = [line.edge(e) for e in self.graph.edges]
        return line.fresh, [*edges, *line.edges], line.latency


class _Relays:
    """The delay lines of a graph: populations that pass on what they receive, shared by a source's projections."""

    def __init__(self, late: _Late, taken: dict[str, Op], most: float):
        self.late, self.taken, self.most = late, taken, most
        self.fresh: dict[str, Op] = {}
        self.edges: list[Edge] = []
        self.latency: dict[str, int] = {}
        self.at: dict[tuple[str, int], str] = {}

    def edge(self, edge: Edge) -> Edge:
        late = self.late
        delay = late.period * edge.delay + late.latency[edge.dst] - late.latency[edge.src]
        if isinstance(late.graph.nodes[edge.dst], Output):
            return dataclasses.replace(edge, delay=delay)
        after = self._last(delay)
        return dataclasses.replace(edge, src=self._relay(edge.src, after), delay=delay - after)

    def _last(self, delay: int) -> int:
        """How many ticks after a source the last relay of such a projection acts; 0 for none."""
        if delay <= self.most:
            return 0
        whole = int((delay - 1) // self.most * self.most)
        return min(whole, delay - self.late.hop_ticks)

    def _relay(self, source: str, after: int) -> str:
        """The relay of a source that acts so many ticks after it."""
        if after == 0:
            return source
        if (source, after) not in self.at:
            before = self._last(after)
            name = unused(f"{source}.relay", self.taken, "")
            self.at[source, after] = name
            self.taken[name] = self.fresh[name] = relay(self.late.graph, source)
            self.edges.append(Edge(self._relay(source, before), name, after - before))
            self.latency[name] = self.late.latency[source] + after
        return self.at[source, after]


def relay(graph: Graph, source: str) -> Population:
    """A population that emits what a source emitted: spikes, counts or graded values."""
    op = graph.nodes[source]
    low, high = source_range(graph, source)
    graded = isinstance(op, Population) and op.graded
    return Population(flatten(Expr("input"), {}), {}, {}, op.unit if isinstance(op, Population) and graded else 1.0,
                      low, high, graded, "relay")


def _refuse(name: str, first: int, period: int, found: Collector) -> None:
    when = f"before its first tick, {_count(first, 'tick')} late" if period == 1 else "between two of its ticks"
    found.error("SNN304", f"population {shorten(name)}", f"its neurons change or fire without input, {when}",
                "neurons that stay as they are while nothing arrives, or that run a program of their own",
                "no leak and a reset to a value, no initial membrane; or a target whose neurons are programmable")
