"""Damage to the structure of ONNX files: operators, attributes, tensors, types, names and metadata become others."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

OPERATORS = sorted({s.name for s in onnx.defs.get_all_schemas() if s.domain == ""})
NUMBERS = (0, 1, -1, 2, 3, 7, 1 << 20, 1 << 31, (1 << 63) - 1, -(1 << 63))
REALS = (0.0, -1.0, 0.5, 1e30, float("nan"), float("inf"))


def damaged(data: bytes, draw: random.Random) -> bytes:
    """A model with one to four changes."""
    proto = onnx.load_model_from_string(data)
    for _ in range(draw.choice((1, 1, 2, 4))):
        draw.choice(WAYS)(proto, draw)
    return bytes(proto.SerializeToString())


def _node(proto: Any, draw: random.Random) -> Any:
    return draw.choice(proto.graph.node) if proto.graph.node else proto.graph.node.add(op_type="Add")


def operator(proto: Any, draw: random.Random) -> None:
    node = _node(proto, draw)
    node.op_type = draw.choice(OPERATORS)
    if draw.random() < 0.3:
        del node.attribute[:]
    if draw.random() < 0.1:
        node.domain = draw.choice(("", "ai.onnx.ml", "com.x", "qonnx.custom_op.general"))


def attribute(proto: Any, draw: random.Random) -> None:
    """Another value for an attribute, of the right kind or of a wrong one, or an attribute that the operator lacks."""
    node = _node(proto, draw)
    known = [a.name for a in node.attribute]
    schema = onnx.defs.get_schema(node.op_type).attributes if onnx.defs.has(node.op_type) else ()
    names = [*known, *schema, "x", "axis", "perm"]
    name = draw.choice(names)
    for i in reversed(range(len(node.attribute))):
        if node.attribute[i].name == name:
            del node.attribute[i]
    node.attribute.append(_attribute(name, draw))


def _attribute(name: str, draw: random.Random) -> Any:
    integer, real = draw.choice(NUMBERS), draw.choice(REALS)
    values: list[Any] = [integer, real, [integer] * draw.choice((1, 2, 4, 30)), [real, real], "text", "SAME_UPPER",
                         numpy_helper.from_array(np.full(draw.choice(((), (1,), (2, 2))), real, np.float32)),
                         helper.make_graph([], "g", [], []), ["a", "b"], b"\xff\xfe"]
    made = helper.make_attribute(name, draw.choice(values))
    if draw.random() < 0.1:
        made.type = draw.choice((AttributeProto.INT, AttributeProto.FLOATS, AttributeProto.TENSOR, 99 % 14))
    return made


def edges(proto: Any, draw: random.Random) -> None:
    """Another name of an input or output, or one more or less."""
    node = _node(proto, draw)
    every = [n for m in proto.graph.node for n in (*m.input, *m.output)]
    every += [*(i.name for i in proto.graph.input), "", "x"]
    ends = node.input if draw.random() < 0.7 else node.output
    action = draw.randrange(3)
    if action == 0 and ends:
        ends[draw.randrange(len(ends))] = draw.choice(every)
    elif action == 1 and ends:
        del ends[draw.randrange(len(ends))]
    else:
        ends.extend([draw.choice(every)] * draw.choice((1, 2, 50)))


def tensor(proto: Any, draw: random.Random) -> None:
    """Other dimensions, another type, other values or fewer bytes of a stored tensor."""
    stored = [*proto.graph.initializer, *(a.t for n in proto.graph.node for a in n.attribute if a.HasField("t"))]
    if not stored:
        return
    item: TensorProto = draw.choice(stored)
    action = draw.randrange(6)
    if action == 0:
        sizes = list(item.dims) or [1]
        sizes[draw.randrange(len(sizes))] = draw.choice((0, 1, 2, 1 << 30, (1 << 62), -1))
        del item.dims[:]
        item.dims.extend(sizes * draw.choice((1, 1, 4)))
    elif action == 1:
        item.data_type = draw.choice((*range(1, 25), 0, 99))
    elif action == 2:
        item.raw_data = item.raw_data[:draw.randrange(len(item.raw_data) + 1)]
    elif action == 3:
        item.data_location = TensorProto.EXTERNAL
        for key, value in (("location", draw.choice(("../x", "/etc/passwd", "w.bin", "\0", "net.onnx", ""))),
                           ("offset", draw.choice(("0", "-1", "9" * 5000, "a"))), ("length", "16")):
            item.external_data.add(key=key, value=value)
    else:
        _values(item, draw)


def _values(item: TensorProto, draw: random.Random) -> None:
    try:
        array = np.array(numpy_helper.to_array(item))
    except (ValueError, TypeError, KeyError):
        return
    if array.dtype.kind not in "iuf" or not array.size or array.size > 1 << 20:
        return
    flat = array.reshape(-1)
    with np.errstate(all="ignore"):
        for _ in range(draw.choice((1, 2, flat.size))):
            flat[draw.randrange(flat.size)] = np.array(draw.choice((*REALS, *NUMBERS))).astype(array.dtype)
    changed = draw.choice((flat.reshape(array.shape), flat[:-1], flat.reshape(1, *array.shape),
                           array.astype(draw.choice((np.float64, np.int64, np.float16, np.bool_)))))
    item.CopyFrom(numpy_helper.from_array(changed, item.name))


def ends(proto: Any, draw: random.Random) -> None:
    """Another shape, type or name of a model's input or output; or none of them."""
    listed = draw.choice((proto.graph.input, proto.graph.output))
    if not listed:
        return
    item = draw.choice(listed)
    dims = item.type.tensor_type.shape.dim
    action = draw.randrange(5)
    if action == 0 and dims:
        draw.choice(dims).dim_value = draw.choice(NUMBERS)
    elif action == 1 and dims:
        del dims[draw.randrange(len(dims))]
    elif action == 2:
        item.type.tensor_type.elem_type = draw.choice((*range(1, 25), 0, 99))
    elif action == 3:
        item.name = draw.choice(("", "x", "a_out", "y" * 2000, *(i.name for i in listed)))
    else:
        listed.remove(item)


