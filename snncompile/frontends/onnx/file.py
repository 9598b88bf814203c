"""Reads ONNX files into plain data, without trusting them.

Sizes and counts are checked before anything large is allocated, and external data are read from the model's own folder
only. This module does not interpret the nodes; `dataflow` does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    TensorProto,
    checker,
    helper,
    inliner,
    load_model_from_string,
    numpy_helper,
)
from snncompile.diagnostics import Collector, fail, shorten
from snncompile.ir.types import Array

MAX_BYTES = 1 << 31
MAX_NODES = 100_000
MAX_NAME = 1_000
MAX_AXES = 8
MAX_METADATA = 1 << 28
MAX_PROBLEMS = 20
NO_ONNX = "write it with onnx.save or torch.onnx.export; check that it is not a git-lfs pointer or a cut download"
QUANTIZED = "qonnx.custom_op.general"
DOMAINS = ("", "ai.onnx", QUANTIZED, "onnx.brevitas")


@dataclass(frozen=True)
class Node:
    """An ONNX node.

    Attributes:
        op: the operator type, of ONNX or of QONNX's domain.
        inputs: the names of the tensors it reads, "" where an optional one is left out.
        outputs: the names of the tensors it computes.
        attributes: numbers, texts, tuples of numbers, and arrays, by name.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"node {shorten(self.name or (self.outputs[0] if self.outputs else ''))} ({shorten(self.op)[1:-1]})"


@dataclass(frozen=True)
class TensorType:
    """The type of a model's input or output.

    Attributes:
        axes: the length of each axis, None where it is free; None altogether where the file gives no shape.
        dtype: the dtype of the values.
    """

    axes: tuple[int | None, ...] | None
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Model:
    """A checked model as plain data; every node comes after the nodes whose outputs it reads."""

    name: str
    opset: int
    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]
    metadata: Mapping[str, str]


def read_model(path: Path) -> Model:
    """Read the model in a file.

    Raises:
        CompileError: SNN101 where the file is not an ONNX file, SNN102 where its structure is wrong, SNN103 where it
            exceeds a limit of this module, SNN104 for control flow and for unknown operator domains.
    """
    place = f"file {shorten(path.name)}"
    try:
        if path.stat().st_size > MAX_BYTES:
            fail("SNN103", place, f"{path.stat().st_size} bytes", f"at most {MAX_BYTES}")
        data = path.read_bytes()
    except (OSError, ValueError) as e:
        fail("SNN101", place, str(getattr(e, "strerror", None) or e))
    try:
        proto = load_model_from_string(data)
    except (DecodeError, ValueError, TypeError) as e:
        fail("SNN101", place, f"not an ONNX model: {str(e)[:200]}", help=NO_ONNX)
    if not proto.graph.node and not proto.graph.input:
        fail("SNN101", place, "an ONNX model without a graph", help=NO_ONNX)
    return plain(proto, place, path.parent)


def plain(proto: ModelProto, place: str, folder: Path | None = None) -> Model:
    """A parsed model as plain data. Raises as `read_model` does, except for SNN101.

    Args:
        place: the file's name in messages.
        folder: where external data may lie; None where there is no such folder.
    """
    _check_counts(proto, place)
    _gather_external(proto.graph, place, folder)
    proto = _inlined(proto, place)
    try:
        checker.check_model(proto)
    except (checker.ValidationError, ValueError, TypeError) as e:
        fail("SNN102", place, f"onnx.checker says: {' '.join(str(e).split())[:300]}")
    try:
        constants = {t.name: _array(t) for t in proto.graph.initializer}
        inputs = {v.name: _tensor_type(v) for v in proto.graph.input if v.name not in constants}
        outputs = {v.name: _tensor_type(v) for v in proto.graph.output}
        nodes = tuple(_node(n) for n in proto.graph.node)
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        fail("SNN102", place, str(e)[:200])
    opset = max((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), default=0)
    metadata = {p.key: p.value for p in proto.metadata_props}
    return Model(proto.graph.name, opset, nodes, constants, inputs, outputs, metadata)


