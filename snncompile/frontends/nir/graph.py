"""Reads NIR files as graphs: `load_nir`.

`file` reads the file into plain data, `nested` and `structure` make one flat list of delayed connections of it, and
this module makes an operator for every node, while it infers shapes from the inputs on. Shapes in old files begin with
a batch axis of length 1. A file whose shapes do not fit together is therefore tried a second time without these axes.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from snncompile.diagnostics import Collector, CompileError, Diagnostic, fail, shorten
from snncompile.frontends.hdf5.values import MAX_NAME
from snncompile.frontends.nir.conventions import Choices, check_options, from_metadata, places
from snncompile.frontends.nir.file import MAX_DEPTH, NirGraph, NirNode, read_nir
from snncompile.frontends.nir.nested import flatten
from snncompile.frontends.nir.neurons import RULES_OF
from snncompile.frontends.nir.ops import READERS, Site
from snncompile.frontends.nir.shapes import drives, known_input_shape, own_input_shape, transposed, zeros
from snncompile.frontends.nir.structure import Wire, contract, data_order, loops_of, natural, recur
from snncompile.ir.graph import Edge, Graph, unused
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.types import Shape
from snncompile.ir.verify import findings

MAX_DELAY_TICKS = 1_000_000
WHOLE_TOLERANCE = 1e-4


def load_nir(path: str | Path, **options: Any) -> Graph:
    """Read a NIR file.

    Args:
        options: answers to what NIR leaves open; see `snncompile.frontends.nir.conventions.OPTIONS` and docs/nir.md.

    Returns:
        A FLOAT graph. Its notes name every default that was assumed and changes the spikes (SNN105).

    Raises:
        CompileError: SNN101 to SNN104 for the file, SNN201 to SNN301 for the network in it, SNN404 for an option.
    """
    given = check_options(options)
    path = Path(path)
    return to_graph(read_nir(path), given, path.stem)


def to_graph(top: NirGraph, given: Mapping[str, Any], name: str) -> Graph:
    """The graph of a file's contents. Raises as `load_nir` does.

    Args:
        given: the caller's options, checked.
        name: the graph's name, unless the metadata give one.
    """
    problems = Collector()
    flat = flatten(top, problems)
    description = _description(top.metadata)
    file = from_metadata(top.metadata, "the graph")
    nodes, edges = _with_ends(flat.nodes, flat.edges, flat.ends, problems)
    choices = Choices(given, file)
    delays = {n: _ticks(n, node, choices) for n, node in nodes.items() if node.type == "Delay"}
    problems.finish()
    wires = contract(edges, {**dict.fromkeys(flat.ends), **delays})
    kept = {n: node for n, node in nodes.items() if n not in flat.ends and n not in delays}
    wires, kept = _original_names(wires, kept)
    inputs = [n for n, node in kept.items() if node.type == "Input"]
    timed = recur(wires, kept, inputs, [n for n, node in kept.items() if _is_neuron(node)])
    _note_recurrence(wires, timed, description, choices)
    source = _Source(name, kept, timed, choices, description, problems.notes)
    return _first_that_fits(source)


def _is_neuron(node: NirNode) -> bool:
    return node.type in RULES_OF and (node.type != "Scale" or "neuron" in node.metadata)


def _description(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The graph's `name`, `meta`, and `nodes` (their names in order), as `export_nir` writes them; otherwise empty.

    Raises:
        CompileError: SNN102 where the text is damaged.
    """
    text = metadata.get("graph")
    if text is None:
        return {}
    try:
        described = json.loads(text)
        parts = described["name"], described["meta"], described["nodes"]
        if all(isinstance(part, kind) for part, kind in zip(parts, (str, dict, list), strict=True)):
            return dict(described)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    fail("SNN102", "the graph, metadata, graph", "a text that does not describe a graph",
         "a JSON object with name, meta, nodes")


