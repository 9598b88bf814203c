"""NIR files as plain data: a bounded, distrustful reader of their HDF5.

Nothing is allocated before its declared size was checked, nothing outside the file is followed, and only
numbers and strings are read. What the nodes mean is decided elsewhere (`snncompile.frontends.nir`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np

from snncompile.diagnostics import Collector, fail, shorten
from snncompile.ir.types import Array

MAX_NODES = 20_000
MAX_EDGES = 200_000
MAX_DEPTH = 16
MAX_NAME = 1_000
MAX_STRING = 1 << 24
MAX_AXES = 8
MAX_BYTES = 1 << 32
# Constant arrays compress a thousandfold and are common, so small files may declare far more than they hold.
SMALL_BYTES, MAX_RATIO = 1 << 28, 64
MAX_METADATA = 200_000
MAX_PROBLEMS = 20
EDGE_SLICE = 64
# deflate, shuffle, fletcher32, lzf: anything else would load a plug-in.
FILTERS = {1, 2, 3, 32000}

HINT = "write it with nir.write; a pickled graph, a git-lfs pointer or a cut download is not a NIR file"

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
    if not path.is_file():
        fail("SNN101", place, "no such file")
    if not h5py.is_hdf5(path):
        fail("SNN101", place, f"it begins with {shorten(_first_bytes(path))}", "an HDF5 file", HINT)
    try:
        with h5py.File(path, "r", locking=False) as file:
            return _Reader(place, path.stat().st_size).file(file)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, UnicodeError, MemoryError,
            AttributeError, SystemError) as e:
        fail("SNN101", place, f"{type(e).__name__}: {_one_line(e)}", "an HDF5 file as the NIR package writes it",
             "check that the file arrived whole")


def _first_bytes(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(16).decode("latin-1")
    except OSError as e:
        return e.strerror or "nothing"


def _one_line(e: BaseException) -> str:
    return " ".join(str(e).split())[:200]


class _Reader:
    """One pass over a file, counting what it has been promised so far."""

    def __init__(self, place: str, file_bytes: int):
        self.place = place
        self.byte_budget = min(MAX_BYTES, SMALL_BYTES + MAX_RATIO * file_bytes)
        self.bytes = self.nodes = self.edges = self.metadata = 0
        self.found = Collector()

    def file(self, file: Any) -> NirGraph:
        members = self.members(file, self.place)
        node = members.get("node")
        if not isinstance(node, h5py.Group):
            fail("SNN102", self.place, "no group named node", "a file as the NIR package writes it")
        top = self.node(node, f"{self.place}, /node", 0)
        self.found.finish()
        if not isinstance(top, NirGraph):
            fail("SNN102", f"{self.place}, /node", "the top node is not a NIRGraph")
        return top

    def problem(self, code: str, place: str, found: str, limit: str = "") -> None:
        self.found.error(code, place, found, limit)
        if len(self.found.found) >= MAX_PROBLEMS:
            self.found.finish()

    def members(self, group: Any, place: str) -> dict[str, Any]:
        """The groups and datasets that really lie in a group, by name."""
        if len(group) > MAX_NODES:
            fail("SNN103", place, f"{len(group)} members", f"at most {MAX_NODES}")
        found: dict[str, Any] = {}
        for name in group:
            if not _is_utf8(name) or len(name) > MAX_NAME:
                fail("SNN102", place, f"the name {shorten(name)}", f"UTF-8 of at most {MAX_NAME} characters")
            if group.get(name, getclass=True, getlink=True) is not h5py.HardLink:
                fail("SNN102", f"{place}/{shorten(name)}", "a link to another place", "links are not followed")
            item = group[name]
            if not isinstance(item, (h5py.Group, h5py.Dataset)):
                fail("SNN102", f"{place}/{shorten(name)}", "neither a group nor a dataset")
            found[name] = item
        return found

    def node(self, group: Any, place: str, depth: int) -> NirNode | NirGraph | None:
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
        if not isinstance(inside, h5py.Group) or not isinstance(edges, h5py.Dataset):
            fail("SNN102", place, "no group named nodes, or no dataset named edges", "a NIRGraph has both")
        nodes: dict[str, NirNode | NirGraph] = {}
        for name, item in self.members(inside, place).items():
            where = f"{place}, node {shorten(name)}"
            if not isinstance(item, h5py.Group):
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
            elif not isinstance(members[name], h5py.Dataset):
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

    def text(self, item: Any, place: str) -> str:
        value = self.value(item, place) if isinstance(item, h5py.Dataset) else None
        if not isinstance(value, str):
            fail("SNN102", place, "missing, or not a string")
        return value

    def value(self, dataset: Any, place: str) -> Value:
        """A number array or a single string. Everything else is refused before it is read."""
        self.claim(dataset, place)
        if h5py.check_string_dtype(dataset.dtype) is not None and dataset.shape == ():
            return self.decoded(dataset[()], place)
        if dataset.dtype.kind not in "fiu" or dataset.dtype.itemsize > 8:
            fail("SNN102", place, f"values of type {dataset.dtype}", "integers or real numbers of at most 64 bits")
        array = np.asarray(dataset[()])
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        array.flags.writeable = False
        return array

    def claim(self, dataset: Any, place: str) -> None:
        """Refuse a dataset that lies elsewhere, needs a plug-in, or declares more than the file can mean."""
        creation = dataset.id.get_create_plist()
        if dataset.external is not None or dataset.is_virtual:
            fail("SNN102", place, "data that lie in another file")
        filters = {creation.get_filter(i)[0] for i in range(creation.get_nfilters())}
        if not filters <= FILTERS:
            fail("SNN102", place, f"compressed by filter {min(filters - FILTERS)}", "gzip, lzf, shuffle, fletcher32")
        if dataset.shape is None or len(dataset.shape) > MAX_AXES:
            fail("SNN102", place, f"a dataset of shape {dataset.shape}", f"at most {MAX_AXES} axes")
        self.bytes += int(np.prod(dataset.shape, dtype=object)) * max(dataset.dtype.itemsize, 1)
        if self.bytes > self.byte_budget:
            fail("SNN103", place, f"the file declares {self.bytes} bytes of data",
                 f"{self.byte_budget} for a file of its size")

    def decoded(self, raw: Any, place: str) -> str:
        data = raw if isinstance(raw, bytes) else str(raw).encode("utf-8", "surrogateescape")
        if len(data) > MAX_STRING:
            fail("SNN103", place, f"a string of {len(data)} bytes", f"{MAX_STRING}")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            fail("SNN102", place, f"the bytes {shorten(data[:40])}", "UTF-8")

    def edge_list(self, dataset: Any, place: str) -> tuple[tuple[str, str], ...]:
        self.claim(dataset, place)
        if dataset.shape and dataset.shape[0] == 0:
            return ()
        if h5py.check_string_dtype(dataset.dtype) is None or len(dataset.shape) != 2 or dataset.shape[1] != 2:
            fail("SNN102", place, f"{dataset.dtype} of shape {list(dataset.shape)}", "pairs of strings, [edges, 2]")
        self.edges += dataset.shape[0]
        if self.edges > MAX_EDGES:
            fail("SNN103", place, f"{self.edges} edges", f"at most {MAX_EDGES}")
        # A slice at a time: many entries may point at one long string, which HDF5 would copy for each of them.
        slices = (dataset[i:i + EDGE_SLICE] for i in range(0, dataset.shape[0], EDGE_SLICE))
        return tuple((self.name(a, place), self.name(b, place)) for part in slices for a, b in part)

    def name(self, raw: Any, place: str) -> str:
        name = self.decoded(raw, place)
        if len(name) > MAX_NAME * MAX_DEPTH:
            fail("SNN102", place, f"the name {shorten(name)}", f"at most {MAX_NAME} characters a level")
        return name

    def own_metadata(self, members: Mapping[str, Any], place: str) -> Mapping[str, Any]:
        """The group `metadata/snncompile`; metadata of others are left alone."""
        group = members.get("metadata")
        if not isinstance(group, h5py.Group) or "snncompile" not in group:
            return {}
        where = f"{place}, metadata"
        own = self.members(group, where).get("snncompile")
        if not isinstance(own, h5py.Group):
            fail("SNN102", where, "snncompile is not a group")
        found: dict[str, Any] = {}
        for name, item in self.members(own, where).items():
            self.metadata += 1
            if self.metadata > MAX_METADATA or not isinstance(item, h5py.Dataset):
                fail("SNN102", f"{where}, {shorten(name)}", "a group, or too many entries",
                     f"at most {MAX_METADATA} datasets")
            value = self.value(item, f"{where}, {shorten(name)}")
            found[name] = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
        return found


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
