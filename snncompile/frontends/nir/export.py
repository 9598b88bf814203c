"""Writes graphs as NIR files: `export_nir`.

NIR has no fields for how a neuron fires, for exact discrete constants, and for the decoding of outputs. These are
written into a metadata group `snncompile` of each node and of the graph, so that reading the file gives the same graph.
"""

from __future__ import annotations

import io
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snncompile.diagnostics import Collector, fail, shorten
from snncompile.frontends.nir.conventions import DEFAULTS, checked
from snncompile.frontends.nir.neurons import RULES_OF, SPIKING, collapse
from snncompile.frontends.nir.ode import NotExpressible, continuous
from snncompile.frontends.nir.structure import Wire, recur
from snncompile.ir.graph import Graph, unused
from snncompile.ir.op import Op
from snncompile.ir.ops import AvgPool, Conv, Identity, Input, Linear, Output, Pool, Reshape, Scale, SumPool
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Array, Shape, ShapeOnly, Stage, Weight
from snncompile.ir.verify import verify

# The version of the NIR package whose file layout this is.
NIR_VERSION = "1.0.8"
LONGEST_NAME = 200


@dataclass
class Spec:
    """A NIR node to be written."""

    type: str
    fields: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)


def export_nir(graph: Graph, path: str | Path, dt: float | None = None) -> Path:
    """Write a FLOAT graph as a NIR file. The file is either written completely or not at all.

    Args:
        dt: the length of a tick in seconds; by default the `dt` of the graph's metadata, or 0.0001.

    Returns:
        The path that was written.

    Raises:
        CompileError: SNN106 with every node that NIR cannot express, SNN404 for a `dt` of 0 or less, SNN602 where the
            file cannot be written.
    """
    path = Path(path)
    data = nir_bytes(graph, dt)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".nir")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
    except OSError as e:
        fail("SNN602", f"file {shorten(path.name)}", e.strerror or type(e).__name__)
    return path


def nir_bytes(graph: Graph, dt: float | None = None) -> memoryview:
    """The bytes of a graph's NIR file. Raises as `export_nir` does, except for SNN602."""
    verify(graph)
    step = checked("dt", graph.meta.get("dt", DEFAULTS["dt"]) if dt is None else dt, "option dt")
    nodes, edges = _network(graph, step)
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        file["version"] = NIR_VERSION
        top = file.create_group("node")
        top["type"] = "NIRGraph"
        group = top.create_group("nodes")
        for name, spec in nodes.items():
            _write_node(group.create_group(name), spec)
        _write_edges(top, edges)
        _write_metadata(top, _graph_metadata(graph, step))
    return target.getbuffer()


def _graph_metadata(graph: Graph, dt: float) -> dict[str, Any]:
    """The content of the graph's metadata group. Raises SNN106 where the graph's own metadata are not JSON-like."""
    meta = {**graph.meta, "dt": dt} if "dt" in graph.meta else dict(graph.meta)
    try:
        whole = json.dumps({"name": graph.name, "meta": meta, "nodes": list(graph.nodes)}, default=dict)
    except (TypeError, ValueError) as e:
        fail("SNN106", f"graph {shorten(graph.name)}, meta", str(e), "JSON-like data")
    return {"dt": dt, "discretization": "euler", "gain": "ode", "graph": whole}


def _write_node(group: Any, spec: Spec) -> None:
    group["type"] = spec.type
    for name, value in spec.fields.items():
        _write(group, name, value)
    if spec.metadata:
        _write_metadata(group, spec.metadata)


def _write_metadata(group: Any, metadata: Mapping[str, Any]) -> None:
    own = group.create_group("metadata/snncompile")
    for name, value in metadata.items():
        _write(own, name, value)


def _write(group: Any, name: str, value: Any) -> None:
    """Write a string, number or array. Constant arrays, which are frequent in NIR files, are compressed."""
    if isinstance(value, np.ndarray) and value.size > 64 and (value == value.flat[0]).all():
        group.create_dataset(name, data=value, compression="gzip", shuffle=True)
    else:
        group[name] = value