def _original_names(wires: tuple[Wire, ...], nodes: Mapping[str, NirNode]) -> tuple[tuple[Wire, ...],
                                                                                  dict[str, NirNode]]:
    """The same network under the nodes' original names, which metadata keep where HDF5 cannot store them."""
    try:
        names = {n: json.loads(node.metadata["name"]) if "name" in node.metadata else n for n, node in nodes.items()}
    except (ValueError, TypeError, RecursionError):
        names = dict.fromkeys(nodes)
    strings = all(isinstance(n, str) and len(n) <= MAX_NAME * MAX_DEPTH for n in names.values())
    if not strings or len(set(names.values())) < len(names):
        fail("SNN102", "the graph, metadata, name", "names of nodes that are not strings, too long, or not distinct")
    renamed = tuple(Wire(names[w.src], names[w.dst], w.delay, w.timed) for w in wires)
    return renamed, {names[n]: node for n, node in nodes.items()}


def _note_recurrence(before: Sequence[Wire], after: Sequence[Wire], description: Mapping[str, Any],
                     choices: Choices) -> None:
    """Record the connections to which `recur` gave a delay, unless the file or a preset makes that certain."""
    late = [f"{w.src} -> {w.dst}" for old, w in zip(before, after, strict=True) if old.delay != w.delay]
    if late and not description and choices.preset is None:
        choices.assumed["recurrent_delay"] = late


def _ticks(name: str, node: NirNode, choices: Choices) -> int:
    """The delay of a Delay node in ticks.

    Raises:
        CompileError: SNN203 where the delay differs between neurons, or is not a whole number of ticks.
    """
    place = f"node {shorten(name)}, delay"
    seconds = np.unique(np.asarray(node.fields["delay"], np.float64))
    if len(seconds) != 1 or not np.isfinite(seconds).all() or seconds[0] < 0:
        fail("SNN203", place, f"{len(seconds)} different delays from {seconds.min(initial=0):g} to "
             f"{seconds.max(initial=0):g} s", "one delay of 0 s or more for all neurons of a node",
             "use one Delay node for each delay")
    dt = choices.pick("dt", name, "Delay", from_metadata(node.metadata, f"node {shorten(name)}"))
    ticks = float(seconds[0]) / float(dt)
    if ticks > MAX_DELAY_TICKS or abs(ticks - round(ticks)) > WHOLE_TOLERANCE * max(1.0, ticks):
        fail("SNN203", place, f"{seconds[0]:g} s are {ticks:g} steps of {dt:g} s",
             f"a whole number of steps, at most {MAX_DELAY_TICKS}", "set --dt to a time step that divides the delay")
    return round(ticks)


def _with_ends(nodes: Mapping[str, NirNode], edges: tuple[tuple[str, str], ...],
               nested: frozenset[str], problems: Collector) -> tuple[dict[str, NirNode], tuple[tuple[str, str], ...]]:
    """The network with Input and Output nodes added, where the file has none at all.

    Every node without an incoming connection gets an Input, every node without an outgoing one gets an Output. Where
    every node has one, the network is a loop that its biases drive, and gets an Input that is connected to nothing.

    Args:
        nested: the Input and Output nodes of nested graphs, which do not count.
        problems: receives a warning (SNN105) where an Input was added that does nothing.
    """
    top = {n: node for n, node in nodes.items() if n not in nested}
    completed, more = dict(nodes), list(edges)
    if not any(node.type == "Input" for node in top.values()):
        reached = {dst for _, dst in edges}
        for name in [n for n in top if n not in reached]:
            shape = np.asarray(own_input_shape(name, nodes[name]))
            completed[f"input_{name}"] = NirNode("Input", {"shape": shape})
            more.append((f"input_{name}", name))
        if top and len(completed) == len(nodes):
            problems.warn("SNN105", "the graph", "no Input node, and an edge into every node: biases alone drive it",
                          "an Input node", "an input of one value was added, which does nothing; its length is the "
                          "number of ticks")
            completed[unused("input", nodes, first=1)] = NirNode("Input", {"shape": np.asarray([1])})
    if not any(node.type == "Output" for node in top.values()):
        left = {src for src, _ in edges}
        for name in [n for n in top if n not in left]:
            completed[f"output_{name}"] = NirNode("Output", {"shape": np.asarray([], np.int64)})
            more.append((name, f"output_{name}"))
    return completed, tuple(more)