def _check_counts(proto: ModelProto, place: str) -> None:
    graph = proto.graph
    for items, count in (("nodes", len(graph.node)), ("initializers", len(graph.initializer)),
                         ("inputs and outputs", len(graph.input) + len(graph.output)),
                         ("functions", len(proto.functions))):
        if count > MAX_NODES:
            fail("SNN103", place, f"{count} {items}", f"at most {MAX_NODES}")
    if sum(len(p.key) + len(p.value) for p in proto.metadata_props) > MAX_METADATA:
        fail("SNN103", place, "longer metadata", f"at most {MAX_METADATA} characters")
    if graph.sparse_initializer:
        fail("SNN104", place, "sparse initializers", "dense initializers")
    nodes = [*graph.node, *(n for f in proto.functions for n in f.node)]
    if not all(isinstance(text, str) for text in _texts(proto, nodes)):
        fail("SNN102", place, "names that are not UTF-8 text")
    _check_nodes(nodes, proto, place)


def _texts(proto: ModelProto, nodes: list[Any]) -> Iterator[object]:
    """Every name in the file. A name that is not UTF-8 is yielded as bytes, since protobuf returns it so."""
    graph = proto.graph
    yield from (graph.name, *(t.name for t in (*graph.initializer, *graph.input, *graph.output)))
    yield from (text for f in proto.functions for text in (f.name, f.domain, *f.input, *f.output))
    yield from (o.domain for o in proto.opset_import)
    yield from (text for p in proto.metadata_props for text in (p.key, p.value))
    for node in nodes:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output, *(a.name for a in node.attribute))


def _check_nodes(nodes: list[Any], proto: ModelProto, place: str) -> None:
    problems = Collector()
    own = {(f.domain, f.name) for f in proto.functions}
    for node in nodes[:MAX_NODES]:
        where = f"node {shorten(node.name or ''.join(node.output[:1]))} ({shorten(node.op_type)[1:-1]})"
        if any(len(name) > MAX_NAME for name in (node.name, *node.input, *node.output)):
            problems.error("SNN103", where, "a very long name", f"at most {MAX_NAME} characters")
        if any(a.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) or a.sparse_tensor.ByteSize()
               for a in node.attribute):
            problems.error("SNN104", where, "a graph inside a node", "a step without If, Loop or Scan",
                           "export one tick of the network, with its states as inputs and outputs")
        elif node.domain not in DOMAINS and (node.domain, node.op_type) not in own:
            problems.error("SNN104", where, f"an operator of the domain {shorten(node.domain)}",
                           "operators of ONNX's or QONNX's own domains")
        if len(problems.errors) >= MAX_PROBLEMS:
            break
    problems.finish()


def _inlined(proto: ModelProto, place: str) -> ModelProto:
    """The model with every call of one of its own functions replaced by the function's nodes.

    The number of nodes after inlining is computed first, because functions that call functions can multiply it.
    """
    if not proto.functions:
        return proto
    bodies = {(f.domain, f.name): [(n.domain, n.op_type) for n in f.node] for f in proto.functions}
    sizes: dict[tuple[str, str], int] = {}
    for _ in range(len(bodies)):
        ready = [k for k, body in bodies.items() if k not in sizes and all(n in sizes or n not in bodies for n in body)]
        for key in ready:
            sizes[key] = min(MAX_NODES + 1, sum(sizes.get(n, 1) for n in bodies[key]))
        if not ready:
            break
    if len(sizes) < len(bodies):
        fail("SNN102", place, "a function that calls itself, directly or through others")
    total = sum(sizes.get((n.domain, n.op_type), 1) for n in proto.graph.node)
    if total > MAX_NODES:
        fail("SNN103", place, "too many nodes after its functions are inlined", f"at most {MAX_NODES}")
    try:
        return inliner.inline_local_functions(proto)
    except (RuntimeError, ValueError) as e:
        fail("SNN102", place, f"functions that cannot be inlined: {str(e)[:200]}")


