"""Replaces nested NIR graphs by their nodes: `flatten`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from snncompile.diagnostics import Collector, did_you_mean, fail, few, shorten
from snncompile.frontends.nir.file import MAX_EDGES, NirGraph, NirNode
from snncompile.ir.graph import unused


@dataclass
class Scope:
    """A graph of the file whose nested graphs are being replaced by their nodes.

    Attributes:
        path: its full name, "" for the top graph.
        entries: the full name, or for a nested graph the scope, of every member.
        inputs: the nodes at which connections to this graph end.
        outputs: the nodes at which connections from this graph begin.
    """

    path: str
    entries: dict[str, str | Scope] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Flat:
    """All nodes of a file by their full names, and the connections between them.

    Attributes:
        ends: the Input and Output nodes of nested graphs.
    """

    nodes: Mapping[str, NirNode]
    edges: tuple[tuple[str, str], ...]
    ends: frozenset[str]


def flatten(top: NirGraph, problems: Collector) -> Flat:
    """Replace all nested graphs by their nodes. A member `lif` of a nested graph `rnn` becomes `rnn.lif`.

    An edge may name a member of its own graph, a member of a nested graph as `nested.member`, or any node by its full
    name. In some files, exactly one name in the edges is unknown and exactly one node has no edge; the name is then
    taken to mean that node, with a warning.

    Args:
        problems: receives SNN201 for names that do not exist and for edges that stand twice in the file.
    """
    flattener = _Flattener(problems)
    flattener.open(top, "")
    ends = frozenset(n for n, node in flattener.nodes.items()
                     if n in flattener.nested and node.type in ("Input", "Output"))
    return Flat(flattener.nodes, tuple(flattener.edges), ends)


class _Flattener:
    """Collects nodes by full name, the names of those in nested graphs, and edges between full names."""

    def __init__(self, problems: Collector):
        self.problems = problems
        self.nodes: dict[str, NirNode] = {}
        self.nested: set[str] = set()
        self.edges: list[tuple[str, str]] = []

    def open(self, graph: NirGraph, path: str) -> Scope:
        """Add the nodes and edges of a graph with the full name `path`, nested graphs first."""
        scope = Scope(path)
        for name, node in graph.nodes.items():
            full = name if not path or name.startswith(path + ".") else f"{path}.{name}"
            if isinstance(node, NirGraph):
                scope.entries[name] = self.open(node, full)
                continue
            full = unused(full, self.nodes, first=1)
            self.nodes[full] = node
            if path:
                self.nested.add(full)
            scope.entries[name] = full
            if node.type in ("Input", "Output"):
                (scope.inputs if node.type == "Input" else scope.outputs).append(full)
        self.connect(graph, scope)
        return scope

    def connect(self, graph: NirGraph, scope: Scope) -> None:
        """Add the edges of a graph, and complete its inputs and outputs.

        A graph without Input nodes has its nodes without incoming edges as inputs; outputs likewise.
        """
        place = f"nested graph {shorten(scope.path)}" if scope.path else "the graph"
        for repeated in sorted(e for e, n in _counts(graph.edges).items() if n > 1)[:5]:
            self.problems.error("SNN201", edge_name(*repeated), "the edge stands twice in the file",
                                "one edge between two nodes")
        names = {end: _resolve(scope, end) for edge in graph.edges for end in edge}
        self.repair(names, scope, place)
        before = len(self.edges)
        for src, dst in graph.edges:
            sources = self.endpoint(names[src], "outputs", src, edge_name(src, dst))
            targets = self.endpoint(names[dst], "inputs", dst, edge_name(src, dst))
            self.edges += [(s, t) for s in sources for t in targets]
        if len(self.edges) > MAX_EDGES:
            fail("SNN205", place, f"more than {MAX_EDGES} connections")
        inside = self.edges[before:]
        scope.inputs = scope.inputs or _loose(scope, {dst for _, dst in inside})
        scope.outputs = scope.outputs or _loose(scope, {src for src, _ in inside})

    def repair(self, names: dict[str, str | Scope | None], scope: Scope, place: str) -> None:
        """Let a single unknown name in the edges mean the single node without an edge; report other unknown names.

        Args:
            names: what each name in the edges means, None where it is unknown; changed in place.
        """
        unknown = [n for n, entry in names.items() if entry is None]
        touched = {id(entry) if isinstance(entry, Scope) else entry for entry in names.values()}
        unconnected = [n for n, e in scope.entries.items() if (id(e) if isinstance(e, Scope) else e) not in touched]
        if len(unknown) == len(unconnected) == 1:
            names[unknown[0]] = scope.entries[unconnected[0]]
            self.problems.warn("SNN102", place, f"its edges name {shorten(unknown[0])}, which does not exist, and none "
                               f"names its node {shorten(unconnected[0])}", help="the name was taken to mean that node")
            return
        parts = {name: name.partition(".")[0] for name in unknown}
        lost = dict.fromkeys(part for name, part in parts.items() if part != name and part not in scope.entries)
        for part in [*lost][:5]:
            named = ", ".join(shorten(n) for n in [n for n, own in parts.items() if own == part][:4])
            self.problems.error("SNN201", place, f"edges name {named}, but there is no nested graph {shorten(part)}",
                                f"one of {few(scope.entries)}",
                                "the nested graph was lost when the file was written, or its nodes were moved to "
                                "another graph: write its nodes too, or name the nodes that took their place")
        for name in [n for n in unknown if parts[n] not in lost][:5]:
            self.problems.error("SNN201", place, f"an edge names {shorten(name)}, which does not exist",
                                f"one of {few(scope.entries)}", did_you_mean(name, scope.entries))

    def endpoint(self, entry: str | Scope | None, side: str, name: str, place: str) -> list[str]:
        """The node at which a connection ends: the entry itself, or the only input or output of a nested graph.

        Args:
            entry: what the edge names; None where that is unknown.
            side: `inputs` or `outputs`.
            name: the name in the edge.

        Returns:
            The full name of one node; nothing where there was a problem, which is recorded.
        """
        if entry is None or isinstance(entry, str):
            return [] if entry is None else [entry]
        nodes: list[str] = getattr(entry, side)
        if len(nodes) != 1:
            self.problems.error("SNN201", place, f"the nested graph {shorten(name)} has {len(nodes)} {side}",
                                "exactly one, or an edge that names the node", f"write {shorten(name + '.node')}")
            return []
        return nodes


def _loose(scope: Scope, used: Collection[str]) -> list[str]:
    """The nodes of a graph, without those of nested graphs, that are not among those used."""
    return [n for n in scope.entries.values() if isinstance(n, str) and n not in used]


def _resolve(scope: Scope, name: str, full: bool = True) -> str | Scope | None:
    """The node or nested graph that an edge of a graph names; None where the name is unknown.

    Args:
        full: whether the name may be a full name, which begins with the graph's own.
    """
    if name in scope.entries:
        return scope.entries[name]
    for dot in (m.start() for m in re.finditer(r"\.", name)):
        inner = scope.entries.get(name[:dot])
        if isinstance(inner, Scope) and (entry := _resolve(inner, name[dot + 1:])) is not None:
            return entry
    if full and scope.path and name.startswith(scope.path + "."):
        return _resolve(scope, name[len(scope.path) + 1:], False)
    return None


def _counts(edges: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for edge in edges:
        counts[edge] = counts.get(edge, 0) + 1
    return counts


def edge_name(src: str, dst: str) -> str:
    """The place of an edge in messages."""
    return f"edge {shorten(src)} -> {shorten(dst)}"
