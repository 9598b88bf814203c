"""NIR files as plain data: bounded, and distrustful of what they promise.

Nothing is allocated before its declared size was checked, no link is followed, and only numbers and strings are
read. What the nodes mean is decided elsewhere (`snncompile.frontends.nir`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from snncompile.diagnostics import Collector, fail, shorten
from snncompile.frontends.hdf5.file import SIGNATURE, Dataset, File, Hdf5Error, TooLarge, begins
from snncompile.frontends.hdf5.groups import Group, open_object
from snncompile.ir.types import Array

MAX_NODES = 20_000
MAX_FIELDS = 200
MAX_EDGES = 200_000
MAX_DEPTH = 16
MAX_NAME = 1_000
MAX_STRING = 1 << 24
MAX_AXES = 8
MAX_BYTES = 1 << 32
# Constant arrays compress a thousandfold and are common, so small files may declare far more than they hold.
SMALL_BYTES, MAX_RATIO = 1 << 28, 64
MAX_PROBLEMS = 20
NO_HDF5 = "write it with nir.write; a pickled graph, a git-lfs pointer or a cut download is not a NIR file"

_LIF = ("r", "v_leak", "v_threshold")
_CUBA = ("tau_syn", "tau_mem", "r", "v_leak")
_CONV = ("weight", "bias", "stride", "padding", "dilation", "groups")
_POOL = ("kernel_size", "stride", "padding")

# Fields of every node type: those it must have, and those that only some versions of NIR write.
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

Value: TypeAlias = "Array | str"


@dataclass(frozen=True)
class NirNode:
    """A node as it stands in the file: read-only arrays in the dtype of the file, and our own metadata."""

    type: str
    fields: Mapping[str, Value]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NirGraph:
    """A graph as it stands in the file; edges name nodes by whatever string the file has."""

    nodes: Mapping[str, NirNode | NirGraph]
    edges: tuple[tuple[str, str], ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read_nir(path: Path) -> NirGraph:
    """The top graph of a NIR file.

    Raises:
        CompileError: SNN101 where it is not a readable HDF5 file, SNN102 where its structure is wrong,
            SNN103 where a limit of this module is exceeded, SNN104 for an unknown node type.
    """
    place = f"file {shorten(path.name)}"
    try:
        if not path.is_file():
            fail("SNN101", place, "no such file")
        with io.BufferedReader(io.FileIO(path), 1 << 16) as stream:
            size = stream.seek(0, 2)
            stream.seek(0)
            first = stream.read(16)
            if not first.startswith(SIGNATURE):
                fail("SNN101", place, f"it begins with {shorten(begins(first))}", "an HDF5 file", NO_HDF5)
            return _Reader(place, File(stream, size)).file()
    except (OSError, ValueError) as e:
        fail("SNN101", place, str(getattr(e, "strerror", None) or e))


class _Reader:
    """One pass over a file, counting what it has been promised so far."""

    def __init__(self, place: str, source: File):
        self.place, self.source = place, source
        self.byte_budget = min(MAX_BYTES, SMALL_BYTES + MAX_RATIO * source.size)
        self.bytes = self.nodes = self.edges = 0
        self.found = Collector()

    def file(self) -> NirGraph:
        try:
            root = open_object(self.source, self.source.root)
            node = self.members(root, self.place).get("node") if isinstance(root, Group) else None
            if not isinstance(node, Group):
                fail("SNN102", self.place, "no group named node", "a file as the NIR package writes it")
            top = self.node(node, f"{self.place}, /node", 0)
        except TooLarge as e:
            fail("SNN103", self.place, str(e), "the limits of the NIR reader")
        except Hdf5Error as e:
            fail("SNN101", self.place, str(e), "an undamaged HDF5 file in the layout that the NIR package writes",
                 "check that the file arrived whole; if it did, read it with nir.read and write it with nir.write")
        self.found.finish()
        if not isinstance(top, NirGraph):
            fail("SNN102", f"{self.place}, /node", "the top node is not a NIRGraph")
        return top

    def problem(self, code: str, place: str, found: str, limit: str = "") -> None:
        self.found.error(code, place, found, limit)
        if len(self.found.found) >= MAX_PROBLEMS:
            self.found.finish()

    def members(self, group: Group, place: str, limit: int = MAX_FIELDS) -> dict[str, Group | Dataset]:
        """The groups and datasets in a group, by name."""
        found: dict[str, Group | Dataset] = {}
        for name, address in group.addresses(limit).items():
            if len(name) > MAX_NAME:
                fail("SNN102", place, f"the name {shorten(name)}", f"at most {MAX_NAME} characters")
            found[name] = open_object(self.source, address)
        return found

    def node(self, group: Group, place: str, depth: int) -> NirNode | NirGraph | None:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            what = "nodes" if self.nodes > MAX_NODES else "levels of nested graphs"
            fail("SNN103", place, f"more than {MAX_NODES if what == 'nodes' else MAX_DEPTH} {what}")
        members = self.members(group, place)
        kind = self.text(members.get("type"), f"{place}, type")
        if kind == "NIRGraph":
            return self.graph(members, place, depth)
        if kind not in NODE_TYPES:
            self.problem("SNN104", place, f"node type {shorten(kind)}", f"{', '.join(NODE_TYPES)}, NIRGraph")
            return None
        return self.plain(kind, members, place)

    def graph(self, members: Mapping[str, Any], place: str, depth: int) -> NirGraph:
        self.only(members, {"type", "nodes", "edges", "metadata"}, place)
        inside, edges = members.get("nodes"), members.get("edges")
        if not isinstance(inside, Group) or not isinstance(edges, Dataset):
            fail("SNN102", place, "no group named nodes, or no dataset named edges", "a NIRGraph has both")
        nodes: dict[str, NirNode | NirGraph] = {}
        for name, item in self.members(inside, place, MAX_NODES).items():
            where = f"{place}, node {shorten(name)}"
            if not isinstance(item, Group):
                fail("SNN102", where, "a dataset where a node is expected")
            node = self.node(item, where, depth + 1)
            if node is not None:
                nodes[name] = node
        return NirGraph(nodes, self.edge_list(edges, f"{place}, edges"), self.own_metadata(members, place))

    def plain(self, kind: str, members: Mapping[str, Any], place: str) -> NirNode:
        needed, optional = NODE_TYPES[kind]
        self.only(members, {"type", "metadata", *needed, *optional}, place)
        fields: dict[str, Value] = {}
        for name in (*needed, *optional):
            where = f"{place}, {name}"
            if name not in members:
                if name in needed:
                    self.problem("SNN102", where, "missing", f"{kind} has {', '.join(needed)}")
            elif not isinstance(members[name], Dataset):
                self.problem("SNN102", where, "a group where a dataset is expected")
            else:
                value = self.value(members[name], where)
                if isinstance(value, str) and name not in TEXT_FIELDS:
                    self.problem("SNN102", where, f"the text {shorten(value)}", "numbers")
                fields[name] = value
        return NirNode(kind, fields, self.own_metadata(members, place))

    def only(self, members: Mapping[str, Any], known: set[str], place: str) -> None:
        for name in sorted(set(members) - known):
            self.problem("SNN102", f"{place}, {shorten(name)}", "a field that NIR does not have",
                         ", ".join(sorted(known)))

    def text(self, item: Group | Dataset | None, place: str) -> str:
        value = self.value(item, place) if isinstance(item, Dataset) else None
        if not isinstance(value, str):
            fail("SNN102", place, "missing, or not a string")
        return value

    def value(self, dataset: Dataset, place: str) -> Value:
        """An array of numbers or a single string."""
        self.claim(dataset, place)
        if dataset.dtype is not None and dataset.dtype.kind != "S":
            return dataset.numbers()
        if dataset.shape != ():
            fail("SNN102", place, f"strings of shape {list(dataset.shape)}", "numbers, or a single string")
        return self.decoded(next(dataset.strings()), place)

    def claim(self, dataset: Dataset, place: str) -> None:
        """Refuse a dataset that declares more than a file of this size can mean."""
        if len(dataset.shape) > MAX_AXES:
            fail("SNN102", place, f"a dataset of {len(dataset.shape)} axes", f"at most {MAX_AXES} axes")
        self.bytes += dataset.nbytes
        if self.bytes > self.byte_budget:
            fail("SNN103", place, f"the file declares {self.bytes} bytes of data",
                 f"{self.byte_budget} for a file of its size")

    def decoded(self, data: bytes, place: str) -> str:
        self.bytes += len(data)
        if len(data) > MAX_STRING:
            fail("SNN103", place, f"a string of {len(data)} bytes", f"{MAX_STRING}")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            fail("SNN102", place, f"the bytes {shorten(data[:40])}", "UTF-8")

    def edge_list(self, dataset: Dataset, place: str) -> tuple[tuple[str, str], ...]:
        self.claim(dataset, place)
        if dataset.size == 0:
            return ()
        if (dataset.dtype is not None and dataset.dtype.kind != "S") or dataset.shape[1:] != (2,):
            fail("SNN102", place, f"a dataset of shape {list(dataset.shape)}", "pairs of strings, [edges, 2]")
        self.edges += dataset.shape[0]
        if self.edges > MAX_EDGES:
            fail("SNN103", place, f"{self.edges} edges", f"at most {MAX_EDGES}")
        names = [self.name(raw, place) for raw in dataset.strings()]
        return tuple(zip(names[::2], names[1::2], strict=True))

    def name(self, raw: bytes, place: str) -> str:
        if len(raw) > MAX_NAME * MAX_DEPTH:
            fail("SNN102", place, f"a name of {len(raw)} bytes", f"at most {MAX_NAME} characters a level")
        return self.decoded(raw, place)

    def own_metadata(self, members: Mapping[str, Any], place: str) -> Mapping[str, Any]:
        """The group `metadata/snncompile`; metadata of others are left alone."""
        group = members.get("metadata")
        where = f"{place}, metadata"
        own = self.members(group, where).get("snncompile") if isinstance(group, Group) else None
        if own is None:
            return {}
        if not isinstance(own, Group):
            fail("SNN102", where, "snncompile is not a group")
        found: dict[str, Any] = {}
        for name, item in self.members(own, where).items():
            if not isinstance(item, Dataset):
                fail("SNN102", f"{where}, {shorten(name)}", "a group where a dataset is expected")
            value = self.value(item, f"{where}, {shorten(name)}")
            found[name] = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
        return found
