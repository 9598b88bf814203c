"""retime: give every projection the ticks that hardware takes for it, without changing a spike.

In the network `x -> a -> b` with a shortcut `x -> b`, all delays 0, on hardware where a hop takes a tick, `a` acts one
tick late and `b` two. A projection then takes its own delay, and the latency of its target minus that of its source:
1 for `x -> a` and for `a -> b`, and 2 for the shortcut, so that both inputs of `b` arrive together.

>>> nodes = {"x": Input((1,)), "a": Population(flatten(Expr("input"), {}), {}, {}),
...          "b": Population(flatten(Expr("input"), {}), {}, {}), "y": Output()}
>>> edges = [Edge("x", "a"), Edge("a", "b"), Edge("x", "b"), Edge("b", "y")]
>>> mapped = Retime(hop_ticks=1).run(Graph("net", nodes, tuple(edges), Stage.INT))
>>> dict(mapped.schedule.latency_ticks)
{'x': 0, 'a': 1, 'b': 2, 'y': 2}
>>> [edge.delay for edge in mapped.edges]
[1, 1, 2, 0]
"""

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
from snncompile.ir.library import RULES
from snncompile.ir.op import Op
from snncompile.ir.ops import Input, Linear, Output, Reshape
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.ranges import input_range, source_range
from snncompile.ir.schedule import Schedule
from snncompile.ir.types import Array, Stage
from snncompile.ir.verify import MAX_DELAY
from snncompile.passes.retime.cycles import Cycle, quickest_cycles
from snncompile.passes.retime.idle import holds_still, starts_idle, with_wait_counter, without_bias
from snncompile.passes.retime.initial_state import with_earlier_initial_state

EARLY = 1e-3
"""The cost of a tick of latency, where keeping one value for a tick costs 1: it decides between equal buffers."""
MAX_PERIOD = 1 << 16
"""The largest dilation."""
STATE_BITS = 24
"""The widest state that is used where the target does not say how wide its states are."""
NAMED = 8
"""The number of populations of a cycle that an error names."""


