"""The layer table: a network as columns of numbers, with a row for each population and a row for each projection.

Hardware rules read nothing else, so that the same functions judge one network and a stack of many.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Output
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Array, Stage
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.columns import Populations, Projections
from snncompile.targets.layer_rows import REMEMBERED, population_row, projection_row
from snncompile.targets.reach import Reach, most_of_a_neuron


@dataclass(frozen=True)
class LayerTable:
    """One network, or a stack of several, as columns.

    Attributes:
        networks: how many networks there are.
        names: the names of the populations and inputs, row by row.
        labels: the labels of the projections, row by row.
        reaches: what each projection reads.
        integers: whether the networks are in integers, to which no options of quantization apply.
    """

    networks: int
    populations: Populations
    projections: Projections
    names: tuple[str, ...]
    labels: tuple[str, ...]
    reaches: tuple[Reach, ...]
    integers: bool = False


def layer_table(graph: Graph, weight_bits: int = 8, state_bits: int = 0, own: Mapping[str, Arithmetic] | None = None
                ) -> LayerTable:
    """The layer table of a LEGAL or later graph, whose weights may be bare shapes.

    Args:
        weight_bits, state_bits: the widths that are assumed for weights and states which are not integers yet; 0 where
            nothing is known of states.
        own: the arithmetic of populations whose widths are others, by name.
    """
    own = own or {}
    rows = {n: i for i, (n, op) in enumerate((n, op) for n, op in graph.nodes.items() if not isinstance(op, Output))}
    edges = [e for e in graph.edges if e.dst in rows]
    known = [projection_row(e.chain, graph.shapes[e.src], own[e.dst].stored_bits if e.dst in own else weight_bits)
             for e in edges]
    reaches = tuple(reach for reach, _ in known)
    links = Projections.of([row for _, row in known], **_links(graph, edges), **{
        name: np.array(values, np.int64) for name, values in (
            ("delay", [e.delay for e in edges]), ("source", [rows[e.src] for e in edges]),
            ("target", [rows[e.dst] for e in edges]))})
    shows = {e.src for e in graph.edges if e.dst not in rows}
    cells = Populations.of([population_row(graph.nodes[n], graph.shapes[n]) for n in rows])
    assumed = [(own[n].membrane_bits or 0) if n in own else state_bits for n in rows]
    unknown = np.array([isinstance(graph.nodes[n], Neuron) for n in rows], bool) & (cells.state_bits == 0)
    cells = dataclasses.replace(
        cells, is_output=np.array([n in shows for n in rows], np.int64),
        state_bits=np.where(unknown, assumed, cells.state_bits),
        readers=np.bincount(links.source, minlength=len(rows)), sources=np.bincount(links.target, minlength=len(rows)),
        fan_in=summed(links.target, links.fan_in, len(rows)), synapses=summed(links.target, links.synapses, len(rows)),
        least_axons=_least_axons(links, reaches, len(rows)))
    return LayerTable(1, cells, links, tuple(rows), tuple(e.label for e in edges), reaches,
                      graph.stage >= Stage.INT)


def summed(place: Array, values: Array, count: int) -> Array:
    """Exact sums of whole numbers by their place, `[count]`."""
    sums = np.zeros(count, np.int64)
    np.add.at(sums, place, values)
    return sums


def _least_axons(links: Projections, reaches: Sequence[Reach], count: int) -> Array:
    """The inputs that the neuron which reads most of them reads at least, `[population]`."""
    least = np.zeros(count, np.int64)
    least[links.target] = links.least_axons
    into: dict[int, list[tuple[int, Reach]]] = {}
    several = np.bincount(links.target, minlength=count)[links.target] > 1
    for at in np.flatnonzero(several).tolist():
        into.setdefault(int(links.target[at]), []).append((int(links.source[at]), reaches[at]))
    for row, parts in into.items():
        sources, read = zip(*parts, strict=True)
        least[row] = _axons_of_a_neuron(by_first_use(sources), read)
    return least


def stack(tables: Iterable[LayerTable]) -> LayerTable:
    """Several tables as one. The rows of a network are those with its number in the column `network`."""
    parts = list(tables)
    rows = np.cumsum([0, *(len(t.populations) for t in parts)])
    network = np.cumsum([0, *(t.networks for t in parts)])

    def joined(kind: str, **shifts: Array) -> Any:
        columns = [getattr(t, kind) for t in parts]
        names = [f.name for f in dataclasses.fields(columns[0])]
        return type(columns[0])(**{n: np.concatenate([getattr(c, n) + shifts[n][i] if n in shifts else getattr(c, n)
                                                      for i, c in enumerate(columns)]) for n in names})

    return LayerTable(int(network[-1]), joined("populations", network=network),
                 joined("projections", network=network, source=rows, target=rows),
                 tuple(n for t in parts for n in t.names), tuple(n for t in parts for n in t.labels),
                 tuple(r for t in parts for r in t.reaches), all(t.integers for t in parts))


def by_first_use(values: Iterable[Any]) -> tuple[int, ...]:
    """For each value, which of the different values it is, in the order of their first appearance.

    >>> by_first_use("abcab")
    (0, 1, 2, 0, 1)
    """
    numbers: dict[Any, int] = {}
    return tuple(numbers.setdefault(value, len(numbers)) for value in values)


@lru_cache(REMEMBERED)
def _axons_of_a_neuron(sources: tuple[int, ...], reaches: tuple[Reach, ...]) -> int:
    """The inputs that the neuron which reads most of them reads at least, of a population with several projections.

    Args:
        sources: a number for the source of each projection, equal where they have the same source.
    """
    return most_of_a_neuron([(source, [a.least for a in reach.axes])
                             for source, reach in zip(sources, reaches, strict=True)])


def _links(graph: Graph, edges: Sequence[Edge]) -> dict[str, Array]:
    """Which projections lie on a cycle, and which are shortcuts past other populations, `[projection]`.

    A shortcut leads over more than one level of the longest paths through the network, cycles counted as one node.
    """
    component, level = {n: i for i, c in enumerate(graph.components) for n in c}, graph.levels
    loops = np.array([component[e.src] == component[e.dst] for e in edges], bool)
    past = np.array([level[e.dst] > level[e.src] + 1 for e in edges], bool)
    return {"loops": loops.astype(np.int64), "shortcut": (past & ~loops).astype(np.int64)}