def _write_edges(group: Any, edges: list[tuple[str, str]]) -> None:
    text = h5py.string_dtype("utf-8")
    dataset = group.create_dataset("edges", (len(edges), 2), dtype=text)
    if edges:
        dataset[...] = np.array(edges, dtype=object)


# --- the network -----------------------------------------------------------------------------------------


def _network(graph: Graph, dt: float) -> tuple[dict[str, Spec], list[tuple[str, str]]]:
    """The nodes by their names in the file, and the edges between these names.

    Raises:
        CompileError: SNN106 with every node that NIR cannot express.
    """
    problems = Collector()
    if graph.stage != Stage.FLOAT or any(e.chain for e in graph.edges):
        fail("SNN106", f"graph {shorten(graph.name)}", f"a graph of stage {graph.stage.name}, or operators on edges",
             "a FLOAT graph without operators on edges")
    names = file_names(graph.nodes)
    specs: dict[str, Spec] = {}
    for name, op in graph.nodes.items():
        try:
            into = graph.edges_into[name]
            spec = _spec(op, graph.arriving(into[0]) if into else (), graph.shapes[name], dt)
            if names[name] != name:
                spec.metadata["name"] = json.dumps(name)
            specs[names[name]] = spec
        except NotExpressible as e:
            problems.error("SNN106", f"node {shorten(name)}", str(e), "what a NIR node type can express")
    problems.finish()
    return _connect(graph, names, specs, dt)


def file_names(names: Mapping[str, Any]) -> dict[str, str]:
    """Distinct names that HDF5 can store, by the names of the graph.

    Slashes and null characters become underscores, and very long names are cut.
    """
    stored: dict[str, str] = {}
    taken = {n for n in names if _storable(n)}
    for name in names:
        stored[name] = name if _storable(name) else unused(_storable_form(name), taken, first=1)
        taken.add(stored[name])
    return stored


def _storable_form(name: str) -> str:
    new = name.replace("/", "_").replace("\0", "_").encode("utf-8", "replace").decode()[:LONGEST_NAME]
    return f"_{new}" if new.strip(".") == "" else new


def _storable(name: str) -> bool:
    """Whether HDF5 can store a name as it is."""
    return _storable_form(name) == name


def _connect(graph: Graph, names: Mapping[str, str], specs: dict[str, Spec],
             dt: float) -> tuple[dict[str, Spec], list[tuple[str, str]]]:
    """Add a Delay node for every delayed edge, and return all nodes and edges, edges in the graph's order.

    An edge that closes a loop needs no Delay node if reading the file gives it a delay of 1 anyway. A second edge
    between the same two nodes always gets a Delay node (of 0 seconds), because NIR has one edge between two nodes.

    Args:
        names: the names in the file, by the names in the graph.
        specs: the nodes by their names in the file; Delay nodes are added in place.
    """
    plain = _plain_loops(graph)
    edges: list[tuple[str, str]] = []
    connected: set[tuple[str, str]] = set()
    for e in graph.edges:
        pair = (names[e.src], names[e.dst])
        if (e.delay == 0 or (e.src, e.dst, e.delay) in plain) and pair not in connected:
            connected.add(pair)
            edges.append(pair)
            continue
        middle = unused(f"{pair[0]}.delay", specs, first=1)
        seconds = np.full(graph.shapes[e.src], e.delay * dt)
        specs[middle] = Spec("Delay", {"delay": seconds})
        edges += [(pair[0], middle), (middle, pair[1])]
    return specs, edges