# --- building --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """A flat network whose operators are still to be made.

    Attributes:
        name: the graph's name, unless the description has one.
        nodes: the nodes that stay, by name.
        wires: the connections between them, with their delays.
        choices: the answers to what NIR leaves open.
        description: what `export_nir` wrote about the graph; empty for other files.
        notes: warnings so far.
    """

    name: str
    nodes: Mapping[str, NirNode]
    wires: tuple[Wire, ...]
    choices: Choices
    description: Mapping[str, Any]
    notes: tuple[Diagnostic, ...]


def _first_that_fits(source: _Source) -> Graph:
    """The graph for shapes as they stand in the file, or else for shapes without their batch axes.

    Raises:
        CompileError: where neither fits, the errors of the first attempt.
    """
    try:
        return _Build(source, batched=False).graph()
    except CompileError as e:
        if not _may_be_batched(source.nodes):
            raise
        first = e
    again = _Source(source.name, source.nodes, source.wires, Choices(source.choices.given, source.choices.file),
                    source.description, source.notes)
    again.choices.assumed.update({k: v for k, v in source.choices.assumed.items() if k in ("dt", "recurrent_delay")})
    try:
        return _Build(again, batched=True, first=first.diagnostics[0]).graph()
    except CompileError as second:
        raise CompileError(_with_second(first.diagnostics, second.diagnostics)) from None


def _with_second(first: tuple[Diagnostic, ...], second: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    """The errors of the first attempt, which say what else is wrong once the first axis is taken for the batch."""
    one, other = first[0], second[0]
    if (one.place, one.found, one.expected) == (other.place, other.found, other.expected):
        return first
    told = f"with the first axis taken for a batch axis, {other.place}: {other.found}" + (
        f" ({other.expected})" if other.expected else "") + (f"; {other.help}" if other.help else "")
    return (replace(one, help=f"{one.help}; {told}" if one.help else told), *first[1:])


def _may_be_batched(nodes: Mapping[str, NirNode]) -> bool:
    """Whether shapes may have a batch axis: an Input's shape begins with 1, or a Flatten keeps the first axis."""
    for node in nodes.values():
        shape = node.fields.get("shape")
        if node.type == "Input" and isinstance(shape, np.ndarray) and shape.size > 1 and shape.flat[0] == 1:
            return True
        if node.type == "Flatten" and np.any(np.asarray(node.fields["start_dim"]) > 0):
            return True
    return False