# --- tensors ---------------------------------------------------------------------------------------------


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _gather_external(graph: GraphProto, place: str, folder: Path | None) -> None:
    """Read external data into the model, at most `MAX_BYTES` in all.

    Args:
        folder: where external data may lie; None where there is no such folder.
    """
    left = MAX_BYTES
    for tensor in _tensors(graph):
        where = f"{place}, tensor {shorten(tensor.name)}"
        if len(tensor.dims) > MAX_AXES or any(n < 0 for n in tensor.dims):
            fail("SNN103", where, f"the shape {shorten(list(tensor.dims))}", f"at most {MAX_AXES} axes of 0 or more")
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        size = _byte_count(tensor, where)
        left -= size
        if left < 0:
            fail("SNN103", where, f"{size} more bytes of external data", f"at most {MAX_BYTES} in all")
        tensor.raw_data = _external(tensor, size, where, folder)
        tensor.ClearField("external_data")
        tensor.data_location = TensorProto.DEFAULT


def _byte_count(tensor: TensorProto, where: str) -> int:
    try:
        kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except (KeyError, ValueError, TypeError):
        fail("SNN102", where, f"the data type {tensor.data_type}", "a data type of numbers")
    bits = 4 if tensor.data_type in (TensorProto.INT4, TensorProto.UINT4) else kind.itemsize * 8
    return int(math.prod(tensor.dims) * bits + 7) // 8


def _external(tensor: TensorProto, size: int, where: str, folder: Path | None) -> bytes:
    entries = {e.key: e.value for e in tensor.external_data}
    location = entries.get("location", "")
    parts = PureWindowsPath(location).parts
    if folder is None or not location or PureWindowsPath(location).anchor or ".." in parts or "\0" in location:
        fail("SNN102", where, f"external data in {shorten(location)}", "a file inside the model's folder")
    file = folder / location
    try:
        root = folder.resolve(strict=True)
        if file.resolve(strict=True) != root.joinpath(*parts) or not file.is_file():
            fail("SNN102", where, f"external data in {shorten(location)}", "a plain file inside the model's folder")
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
        if length != size or offset < 0 or offset + size > file.stat().st_size:
            fail("SNN102", where, f"{length} bytes at {offset} of {shorten(location)}",
                 f"the {size} bytes of its shape, inside the file")
        with file.open("rb") as stream:
            stream.seek(offset)
            data: bytes = stream.read(size)
            return data
    except (OSError, ValueError, RuntimeError) as e:
        fail("SNN102", where, f"external data in {shorten(location)}: {getattr(e, 'strerror', None) or e}")


def _array(tensor: TensorProto) -> Array:
    """A tensor's values. Dtypes that NumPy lacks become int8 or float32, which hold their values exactly."""
    if tensor.data_type == TensorProto.STRING:
        raise ValueError(f"tensor {shorten(tensor.name)} holds text, not numbers")
    array = numpy_helper.to_array(tensor)
    if array.dtype.kind not in "biuf":
        whole = tensor.data_type in (TensorProto.INT4, TensorProto.UINT4)
        array = array.astype(np.int8 if whole else np.float32)
    return np.asarray(array.astype(np.float32) if array.dtype == np.float16 else array)


def _tensor_type(value: Any) -> TensorType:
    if not value.type.HasField("tensor_type"):
        raise ValueError(f"{shorten(value.name)} is not a tensor")
    kind = value.type.tensor_type
    axes = tuple(d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return TensorType(axes if kind.HasField("shape") else None, dtype)


def _node(node: Any) -> Node:
    attributes = {a.name: _attribute(a) for a in node.attribute}
    return Node(node.name, node.op_type, tuple(node.input), tuple(node.output), attributes)


def _attribute(attribute: Any) -> Any:
    value = helper.get_attribute_value(attribute)
    if attribute.type == AttributeProto.TENSOR:
        return _array(value)
    if attribute.type == AttributeProto.STRING:
        return value.decode("utf-8", "replace")
    return tuple(value) if attribute.type in (AttributeProto.INTS, AttributeProto.FLOATS) else value