@dataclass(frozen=True)
class Retime:
    """Give every projection at least the ticks of a hop; the network does the same, some ticks later.

    The pass finds a latency r for every node, 0 for inputs, such that the delay `d + r(target) - r(source)` of every
    projection is one that the hardware has, and that as few values as possible have to be kept on the way. That is
    retiming (Leiserson and Saxe, "Retiming synchronous circuitry", 1991).

    Attributes:
        hop_ticks: the least delay of a projection, 0 to 65536.
        max_delay_ticks: the largest delay of a projection; None for no limit.
        relays: whether populations that pass on what they receive may be put into longer projections.
        programmable: whether neurons run any program, and so can have a counter that lets them wait.
        dilate: ticks of the hardware for each tick of the network, so that quick loops become possible; "auto" takes
            as many as the quickest loop needs.
        state_bits: the width of a state of the hardware, which an earlier initial value has to fit; None for 24.

    Raises SNN404 for an option that is out of its range. `run` raises SNN302 for cycles that are too quick, SNN303 for
    projections whose delay would be too long, and SNN304 for neurons that change or fire without input and cannot be
    kept from it.
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
        if not 0 <= self.hop_ticks <= MAX_DELAY:
            fail("SNN404", "option hop_ticks", str(self.hop_ticks), f"0 to {MAX_DELAY}")
        least = 2 * self.hop_ticks - 1 if self.relays else self.hop_ticks
        if self.max_delay_ticks is not None and self.max_delay_ticks < max(1, least):
            fail("SNN404", "option max_delay_ticks", str(self.max_delay_ticks), f"at least {max(1, least)}")

    def run(self, graph: Graph) -> Graph:
        retimer = self._retimer(graph)
        nodes, sources, first = retimer.populations(self.programmable, self.state_bits or STATE_BITS)
        relays, edges, relayed = retimer.projections(nodes, self.max_delay_ticks or math.inf)
        schedule = Schedule({**retimer.latency, **relayed, **first}, retimer.period, first)
        return graph.replace(nodes={**nodes, **relays}, edges=(*edges, *sources), stage=Stage.MAPPED,
                             schedule=schedule)

    def outline(self, graph: Graph) -> Graph:
        """A LEGAL graph with the projections, delays, relays and always-on sources that it will have when it is MAPPED.

        It says what cores will have to hold, before there are integers. A neuron with a bias, which may get an earlier
        first membrane instead of an always-on source, is given the source.
        """
        retimer = self._retimer(graph)
        nodes, starts = dict(graph.nodes), dict[int, str]()
        sources = [retimer.constant(retimer.always_on(name, nodes, starts), name, np.ones(graph.shapes[name]))
                   for name in graph.populations
                   if not self.programmable and retimer.latency[name] > 0 and not _idle(graph, name)]
        relays, edges, _ = retimer.projections(nodes, self.max_delay_ticks or math.inf)
        return graph.replace(nodes={**nodes, **relays}, edges=(*edges, *sources))

    def _retimer(self, graph: Graph) -> _Retimer:
        """The latencies of all nodes. Raises `CompileError` for cycles that are too quick and delays too long."""
        period = dilation(graph, self.hop_ticks) if self.dilate == "auto" else self.dilate
        check_cycles(graph, self.hop_ticks, period)
        return _Retimer(graph, self._latencies(graph, period), period, self.hop_ticks)

    def _latencies(self, graph: Graph, period: int) -> dict[str, int]:
        """The latency of every node, in ticks of the hardware."""
        edges = projections(graph)
        fed = set() if self.programmable else {n for n in graph.populations if not _idle(graph, n)}
        nodes = [n for n, op in graph.nodes.items() if not isinstance(op, Output)]
        most = None if self.relays else self.max_delay_ticks
        # A neuron with a bias needs no always-on source if it can begin in the same tick as the inputs.
        latency = solve(graph, edges, dict.fromkeys(nodes, 0), self.hop_ticks, most, period, fed) if fed else None
        least = {n: self.hop_ticks if n in fed else 0 for n in nodes}
        latency = latency or solve(graph, edges, least, self.hop_ticks, most, period)
        if latency is None:
            latency = solve(graph, edges, least, self.hop_ticks, None, period)
            assert latency is not None
            assert most is not None
            _refuse_delays(edges, latency, period, most)
        for output in graph.outputs:
            edge, = graph.edges_into[output]
            latency[output] = max(0, latency[edge.src] - period * edge.delay)
        return latency


def _idle(graph: Graph, name: str) -> bool:
    """Whether a population keeps its first state, and emits nothing, as long as it receives nothing."""
    op = graph.nodes[name]
    if isinstance(op, Neuron):
        return op.bias is None and not op.initial
    return isinstance(op, Population) and starts_idle(op, graph.shapes[name])


def projections(graph: Graph) -> tuple[Edge, ...]:
    """The edges that are made of synapses. An edge into an output is not: reading takes no hop."""
    return tuple(e for e in graph.edges if not isinstance(graph.nodes[e.dst], Output))


def dilation(graph: Graph, hop_ticks: int) -> int:
    """The least number of hardware ticks for each tick of the network that gives every cycle the time for its hops."""
    cycles = quickest_cycles(projections(graph), hop_ticks)
    return max((c.dilation(hop_ticks) for c in cycles), default=1)


def check_cycles(graph: Graph, hop_ticks: int, period: int) -> None:
    """Raises SNN302 with the quickest cycle of every part of the network in which one is too quick for its hops."""
    problems = Collector()
    for cycle in quickest_cycles(projections(graph), hop_ticks):
        if cycle.dilation(hop_ticks) > period:
            hops, kept = len(cycle.edges), period * cycle.delay
            problems.error("SNN302", f"cycle {_path(cycle)}",
                           f"{_count(kept, 'tick')} of delay for {_count(hops, 'hop')}",
                           f"at least {_count(hops * hop_ticks, 'tick')}: {hop_ticks} a hop",
                           f"a time dilation of {cycle.dilation(hop_ticks)}, or longer delays on its backward links")
    problems.finish()


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _path(cycle: Cycle) -> str:
    names = [shorten(e.src, 30) for e in cycle.edges]
    if len(names) > NAMED:
        names = [*names[:NAMED - 1], f"({len(names) - NAMED} more)", names[-1]]
    return " -> ".join([*names, names[0]])


def solve(graph: Graph, edges: Sequence[Edge], least: Mapping[str, int], hop_ticks: int, most: int | None,
          period: int, on_time: Collection[str] = ()) -> dict[str, int] | None:
    """Latencies with which every delay is from `hop_ticks` to `most`, and with which the fewest values are kept.

    A source keeps what it emitted for as many ticks as its longest projection takes. The cost is therefore the sum of
    `size(u) (m(u) - r(u))`, with the unknowns r(u), the latencies, and m(u) >= d + r(v) for each projection from u to
    v. All constraints are differences of two unknowns: the matrix is totally unimodular, and the optimum of the linear
    programme is whole.

    Args:
        edges: the projections.
        least: the least latency of every node but outputs, by name.
        most: the largest delay; None for no limit.
        period: hardware ticks for each tick of the network.
        on_time: nodes that must have a latency of 0, as inputs have.

    Returns:
        The latency of each node of `least`; None where no latencies keep the limits.
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
    high[:count][[n in on_time or isinstance(graph.nodes[n], Input) for n in number]] = 0
    answer = milp(cost, bounds=Bounds(low, high), constraints=LinearConstraint(matrix.tocsr(), ub=limits))
    if answer.x is None:
        return None
    whole = np.rint(answer.x[:count]).astype(np.int64)
    delays = delay + whole[dst] - whole[src]
    assert np.all(delays >= hop_ticks), "a hop that the linear programme was told of"
    assert most is None or np.all(delays <= most), "a limit that the linear programme was told of"
    return dict(zip(number, map(int, whole), strict=True))


