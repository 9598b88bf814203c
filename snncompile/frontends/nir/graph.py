"""NIR files to graphs: `load_nir`.

The reader (`file`) gives plain data, `structure` one flat list of delayed connections, and this module
an operator for every node, shapes flowing from the inputs. Old files carry a batch axis of 1 in their shapes; a
file that does not fit as it stands is read a second time without those axes.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snncompile.diagnostics import Collector, CompileError, Diagnostic, fail, shorten
from snncompile.frontends.hdf5.values import MAX_NAME
from snncompile.frontends.nir.conventions import Choices, check_options, from_metadata, places
from snncompile.frontends.nir.file import MAX_DEPTH, NirGraph, NirNode, read_nir
from snncompile.frontends.nir.neurons import RULES_OF
from snncompile.frontends.nir.ops import READERS, Site
from snncompile.frontends.nir.structure import Wire, contract, data_order, flatten, natural, recur
from snncompile.ir.graph import Edge, Graph
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
        A FLOAT graph; defaults that change the spikes stand in its `notes`.

    Raises:
        CompileError: SNN101 to SNN104 for the file, SNN201 to SNN301 for the network in it, SNN404 for an option.
    """
    given = check_options(options)
    path = Path(path)
    return to_graph(read_nir(path), given, path.stem)


def to_graph(top: NirGraph, given: Mapping[str, Any], name: str) -> Graph:
    """The graph that a file's contents mean, under checked options. Raises as `load_nir` does."""
    found = Collector()
    flat = flatten(top, found)
    about = _about(top.metadata)
    file = from_metadata(top.metadata, "the graph")
    nodes, edges = _with_ends(flat.nodes, flat.edges, flat.ends)
    choices = Choices(given, file)
    delays = {n: _ticks(n, node, choices) for n, node in nodes.items() if node.type == "Delay"}
    found.finish()
    wires = contract(edges, {**dict.fromkeys(flat.ends), **delays})
    kept = {n: node for n, node in nodes.items() if n not in flat.ends and n not in delays}
    wires, kept = _original_names(wires, kept)
    inputs = [n for n, node in kept.items() if node.type == "Input"]
    timed = recur(wires, kept, inputs, [n for n, node in kept.items() if _is_neuron(node)])
    _note_recurrence(wires, timed, about, choices)
    source = _Source(name, kept, timed, choices, about, found.notes)
    return _first_that_fits(source)


def _is_neuron(node: NirNode) -> bool:
    return node.type in RULES_OF and (node.type != "Scale" or "neuron" in node.metadata)