class _Build:
    """Makes the operators of all nodes, from the inputs on, in the order in which their input shapes become known.

    Attributes:
        batched: whether shapes in the file begin with a batch axis.
        first: what was wrong with the shapes as they stand in the file, where this is the second attempt.
        ops: the operators made so far, by node.
        stripped: the nodes from whose shapes a batch axis was removed.
        wires: the connections of the file, and those that lead to loops without an input.
        after: for each node, the nodes that it feeds.
    """

    def __init__(self, source: _Source, batched: bool, first: Diagnostic | None = None):
        self.source, self.batched, self.first = source, batched, first
        self.problems = Collector()
        self.ops: dict[str, Op] = {}
        self.stripped: list[str] = []
        self.wires = list(source.wires)
        self.after: dict[str, list[str]] = {n: [] for n in source.nodes}
        for wire in source.wires:
            self.after[wire.src].append(wire.dst)

    def graph(self) -> Graph:
        s = self.source
        inputs = [n for n, node in s.nodes.items() if node.type == "Input"]
        self.spread(inputs)
        if inputs:
            self.spread_loops(min(inputs, key=natural))
        if not self.problems.errors:
            for name in [n for n in s.nodes if n not in self.ops][:10]:
                self.problems.error("SNN201", f"node {shorten(name)}", "no path leads to it from an Input node")
        self.problems.finish()
        order = self.order(inputs)
        rank = {n: i for i, n in enumerate(order)}
        wires = self.wires if s.description else sorted(self.wires, key=lambda w: (rank[w.src], rank[w.dst], w.delay))
        graph = Graph(s.description.get("name", s.name), {n: self.ops[n] for n in order},
                      tuple(Edge(w.src, w.dst, w.delay) for w in wires), meta=self.meta())
        Collector(list(findings(graph))).finish()
        return graph.noting((*s.notes, *self.problems.notes, *self.batch_note(), *s.choices.notes()))

    def meta(self) -> dict[str, Any]:
        """The metadata of the graph: those that the file keeps, and the time step where the network needs one."""
        c, kept = self.source.choices, dict(self.source.description.get("meta", {}))
        if self.source.description and c.given.get("dt", c.file.get("dt")) == c.file.get("dt"):
            return kept
        dt = c.known("dt")
        return kept if dt is None else {**kept, "dt": dt}

    def order(self, inputs: list[str]) -> list[str]:
        """The nodes in the order that the file keeps, or else in the order of the data."""
        kept = self.source.description.get("nodes")
        if kept is not None and all(isinstance(n, str) for n in kept) and sorted(kept) == sorted(self.ops):
            return list(kept)
        return data_order(self.wires, self.ops, inputs)

    def batch_note(self) -> tuple[Diagnostic, ...]:
        if not self.stripped:
            return ()
        return (Diagnostic("SNN105", places(self.stripped), "the shape was taken to begin with a batch axis, which was "
                           "removed", "a shape in NIR has no batch axis",
                           f"as the shapes stand, {self.first.place}: {self.first.found}" + (
                               f" ({self.first.expected})" if self.first.expected else "") if self.first else "",
                           severity="note"),)

    def spread_loops(self, start: str) -> None:
        """Make the operators of loops that no input reaches, which their biases drive, and of all that follows them.

        In the graph, inputs reach every node. A connection of weights 0 therefore leads from an input to such a loop.

        Args:
            start: the input.
        """
        nodes = self.source.nodes
        driven = [n for loop in loops_of(self.wires, nodes) if any(drives(nodes[n]) for n in loop) for n in loop]
        for name in sorted(driven, key=natural):
            shape = known_input_shape(nodes[name])
            if name in self.ops or self.problems.errors or not shape:
                continue
            self.spread([name], shape)
            last = start
            for op in zeros(self.ops[start].infer(()), shape):
                added = unused(f"{name}_start", {**nodes, **self.ops}, first=1)
                self.ops[added] = op
                self.wires.append(Wire(last, added))
                last = added
            self.wires.append(Wire(last, name))

    def spread(self, starts: list[str], arriving: Shape = ()) -> None:
        """Make the operators of some nodes and of all that they reach and that have none yet, breadth first.

        The first connection that reaches a node determines the shape of its input.

        Args:
            starts: Input nodes, or one node of a loop.
            arriving: the shape of what the first nodes read.
        """
        ready: deque[tuple[str, Shape]] = deque((n, arriving) for n in sorted(starts, key=natural))
        reached = {*starts, *self.ops}
        while ready:
            name, arriving = ready.popleft()
            shape = self.make(name, arriving)
            for after in self.after[name] if shape is not None else ():
                if after not in reached:
                    reached.add(after)
                    ready.append((after, shape or ()))

    def make(self, name: str, arriving: Shape) -> Shape | None:
        """Make the operator of a node and return its output shape; None after a problem, which is recorded."""
        node = self.source.nodes[name]
        site = Site(name, node, arriving, self.batched, self.source.choices, self.problems, self.stripped)
        try:
            op = READERS[node.type](site)
            self.ops[name] = op
            return op.infer(arriving)
        except CompileError as e:
            self.problems.found += e.diagnostics
        except ShapeError as e:
            self.problems.error("SNN202", site.place, f"an input of the shape {list(arriving)}", str(e),
                                transposed(node, arriving))
        return None