def _refuse_delays(edges: Sequence[Edge], latency: Mapping[str, int], period: int, most: int) -> None:
    """Raises SNN303 with every projection that takes longer than `most`."""
    problems = Collector()
    for edge in edges:
        delay = period * edge.delay + latency[edge.dst] - latency[edge.src]
        if delay > most:
            problems.error("SNN303", f"projection {shorten(edge.label)}",
                           f"it must take {_count(delay, 'tick')}, to arrive together with the longest path",
                           f"at most {_count(most, 'tick')}",
                           "a target with relay populations or longer delays, or fewer populations beside the "
                           "projection")
    problems.finish()


@dataclass(frozen=True)
class _Retimer:
    """Makes the nodes and edges of a graph whose nodes act some ticks later.

    Attributes:
        latency: by how many ticks, for each node.
        period: hardware ticks for each tick of the network.
    """

    graph: Graph
    latency: Mapping[str, int]
    period: int
    hop_ticks: int

    def populations(self, programmable: bool, state_bits: int) -> tuple[dict[str, Op], list[Edge], dict[str, int]]:
        """The nodes, none of which changes or fires by itself before its first tick or between two of its ticks.

        Returns:
            The nodes with always-on sources, the edges from these sources, and the first tick of each source.
        """
        nodes, edges = dict(self.graph.nodes), []
        starts: dict[int, str] = {}
        problems = Collector()
        for name, op in self.graph.nodes.items():
            if not isinstance(op, Population) or not self._acts_by_itself(name, op):
                continue
            first = self.latency[name]
            shape = self.graph.shapes[name]
            early = with_earlier_initial_state(op, shape, first, state_bits) if self.period == 1 else None
            if early is not None:
                nodes[name] = early
                continue
            if programmable:
                nodes[name] = with_wait_counter(op, first, self.period)
                continue
            fed = without_bias(op, shape)
            if fed is None or self._acts_by_itself(name, fed[0]):
                _refuse(name, first, self.period, problems)
                continue
            nodes[name] = fed[0]
            edges.append(self.constant(self.always_on(name, nodes, starts), name, fed[1]))
        problems.finish()
        return nodes, edges, {name: first for first, name in starts.items()}

    def _acts_by_itself(self, name: str, op: Population) -> bool:
        """Whether a population would change or fire without input before its first tick, or between two."""
        shape = self.graph.shapes[name]
        return (self.latency[name] > 0 and not starts_idle(op, shape)) or (
            self.period > 1 and not holds_still(op, shape, input_range(self.graph, name)))

    def always_on(self, name: str, nodes: dict[str, Op], starts: dict[int, str]) -> str:
        """The always-on source from which a population gets its constant input; a new one for each first tick.

        Args:
            nodes: of the new graph, to which a new source is added.
            starts: the sources so far, by their first tick.
        """
        start = self.latency[name] - self.hop_ticks
        if start not in starts:
            starts[start] = unused("always-on", nodes, "")
            nodes[starts[start]] = Input((1,))
        return starts[start]

    def constant(self, source: str, name: str, values: Array) -> Edge:
        """The projection by which an always-on source of size 1 gives a population a constant input."""
        shape = self.graph.shapes[name]
        return Edge(source, name, self.hop_ticks, (Linear(values.reshape(-1, 1)), Reshape(shape)))

    def projections(self, nodes: Mapping[str, Op], most: float
                    ) -> tuple[dict[str, Op], list[Edge], dict[str, int]]:
        """The relays that long projections need, the edges with their delays, and the latencies of the relays."""
        line = _Relays(self, {**nodes}, most)
        edges = [line.edge(e) for e in self.graph.edges]
        return line.fresh, [*edges, *line.edges], line.latency