def _plain_loops(graph: Graph) -> set[tuple[str, str, int]]:
    """The edges of delay 1 that can be written without a Delay node, as `(src, dst, 1)`.

    NIR writes recurrent connections without delays, and readers give every loop a delay of one tick. This is done for
    all edges of delay 1 inside loops, if `recur` then gives exactly the delays of the graph, and otherwise for none.
    """
    loops = {n: i for i, c in enumerate(graph.components) for n in c}
    back = [e.delay == 1 and loops[e.src] == loops[e.dst] for e in graph.edges]
    before = tuple(Wire(e.src, e.dst, 0 if b else e.delay, e.delay > 0 and not b)
                   for e, b in zip(graph.edges, back, strict=True))
    untimed = [(w.src, w.dst) for w in before if not w.timed]
    if len(set(untimed)) < len(untimed):
        return set()
    stateful = [n for n, op in graph.nodes.items() if isinstance(op, Neuron)]
    after = recur(before, graph.nodes, graph.inputs, stateful)
    if [w.delay for w in after] != [e.delay for e in graph.edges]:
        return set()
    return {(e.src, e.dst, 1) for e, b in zip(graph.edges, back, strict=True) if b}


# --- one function an operator ----------------------------------------------------------------------------


def _spec(op: Op, arriving: Shape, shape: Shape, dt: float) -> Spec:
    """The NIR node of an operator. Raises `NotExpressible`.

    Args:
        arriving: the shape of the operator's input.
        shape: the shape of its output.
    """
    if isinstance(op, Neuron):
        return _neuron(op, shape, dt)
    if type(op) not in WRITERS:
        raise NotExpressible(f"the operator {op.kind()}")
    return WRITERS[type(op)](op, arriving, shape)


def _numbers(weight: Weight) -> Array:
    if not isinstance(weight, np.ndarray):
        raise NotExpressible("weights of which only the shape is known")
    return weight


def _input(op: Input, arriving: Shape, shape: Shape) -> Spec:
    about = {"values": op.values, "low": op.low, "high": op.high, "unit": op.unit}
    return Spec("Input", {"shape": np.array(shape)}, {"input": json.dumps(about)})


def _output(op: Output, arriving: Shape, shape: Shape) -> Spec:
    return Spec("Output", {"shape": np.array(shape)}, {"output": json.dumps({"decode": op.decode})})


def _identity(op: Identity, arriving: Shape, shape: Shape) -> Spec:
    return Spec("Scale", {"scale": np.ones(shape, np.float32)}, {"op": "identity"})


def _zero_bias(bias: Weight | None) -> dict[str, Any]:
    """Metadata that mark an existing bias of zeros, because NIR writes a missing bias as zeros too."""
    return {} if bias is None or _numbers(bias).any() else {"zero_bias": 1}


def _linear(op: Linear, arriving: Shape, shape: Shape) -> Spec:
    weight = {"weight": _numbers(op.weight)}
    if op.bias is None:
        return Spec("Linear", weight)
    return Spec("Affine", {**weight, "bias": _numbers(op.bias)}, _zero_bias(op.bias))


def _conv(op: Conv, arriving: Shape, shape: Shape) -> Spec:
    weight = _numbers(op.weight)
    bias = np.zeros(len(weight), weight.dtype) if op.bias is None else _numbers(op.bias)
    fields = {"weight": weight, "bias": bias, "groups": op.groups, "padding": _padding(op),
              "stride": np.array(op.stride), "dilation": np.array(op.dilation), "input_shape": np.array(arriving[1:])}
    if len(op.kernel) == 2:
        return Spec("Conv2d", fields, _zero_bias(op.bias))
    single = {k: v[0] for k, v in fields.items() if isinstance(v, np.ndarray) and k not in ("weight", "bias")}
    return Spec("Conv1d", {**fields, **single}, _zero_bias(op.bias))