def header(proto: Any, draw: random.Random) -> None:
    """Versions, domains, metadata, functions."""
    action = draw.randrange(4)
    if action == 0 and proto.opset_import:
        draw.choice(proto.opset_import).version = draw.choice((0, 1, 6, 7, 9, 11, 12, 13, 17, 21, 9999, -1))
    elif action == 1:
        proto.ir_version = draw.choice((0, 1, 3, 8, 12, 999, -1))
    elif action == 2:
        for item in proto.metadata_props:
            item.value = draw.choice((item.value[:len(item.value) // 2], "{}", "[" * 100_000, "", '{"states": [1]}',
                                      '{"states": [{"in": [], "out": {}}]}', item.value.replace("0", "9")))
        proto.metadata_props.add(key=draw.choice(("snncompile.step", "snncompile.graph", "x")), value="{")
    else:
        made = proto.functions.add(name="f", domain="own")
        made.node.add(op_type="f", domain="own", output=["y"])
        proto.opset_import.add(domain="own", version=1)
        _node(proto, draw).domain, _node(proto, draw).op_type = "own", "f"


def nodes(proto: Any, draw: random.Random) -> None:
    """Nodes that are lost, doubled, or in another order."""
    listed = proto.graph.node
    if not listed:
        return
    at = draw.randrange(len(listed))
    action = draw.randrange(3)
    if action == 0:
        del listed[at]
    elif action == 1:
        for _ in range(draw.choice((1, 300))):
            listed.add().CopyFrom(listed[at])
    else:
        order = list(listed)
        draw.shuffle(order)
        copies = [type(n).FromString(n.SerializeToString()) for n in order]
        del listed[:]
        listed.extend(copies)


WAYS: tuple[Callable[[Any, random.Random], None], ...] = (
    operator, operator, attribute, attribute, attribute, edges, edges, tensor, tensor, tensor, ends, header, nodes)