class _Relays:
    """The delay lines of a graph: relays, which pass on what they receive, one after the other behind a source.

    All projections of a source share them. With a largest delay of 2, a projection that takes 5 ticks goes through
    relays 2 and 4 ticks after its source.
    """

    def __init__(self, retimer: _Retimer, taken: dict[str, Op], most: float):
        self.retimer, self.taken, self.most = retimer, taken, most
        self.fresh: dict[str, Op] = {}
        self.edges: list[Edge] = []
        self.latency: dict[str, int] = {}
        self.at: dict[tuple[str, int], str] = {}

    def edge(self, edge: Edge) -> Edge:
        """The edge with its delay in ticks of the hardware, from the last relay on its way if it needs any."""
        retimer = self.retimer
        delay = retimer.period * edge.delay + retimer.latency[edge.dst] - retimer.latency[edge.src]
        if isinstance(retimer.graph.nodes[edge.dst], Output):
            return dataclasses.replace(edge, delay=delay)
        after = self._last(delay)
        return dataclasses.replace(edge, src=self._relay(edge.src, after), delay=delay - after)

    def _last(self, delay: int) -> int:
        """The ticks from a source to the last relay on the way of a projection with this delay; 0 for no relay."""
        if delay <= self.most:
            return 0
        whole = int((delay - 1) // self.most * self.most)
        return min(whole, delay - self.retimer.hop_ticks)

    def _relay(self, source: str, after: int) -> str:
        """The name of the relay that acts so many ticks after a source; the source itself for 0."""
        if after == 0:
            return source
        if (source, after) not in self.at:
            before = self._last(after)
            name = unused(f"{source}.relay", self.taken, "")
            self.at[source, after] = name
            self.taken[name] = self.fresh[name] = relay(self.retimer.graph, source)
            self.edges.append(Edge(self._relay(source, before), name, after - before))
            self.latency[name] = self.retimer.latency[source] + after
        return self.at[source, after]


def relay(graph: Graph, source: str) -> Population | Neuron:
    """A population that emits what it receives from a source: spikes, counts or graded values."""
    op = graph.nodes[source]
    if graph.stage < Stage.INT:
        return Neuron(RULES["accumulator"])
    low, high = source_range(graph, source)
    graded = isinstance(op, Population) and op.graded
    return Population(flatten(Expr("input"), {}), {}, {}, op.unit if isinstance(op, Population) and graded else 1.0,
                      low, high, graded, "relay")


def _refuse(name: str, first: int, period: int, problems: Collector) -> None:
    """An error (SNN304) for a population that changes or fires without input."""
    when = f"before its first tick, {_count(first, 'tick')} late" if period == 1 else "between two of its ticks"
    problems.error("SNN304", f"population {shorten(name)}", f"its neurons change or fire without input, {when}",
                   "neurons that neither change nor fire without input, or that are programmable",
                   "no leak and a reset to a value, no initial membrane; or a target whose neurons are programmable")