def _about(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a file that the compiler wrote says of the graph as a whole: its name, metadata and node order."""
    text = metadata.get("graph")
    if text is None:
        return {}
    try:
        found = json.loads(text)
        if isinstance(found["name"], str) and isinstance(found["meta"], dict) and isinstance(found["nodes"], list):
            return dict(found)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    fail("SNN102", "the graph, metadata, graph", "not the description of a graph", "an object with name, meta, nodes")


def _original_names(wires: tuple[Wire, ...], nodes: Mapping[str, NirNode]) -> tuple[tuple[Wire, ...],
                                                                                  dict[str, NirNode]]:
    """Undo the spelling of names that HDF5 cannot hold."""
    try:
        names = {n: json.loads(node.metadata["name"]) if "name" in node.metadata else n for n, node in nodes.items()}
    except (ValueError, TypeError, RecursionError):
        names = dict.fromkeys(nodes)
    strings = all(isinstance(n, str) and len(n) <= MAX_NAME * MAX_DEPTH for n in names.values())
    if not strings or len(set(names.values())) < len(names):
        fail("SNN102", "the graph, metadata, name", "names of nodes that are no strings, too long, or not distinct")
    renamed = tuple(Wire(names[w.src], names[w.dst], w.delay, w.timed) for w in wires)
    return renamed, {names[n]: node for n, node in nodes.items()}


def _note_recurrence(before: Sequence[Wire], after: Sequence[Wire], about: Mapping[str, Any],
                     choices: Choices) -> None:
    late = [f"{w.src} -> {w.dst}" for old, w in zip(before, after, strict=True) if old.delay != w.delay]
    if late and not about and choices.preset is None:
        choices.assumed["recurrent_delay"] = late


def _ticks(name: str, node: NirNode, choices: Choices) -> int:
    """The delay of a Delay node in ticks. Raises SNN203 unless it is a whole number, one for all neurons."""
    place = f"node {shorten(name)}, delay"
    seconds = np.unique(np.asarray(node.fields["delay"], np.float64))
    if len(seconds) != 1 or not np.isfinite(seconds).all() or seconds[0] < 0:
        fail("SNN203", place, f"{len(seconds)} different delays from {seconds.min(initial=0):g} to "
             f"{seconds.max(initial=0):g} s", "one delay, 0 or more, for all neurons of a node",
             "use one Delay node for each delay")
    dt = choices.pick("dt", name, "Delay", from_metadata(node.metadata, f"node {shorten(name)}"))
    ticks = float(seconds[0]) / float(dt)
    if ticks > MAX_DELAY_TICKS or abs(ticks - round(ticks)) > WHOLE_TOLERANCE * max(1.0, ticks):
        fail("SNN203", place, f"{seconds[0]:g} s are {ticks:g} steps of {dt:g} s",
             f"a whole number of steps, at most {MAX_DELAY_TICKS}", "choose a time step that divides it: --dt")
    return round(ticks)


def _with_ends(nodes: Mapping[str, NirNode], edges: tuple[tuple[str, str], ...],
               nested: frozenset[str]) -> tuple[dict[str, NirNode], tuple[tuple[str, str], ...]]:
    """The graph with an Input before its first and an Output after its last nodes, where it has none at all."""
    top = {n: node for n, node in nodes.items() if n not in nested}
    found, more = dict(nodes), list(edges)
    if not any(node.type == "Input" for node in top.values()):
        reached = {dst for _, dst in edges}
        for name in [n for n in top if n not in reached]:
            shape = np.asarray(_own_input_shape(name, nodes[name]))
            found[f"input_{name}"] = NirNode("Input", {"shape": shape})
            more.append((f"input_{name}", name))
    if not any(node.type == "Output" for node in top.values()):
        left = {src for src, _ in edges}
        for name in [n for n in top if n not in left]:
            found[f"output_{name}"] = NirNode("Output", {"shape": np.asarray([], np.int64)})
            more.append((name, f"output_{name}"))
    return found, tuple(more)


def _own_input_shape(name: str, node: NirNode) -> Shape:
    """The shape of what enters a node, as far as the node alone tells."""
    arrays = {k: np.asarray(v) for k, v in node.fields.items() if isinstance(v, np.ndarray)}
    if node.type in ("Linear", "Affine"):
        return arrays["weight"].shape[-1:]
    if node.type in RULES_OF or node.type == "Delay":
        return next(iter(arrays.values())).shape
    if node.type in ("Conv1d", "Conv2d") and "input_shape" in arrays:
        return (arrays["weight"].shape[1] * int(arrays["groups"]), *map(int, arrays["input_shape"].ravel()))
    fail("SNN201", f"node {shorten(name)}", "the graph has no Input, and the shape of its input is unknown",
         "an Input node")


# --- building --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """A flat network, ready to be built."""

    name: str
    nodes: Mapping[str, NirNode]
    wires: tuple[Wire, ...]
    choices: Choices
    about: Mapping[str, Any]
    notes: tuple[Diagnostic, ...]


def _first_that_fits(source: _Source) -> Graph:
    """The graph of the file as it stands, or without batch axes if only that fits."""
    try:
        return _Build(source, batched=False).graph()
    except CompileError as e:
        if not _may_be_batched(source.nodes):
            raise
        first = e
    again = _Source(source.name, source.nodes, source.wires, Choices(source.choices.given, source.choices.file),
                    source.about, source.notes)
    again.choices.assumed.update({k: v for k, v in source.choices.assumed.items() if k in ("dt", "recurrent_delay")})
    try:
        return _Build(again, batched=True).graph()
    except CompileError:
        raise first from None


def _may_be_batched(nodes: Mapping[str, NirNode]) -> bool:
    """Whether a shape begins with 1, or a Flatten keeps the first axis."""
    for node in nodes.values():
        shape = node.fields.get("shape")
        if node.type == "Input" and isinstance(shape, np.ndarray) and shape.size > 1 and shape.flat[0] == 1:
            return True
        if node.type == "Flatten" and np.any(np.asarray(node.fields["start_dim"]) > 0):
            return True
    return False


class _Build:
    """Operators for all nodes, made in the order in which shapes become known."""

    def __init__(self, source: _Source, batched: bool):
        self.source, self.batched = source, batched
        self.found = Collector()
        self.ops: dict[str, Op] = {}
        self.stripped: list[str] = []
        self.after: dict[str, list[str]] = {n: [] for n in source.nodes}
        for wire in source.wires:
            self.after[wire.src].append(wire.dst)

    def graph(self) -> Graph:
        s = self.source
        inputs = [n for n, node in s.nodes.items() if node.type == "Input"]
        self.spread(inputs)
        if not self.found.errors:
            for name in [n for n in s.nodes if n not in self.ops][:10]:
                self.found.error("SNN201", f"node {shorten(name)}", "no input reaches it")
        self.found.finish()
        order = self.order(inputs)
        rank = {n: i for i, n in enumerate(order)}
        wires = s.wires if s.about else sorted(s.wires, key=lambda w: (rank[w.src], rank[w.dst], w.delay))
        graph = Graph(s.about.get("name", s.name), {n: self.ops[n] for n in order},
                      tuple(Edge(w.src, w.dst, w.delay) for w in wires), meta=self.meta())
        Collector(list(findings(graph))).finish()
        return graph.noting((*s.notes, *self.found.notes, *self.batch_note(), *s.choices.notes()))

    def meta(self) -> dict[str, Any]:
        """Metadata of the graph: those kept in the file, and the time step where the network has one."""
        c, kept = self.source.choices, dict(self.source.about.get("meta", {}))
        if self.source.about and c.given.get("dt", c.file.get("dt")) == c.file.get("dt"):
            return kept
        dt = c.known("dt")
        return kept if dt is None else {**kept, "dt": dt}

    def order(self, inputs: list[str]) -> list[str]:
        kept = self.source.about.get("nodes")
        if kept is not None and all(isinstance(n, str) for n in kept) and sorted(kept) == sorted(self.ops):
            return list(kept)
        return data_order(self.source.wires, self.ops, inputs)

    def batch_note(self) -> tuple[Diagnostic, ...]:
        if not self.stripped:
            return ()
        return (Diagnostic("SNN105", places(self.stripped), "the shape was read as beginning with a batch axis, which "
                           "was dropped", "shapes in NIR have no batch axis", severity="note"),)

    def spread(self, inputs: list[str]) -> None:
        ready: deque[tuple[str, Shape]] = deque((n, ()) for n in sorted(inputs, key=natural))
        seen = set(inputs)
        while ready:
            name, arriving = ready.popleft()
            shape = self.make(name, arriving)
            for after in self.after[name] if shape is not None else ():
                if after not in seen:
                    seen.add(after)
                    ready.append((after, shape or ()))

    def make(self, name: str, arriving: Shape) -> Shape | None:
        """Make the operator of a node; its output shape, or None where it cannot be."""
        node = self.source.nodes[name]
        site = Site(name, node, arriving, self.batched, self.source.choices, self.found, self.stripped)
        try:
            op = READERS[node.type](site)
            self.ops[name] = op
            return op.infer(arriving)
        except CompileError as e:
            self.found.found += e.diagnostics
        except ShapeError as e:
            self.found.error("SNN202", site.place, f"{list(arriving)} arrives", str(e))
        return None
