"""Reads NIR files into plain data, without trusting them.

Sizes and counts are bounded before anything is allocated. This module does not interpret the nodes; `ops` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.frontends.hdf5.dataset import Dataset
from snncompile.frontends.hdf5.file import File
from snncompile.frontends.hdf5.groups import Group, open_object
from snncompile.frontends.hdf5.values import MAX_FIELDS, MAX_NAME, Value, Values, read_hdf5

MAX_NODES = 20_000
MAX_EDGES = 200_000
MAX_DEPTH = 16
NO_HDF5 = "write it with nir.write; check that it is not a pickled graph, a git-lfs pointer or a cut download"

_LIF = ("r", "v_leak", "v_threshold")
_CUBA = ("tau_syn", "tau_mem", "r", "v_leak")
_CONV = ("weight", "bias", "stride", "padding", "dilation", "groups")
_POOL = ("kernel_size", "stride", "padding")

# The fields of every node type: those that it must have, and those that only some versions of NIR write.
NODE_TYPES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Input": (("shape",), ()),
    "Output": (("shape",), ()),
    "Linear": (("weight",), ()),
    "Affine": (("weight", "bias"), ()),
    "Scale": (("scale",), ()),
    "Conv1d": (_CONV, ("input_shape",)),
    "Conv2d": (_CONV, ("input_shape",)),
    "SumPool2d": (_POOL, ()),
    "AvgPool2d": (_POOL, ()),
    "Flatten": (("start_dim", "end_dim"), ("input_type",)),
    "Delay": (("delay",), ()),
    "Threshold": (("threshold",), ()),
    "I": (("r",), ()),
    "IF": (("r", "v_threshold"), ("v_reset",)),
    "LI": (("tau", "r", "v_leak"), ()),
    "LIF": (("tau", *_LIF), ("v_reset",)),
    "CubaLI": (_CUBA, ("w_in",)),
    "CubaLIF": ((*_CUBA, "v_threshold"), ("v_reset", "w_in")),
}
TEXT_FIELDS = {"padding"}


@dataclass(frozen=True)
class NirNode:
    """A node as it stands in the file.

    Attributes:
        type: the NIR node type, a key of `NODE_TYPES`.
        fields: texts, and read-only arrays in the dtype of the file, by name.
        metadata: the content of the group `metadata/snncompile`.
    """

    type: str
    fields: Mapping[str, Value]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NirGraph:
    """A graph as it stands in the file.

    Attributes:
        edges: pairs of names as the file has them; `structure` finds the nodes that they mean.
        metadata: the content of the group `metadata/snncompile`.
    """

    nodes: Mapping[str, NirNode | NirGraph]
    edges: tuple[tuple[str, str], ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read_nir(path: Path) -> NirGraph:
    """Read the top graph of a NIR file.

    Raises:
        CompileError: SNN101 where the file is not a readable HDF5 file, SNN102 where its structure is wrong,
            SNN103 where a limit of this module is exceeded, SNN104 for an unknown node type.
    """
    return read_hdf5(path, lambda place, source: _Reader(place, source).file(), "the NIR package", NO_HDF5)


class _Reader(Values):
    """Reads one NIR file.

    Attributes:
        nodes: how many nodes were read so far.
        edges: how many edges were read so far.
    """

    def __init__(self, place: str, source: File):
        super().__init__(place, source)
        self.nodes = self.edges = 0

    def file(self) -> NirGraph:
        root = open_object(self.source, self.source.root)
        node = self.members(root, self.place).get("node") if isinstance(root, Group) else None
        if not isinstance(node, Group):
            others = self.members(root, self.place) if isinstance(root, Group) else {}
            fail("SNN102", self.place, "there is no group named node", "a file as the NIR package writes it",
                 "this is a file of lava-dl: give it the suffix .net" if "layer" in others else
                 "nir.write ended before the network; write it again" if set(others) == {"version"} else "")
        self.expect_end(node)
        top = self.node(node, f"{self.place}, /node", 0)
        self.problems.finish()
        if not isinstance(top, NirGraph):
            fail("SNN102", f"{self.place}, /node", "the top node is not a NIRGraph")
        return top

    def expect_end(self, top: Group) -> None:
        """Refuse a file whose writer raised an error half-way: NIR writes the nodes, then the edges, then the type."""
        members = self.members(top, self.place)
        inside = members.get("nodes")
        if not isinstance(inside, Group) or {"edges", "type"} & set(members):
            return
        nodes = self.members(inside, self.place, MAX_NODES)
        last = [n for n, item in nodes.items() if isinstance(item, Group) and "type" not in item.addresses(MAX_FIELDS)]
        fail("SNN101", f"{self.place}, /node", f"{len(nodes)} nodes and no edges: nir.write ended half-way"
             + (f", at node {shorten(last[0])}" if last else ""), "a file that was written to its end",
             "write it again, and look at the error that nir.write raises; parameters need at least one axis, "
             "np.array([v]) instead of np.array(v)")

    def node(self, group: Group, place: str, depth: int) -> NirNode | NirGraph | None:
        """The node or nested graph in a group; None for an unknown node type, which is recorded as a problem."""
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            limit = f"{MAX_NODES} nodes" if self.nodes > MAX_NODES else f"{MAX_DEPTH} levels of nested graphs"
            fail("SNN103", place, f"more than {limit}")
        members = self.members(group, place)
        kind = self.text(members.get("type"), f"{place}, type")
        if kind == "NIRGraph":
            return self.graph(members, place, depth)
        if kind not in NODE_TYPES:
            self.problem("SNN104", place, f"node type {shorten(kind)}", f"{', '.join(NODE_TYPES)}, NIRGraph")
            return None
        return self.plain(kind, members, place)

    def graph(self, members: Mapping[str, Any], place: str, depth: int) -> NirGraph:
        self.refuse_others(members, {"type", "nodes", "edges", "metadata"}, place)
        inside, edges = members.get("nodes"), members.get("edges")
        if not isinstance(inside, Group) or not isinstance(edges, Dataset):
            fail("SNN102", place, "there is no group named nodes, or no dataset named edges", "both")
        nodes: dict[str, NirNode | NirGraph] = {}
        for name, item in self.members(inside, place, MAX_NODES).items():
            where = f"{place}, node {shorten(name)}"
            if not isinstance(item, Group):
                fail("SNN102", where, "a dataset", "a group that holds a node")
            node = self.node(item, where, depth + 1)
            if node is not None:
                nodes[name] = node
        return NirGraph(nodes, self.edge_list(edges, f"{place}, edges"), self.own_metadata(members, place))

    def plain(self, kind: str, members: Mapping[str, Any], place: str) -> NirNode:
        needed, optional = NODE_TYPES[kind]
        self.refuse_others(members, {"type", "metadata", *needed, *optional}, place)
        fields: dict[str, Value] = {}
        for name in (*needed, *optional):
            where = f"{place}, {name}"
            if name not in members:
                if name in needed:
                    self.problem("SNN102", where, "the field is missing", f"{kind} has {', '.join(needed)}")
            elif not isinstance(members[name], Dataset):
                self.problem("SNN102", where, "a group", "a dataset")
            else:
                value = self.value(members[name], where)
                if isinstance(value, str) and name not in TEXT_FIELDS:
                    self.problem("SNN102", where, f"the text {shorten(value)}", "numbers")
                fields[name] = value
        return NirNode(kind, fields, self.own_metadata(members, place))

    def refuse_others(self, members: Mapping[str, Any], known: set[str], place: str) -> None:
        """Record a problem for every member whose name is not known."""
        for name in sorted(set(members) - known):
            self.problem("SNN102", f"{place}, {shorten(name)}", "a field that NIR does not have",
                         ", ".join(sorted(known)))

    def text(self, item: Group | Dataset | None, place: str) -> str:
        value = self.value(item, place) if isinstance(item, Dataset) else None
        if not isinstance(value, str):
            fail("SNN102", place, "it is missing, or not a string", "a string")
        return value

    def edge_list(self, dataset: Dataset, place: str) -> tuple[tuple[str, str], ...]:
        """The edges of a graph, from a dataset of strings `[edge, 2]`."""
        self.claim(dataset, place)
        if dataset.size == 0:
            return ()
        if (dataset.dtype is not None and dataset.dtype.kind != "S") or dataset.shape[1:] != (2,):
            fail("SNN102", place, f"a dataset of shape {list(dataset.shape)}", "pairs of strings, of shape [edges, 2]")
        self.edges += dataset.shape[0]
        if self.edges > MAX_EDGES:
            fail("SNN103", place, f"{self.edges} edges", f"at most {MAX_EDGES}")
        names = [self.name(raw, place) for raw in dataset.strings()]
        return tuple(zip(names[::2], names[1::2], strict=True))

    def name(self, raw: bytes, place: str) -> str:
        if len(raw) > MAX_NAME * MAX_DEPTH:
            fail("SNN102", place, f"a name of {len(raw)} bytes", f"at most {MAX_NAME} characters per level of nesting")
        return self.decoded(raw, place)

    def own_metadata(self, members: Mapping[str, Any], place: str) -> Mapping[str, Any]:
        """The content of the group `metadata/snncompile`; metadata of other tools are ignored."""
        group = members.get("metadata")
        where = f"{place}, metadata"
        own = self.members(group, where).get("snncompile") if isinstance(group, Group) else None
        if own is None:
            return {}
        if not isinstance(own, Group):
            fail("SNN102", where, "a dataset named snncompile", "a group")
        metadata: dict[str, Any] = {}
        for name, item in self.members(own, where).items():
            if not isinstance(item, Dataset):
                fail("SNN102", f"{where}, {shorten(name)}", "a group", "a dataset")
            value = self.value(item, f"{where}, {shorten(name)}")
            metadata[name] = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
        return metadata
