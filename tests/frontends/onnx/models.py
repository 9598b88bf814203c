"""Hand-written step functions in the form in which exporters write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """A node; its inputs and outputs are lists of names separated by spaces, "_" for an input that is left out."""
    names = ["" if n == "_" else n for n in inputs.split()]
    return helper.make_node(kind, names, outputs.split(), name=f"{kind}.{outputs.split()[0]}", **attributes)


def model(nodes: Sequence[onnx.NodeProto], inputs: Mapping[str, Sequence[Any]], outputs: Mapping[str, Sequence[Any]],
          constants: Mapping[str, Any] | None = None, opset: int = 18, dtype: int = TensorProto.FLOAT,
          **more: Any) -> onnx.ModelProto:
    """A model; plain numbers become float32 constants."""
    arrays = {n: v if isinstance(v, np.ndarray) else np.asarray(v, np.float32) for n, v in (constants or {}).items()}
    graph = helper.make_graph(
        list(nodes), "step", [helper.make_tensor_value_info(n, dtype, list(s)) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, dtype, list(s)) for n, s in outputs.items()],
        [numpy_helper.from_array(v, n) for n, v in arrays.items()])
    opsets = [helper.make_opsetid("", opset), *more.pop("opsets", [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, **more)


def save(proto: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def lif_model(batch: Any = 1, compare: str = "Greater") -> onnx.ModelProto:
    """A linear layer and a leaky neuron as a traced step, with the state `mem` and its next value `mem_out`."""
    rng = np.random.default_rng(1)
    return model(
        [node("Gemm", "x w b", "current", transB=1), node("Mul", "mem beta", "kept"),
         node("Add", "kept current", "charged"),
         node(compare, "charged threshold", "fired"), node("Cast", "fired", "spk", to=TensorProto.FLOAT),
         node("Mul", "spk threshold", "drop"), node("Sub", "charged drop", "mem_out")],
        {"x": [batch, 3], "mem": [batch, 4]}, {"spk": [batch, 4], "mem_out": [batch, 4]},
        {"w": (rng.integers(-8, 16, (4, 3)) / 8).astype(np.float32), "b": np.full(4, 0.125, np.float32), "beta": 0.5,
         "threshold": 1.0})
