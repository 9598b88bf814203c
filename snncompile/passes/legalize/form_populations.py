"""form-populations: from a graph of operators to populations joined by projections."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, ClassVar, Literal

import networkx as nx
import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.layer import Layer
from snncompile.ir.library import RULES
from snncompile.ir.op import SMALL, Op
from snncompile.ir.ops import Identity, Input, Output, Rectify, Scale
from snncompile.ir.populations import Neuron
from snncompile.ir.spike_product import SpikeProduct
from snncompile.ir.stand_ins import stand_in
from snncompile.ir.types import Array, Shape, ShapeOnly, Stage

MAX_PROJECTIONS = 100_000
ACCUMULATOR = Neuron(RULES["accumulator"])
_UNBIASED, _BIASED, _OWN = "_unbiased", "_biased", "_own_constant"
"""What operators remember: themselves without bias, neurons with a constant that was added, by the constant, and what
an operator itself adds, by the shape of its output. Candidates of a search share operators, so that each is made and
verified once."""


@dataclass(frozen=True)
class FormPopulations:
    """Turn every path of operators between two populations into a projection.

    Biases on the way become a constant input of the population that they reach. A sum of several edges is spread over
    its readers, so that each path becomes a projection of its own. A sum that cannot be spread becomes an accumulator:
    a population without states that emits its graded value.

    Attributes:
        shared: what becomes of a sum, a product, or an operator with weights, that several nodes read. "accumulate"
            makes it an accumulator; "flatten" spreads it, for targets that carry spikes only.
    """

    shared: Literal["accumulate", "flatten"] = "accumulate"
    name: ClassVar[str] = "form-populations"
    needs: ClassVar[Stage] = Stage.FLOAT
    ensures: ClassVar[Stage] = Stage.LEGAL

    def run(self, graph: Graph) -> Graph:
        graph = _separate_sums(graph)
        operators = frozenset(n for n, op in graph.nodes.items() if _operates(op))
        cuts = _cuts(graph, operators, self.shared == "accumulate")
        former = _Former(graph, cuts, operators - cuts)
        names = [n for n in graph.nodes if n not in former.passing]
        count = sum(former.paths_into(n) for n in names)
        if count > MAX_PROJECTIONS:
            fail("SNN205", f"graph {shorten(graph.name)}", f"{count:.3g} projections", f"at most {MAX_PROJECTIONS}",
                 "keep shared sums as accumulators")
        return graph.replace(nodes={n: former.population(n) for n in names}, stage=Stage.LEGAL,
                             edges=tuple(e for n in names for e in former.projections(n))).with_shapes(graph.shapes)


def _separate_sums(graph: Graph) -> Graph:
    """Put an `Identity` in front of every non-linear operator and every output that more than one edge leads to."""
    nodes, sums = dict(graph.nodes), {}
    for name, op in graph.nodes.items():
        if (isinstance(op, Output) or _nonlinear(op)) and len(graph.edges_into[name]) > 1:
            sums[name] = fresh(f"{name}.sum", nodes)
            nodes[sums[name]] = Identity()
    if not sums:
        return graph
    moved = (dataclasses.replace(e, dst=sums.get(e.dst, e.dst)) for e in graph.edges)
    return graph.replace(nodes=nodes, edges=(*moved, *(Edge(fresh, name) for name, fresh in sums.items())))


def fresh(name: str, taken: Mapping[str, Op]) -> str:
    """The name, or a similar one that no node has."""
    while name in taken:
        name += "_"
    return name


def _operates(op: Op) -> bool:
    """Whether a node is an operator, and not an input, an output or a population."""
    return not isinstance(op, (Input, Output, Neuron))


def _nonlinear(op: Op) -> bool:
    return _operates(op) and not op.linear


def _cuts(graph: Graph, operators: Set[str], accumulate: bool) -> set[str]:
    """The names of those of the operators that must emit their own value, and so become accumulators."""
    cuts: set[str] = set()
    constant = _with_constant(graph, operators)
    outputs, curved = graph.outputs, {n for n in operators if not graph.nodes[n].linear}
    late = any(e.delay for e in graph.edges)
    for name in graph.nodes:
        if name not in operators:
            continue
        op, readers = graph.nodes[name], graph.edges_from[name]
        weighty = len(readers) > 1 and (bool(op.arrays) or isinstance(op, SpikeProduct)
                                        or len(graph.edges_into[name]) > 1)
        if any(e.dst in outputs for e in readers) \
                or (curved and op.linear and any(e.dst in curved for e in readers)) \
                or (accumulate and weighty) \
                or (late and name in constant and any(e.delay for e in readers)):
            cuts.add(name)
    return cuts | _loop_cuts(graph, operators - cuts)


def _with_constant(graph: Graph, operators: Set[str]) -> set[str]:
    """The names of the operators whose value contains a bias: their own, or that of an operator before them."""
    pending = [n for n in operators if getattr(graph.nodes[n], "bias", None) is not None]
    biased: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in biased:
            biased.add(name)
            pending += [e.dst for e in graph.edges_from[name] if e.dst in operators]
    return biased


def _loop_cuts(graph: Graph, free: Set[str]) -> set[str]:
    """The name of one operator in every loop that consists of these operators only."""
    between = [e for e in graph.edges if e.src in free and e.dst in free]
    if not any(e.delay for e in between):  # edges without a delay form no loops
        return set()
    net: nx.DiGraph[str] = nx.DiGraph()
    net.add_edges_from((e.src, e.dst) for e in between)
    loop_cuts: set[str] = set()
    while True:
        loops = [c for c in nx.strongly_connected_components(net) if len(c) > 1 or any(net.has_edge(n, n) for n in c)]
        if not loops:
            return loop_cuts
        for loop in loops:
            cut = next(n for n in graph.nodes if n in loop)
            loop_cuts.add(cut)
            net.remove_node(cut)


@dataclass(frozen=True)
class _Former:
    """Makes the populations and projections of a graph whose accumulators are known.

    Attributes:
        cuts: the names of the operators that become accumulators.
        passing: the names of the operators that become parts of projections; all other nodes stay nodes.
    """

    graph: Graph
    cuts: Set[str]
    passing: Set[str]

    @cached_property
    def spread(self) -> tuple[str, ...]:
        """`passing` in an order in which each operator comes after its sources."""
        names = [n for n in self.graph.tick_order if n in self.passing]
        late = [e for n in names for e in self.graph.edges_into[n] if e.delay]
        if not late:
            return tuple(names)
        net: nx.DiGraph[str] = nx.DiGraph()
        net.add_nodes_from(names)
        net.add_edges_from((e.src, e.dst) for e in self.graph.edges if e.src in net and e.dst in net)
        return tuple(nx.topological_sort(net))

    @cached_property
    def paths(self) -> Mapping[str, int]:
        """The number of paths from populations and inputs to each operator that is spread."""
        paths: dict[str, int] = {}
        for name in self.spread:
            paths[name] = sum(paths.get(e.src, 1) for e in self.graph.edges_into[name])
        return paths

    def paths_into(self, name: str) -> int:
        """The number of projections that lead to a node."""
        return sum(self.paths.get(e.src, 1) for e in self.graph.edges_into[name])

    @cached_property
    def constants(self) -> Mapping[str, Array]:
        """The constant part of the value of each operator that is spread, where biases give it one.

        It has the axes of the value and broadcasts to it: `[channel, 1, 1]` where each channel has one constant.
        """
        constants: dict[str, Array] = {}
        for name in self.spread:
            value = self._value(name, self._arriving(name, constants))
            if value is not None:
                constants[name] = value
        return constants

    def _arriving(self, name: str, constants: Mapping[str, Array]) -> Array | None:
        """The constant part of what arrives at a node."""
        parts = [constants[e.src] for e in self.graph.edges_into[name] if e.src in constants]
        return reduce(np.add, parts) if parts else None

    def _value(self, name: str, arriving: Array | None) -> Array | None:
        """The constant part of the value of an operator, given that of what arrives at it."""
        entering = () if arriving is None else self.graph.arriving(self.graph.edges_into[name][0])
        return _through(self.graph.nodes[name], arriving, entering, self.graph.shapes[name])

    def population(self, name: str) -> Op:
        """The node of the new graph, with the biases that reach it as its own bias."""
        op = self.graph.nodes[name]
        if isinstance(op, (Input, Output)):
            return op
        constant = self._arriving(name, self.constants)
        if name in self.cuts:
            constant = self._value(name, constant)
        neuron = op if isinstance(op, Neuron) else ACCUMULATOR
        return neuron if constant is None else _biased(neuron, constant)

    def projections(self, name: str) -> Iterator[Edge]:
        """One edge for each path into a node, with the operators on the way and the sum of their delays."""
        own = _operators(self.graph.nodes[name]) if name in self.cuts else ()
        pending = [(e, e.delay, own) for e in reversed(self.graph.edges_into[name])]
        while pending:
            edge, delay, chain = pending.pop()
            if edge.src not in self.passing:
                yield Edge(edge.src, name, delay, chain)
                continue
            chain = _operators(self.graph.nodes[edge.src]) + chain
            pending += [(e, delay + e.delay, chain) for e in reversed(self.graph.edges_into[edge.src])]


def _operators(op: Op) -> tuple[Op, ...]:
    """The operators that stand in a projection for this one. Its bias is dealt with elsewhere."""
    return () if isinstance(op, Identity) else (_unbiased(op),)


def _unbiased(op: Op) -> Op:
    if not isinstance(op, (Layer, Scale)) or op.bias is None:
        return op
    known: dict[str, Op] = op.__dict__
    if _UNBIASED not in known:
        known[_UNBIASED] = dataclasses.replace(op, bias=None)
    return known[_UNBIASED]


def _biased(op: Neuron, constant: Array) -> Neuron:
    """The neuron with a constant added to its bias: the same object for the same constant, if that is not large."""
    if constant.size > SMALL:
        return _with_constant_input(op, constant)
    known: dict[Any, Neuron] = op.__dict__.setdefault(_BIASED, {})
    key = constant.shape, constant.dtype.char, constant.tobytes()
    if key not in known:
        known[key] = _with_constant_input(op, constant)
    return known[key]


def _with_constant_input(op: Neuron, constant: Array) -> Neuron:
    return op.with_bias(collapse(constant if op.bias is None else op.bias + constant))


def _through(op: Op, constant: Array | None, entering: Shape, shape: Shape) -> Array | None:
    """The constant part of an operator's output, given that of its input; None for none.

    Args:
        entering, shape: of the input and of the output.
    """
    moved = None if constant is None else _moved(op, constant, entering, shape)
    bias = getattr(op, "bias", None)
    if bias is None:
        return moved
    known: dict[Shape, Array] = op.__dict__.setdefault(_OWN, {})
    if shape not in known:
        own = np.asarray(op.bias_of(shape) if isinstance(op, Layer) else bias, np.float64)
        known[shape] = own.reshape(*(1,) * (len(shape) - own.ndim), *own.shape)
    return known[shape] if moved is None else known[shape] + moved


def _moved(op: Op, constant: Array, entering: Shape, shape: Shape) -> Array:
    """What an operator makes of a constant; through weights without numbers, a constant of that shape stands for it."""
    if isinstance(op, Layer) and isinstance(op.weight, ShapeOnly):
        return stand_in(shape)
    if isinstance(op, (Identity, Scale, Rectify)):  # element by element
        return np.asarray(_unbiased(op).apply(constant[None])[0])
    return np.asarray(_unbiased(op).apply(np.broadcast_to(constant, entering)[None])[0])


def collapse(values: Array) -> Array | float | None:
    """An array as one number where all values are equal, as one for each channel where these are; None for zeros."""
    flat = values.reshape(len(values), -1) if values.ndim else values.reshape(1, 1)
    if not np.any(values):
        return None
    if np.all(flat == flat[0, 0]):
        return float(flat[0, 0])
    if values.ndim > 1 and np.all(flat == flat[:, :1]):
        return np.ascontiguousarray(flat[:, 0]).reshape(-1, *(1,) * (values.ndim - 1))
    return values