def _padding(op: Conv) -> Any:
    if all(a == b for a, b in op.padding):
        return np.array([a for a, _ in op.padding])
    total = [d * (k - 1) for d, k in zip(op.dilation, op.kernel, strict=True)]
    if op.padding == tuple((n // 2, n - n // 2) for n in total) and set(op.stride) == {1}:
        return "same"
    raise NotExpressible(f"the padding {[list(p) for p in op.padding]}, which differs between two sides")


def _pool(op: Pool, arriving: Shape, shape: Shape) -> Spec:
    if len(op.kernel) != 2 or any(a != b for a, b in op.padding):
        raise NotExpressible(f"{op.kind()} over one axis, or with padding that differs between two sides")
    return Spec(f"{type(op).__name__}2d", {"kernel_size": np.array(op.kernel), "stride": np.array(op.stride),
                                           "padding": np.array([a for a, _ in op.padding])})


def _scale(op: Scale, arriving: Shape, shape: Shape) -> Spec:
    if op.bias is not None:
        raise NotExpressible("a scale with a bias")
    factor = op.factor if isinstance(op.factor, (int, float)) else _numbers(op.factor)
    whole = np.array(np.broadcast_to(np.asarray(factor), shape))
    same = not isinstance(factor, np.ndarray) or _identical(collapse(whole), factor)
    return Spec("Scale", {"scale": whole}, {} if same and isinstance(factor, (float, np.ndarray))
                else {"factor": factor})


def _identical(a: Any, b: Array) -> bool:
    """Whether the collapsed factor is an array of the factor's own shape, so that reading gives the same array."""
    return isinstance(a, np.ndarray) and a.shape == b.shape


def _flatten(op: Reshape, arriving: Shape, shape: Shape) -> Spec:
    """A Flatten that merges adjacent axes, where some choice of them gives the reshape's shape."""
    for first in range(len(arriving)):
        for last in range(first, len(arriving)):
            merged = (*arriving[:first], math.prod(arriving[first:last + 1]), *arriving[last + 1:])
            if merged == op.shape:
                return Spec("Flatten", {"input_type": np.array(arriving), "start_dim": first, "end_dim": last})
    raise NotExpressible(f"a reshape of {list(arriving)} to {list(op.shape)}")


def _neuron(op: Neuron, shape: Shape, dt: float) -> Spec:
    """The NIR node of a neuron.

    Its fields describe the neuron under forward Euler with a step of `dt` seconds. Its metadata keep how it fires, and
    its exact discrete constants.
    """
    if any(isinstance(a, ShapeOnly) for a in op.arrays.values()):
        raise NotExpressible("parameters of which only the shape is known")
    kind, fields = continuous(op, dt)
    metadata: dict[str, Any] = {}
    exact = {"rule": op.rule.name, "options": dict(op.options)}
    for group, values in (("params", op.params), ("initial", op.initial)):
        exact[group] = {k: _kept(metadata, f"{group}.{k}", v) for k, v in values.items()}
    metadata["neuron"] = json.dumps(exact)
    if kind in SPIKING:
        f, v_min = op.firing, op.params.get("v_min", "none")
        metadata |= {"compare": f.compare, "reset": f.reset, "reset_when": f.when,
                     "max_spikes": "unlimited" if f.max_spikes is None else f.max_spikes}
        metadata |= {} if isinstance(v_min, np.ndarray) else {"v_min": v_min}
    if "filter" in op.rule.options:
        metadata["filter"] = op.options.get("filter", op.rule.options["filter"][0])
    assert op.rule.name in RULES_OF[kind]
    return Spec(kind, {k: np.array(np.broadcast_to(v, shape)) for k, v in fields.items()}, metadata)


def _kept(metadata: dict[str, Any], key: str, value: Any) -> Any:
    """A constant in the JSON description of a neuron: a number, or `{"array": key}` for an array.

    Args:
        metadata: receives the array under `key`.
    """
    if isinstance(value, (int, float, np.generic)):
        return value.item() if isinstance(value, np.generic) else value
    metadata[key] = _numbers(value)
    return {"array": key}


WRITERS: Mapping[type[Op], Callable[..., Spec]] = {
    Input: _input,
    Output: _output,
    Identity: _identity,
    Linear: _linear,
    Conv: _conv,
    SumPool: _pool,
    AvgPool: _pool,
    Scale: _scale,
    Reshape: _flatten,
}
