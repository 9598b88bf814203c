"""Sound ONNX files of several forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto

import snncompile as sc
from tests.frontends.onnx.models import lif_model, model, node, save
from tests.nets import small


def write(folder: Path) -> list[Path]:
    return [save(lif_model(), folder / "lif.onnx"), sc.export_onnx(small(), folder / "exported.onnx"),
            sc.export_onnx(small(), folder / "single.onnx", "float32"), save(_image(), folder / "image.onnx")]


def _image() -> object:
    """A convolution, a pool, a quantized layer and a threshold; one state."""
    rng = np.random.default_rng(0)
    return model(
        [node("Pad", "x pads", "padded"), node("Conv", "padded k", "c", kernel_shape=[3, 3], strides=[1, 1]),
         node("BatchNormalization", "c scale shift mean var", "n", epsilon=1e-5),
         node("AveragePool", "n", "p", kernel_shape=[2, 2], strides=[2, 2]), node("Shape", "p", "size"),
         node("Gather", "size first", "batch"), node("Concat", "batch rest", "wanted", axis=0),
         node("Reshape", "p wanted", "f"), node("DequantizeLinear", "q step zero", "w"),
         node("Gemm", "f w", "g", transB=1),
         node("Slice", "g from to", "s"), node("Mul", "v beta", "kept"), node("Add", "kept s", "u"),
         node("GreaterOrEqual", "u one", "fired"), node("Cast", "fired", "spk", to=TensorProto.FLOAT),
         node("Where", "fired zero_real u", "v_out")],
        {"x": ["batch", 2, 6, 6], "v": ["batch", 3]}, {"spk": ["batch", 3], "v_out": ["batch", 3]},
        {"k": rng.normal(0, 1, (3, 2, 3, 3)).astype(np.float32), "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
         "scale": np.ones(3, np.float32), "shift": np.zeros(3, np.float32), "mean": np.zeros(3, np.float32),
         "var": np.ones(3, np.float32), "first": np.array([0]), "rest": np.array([-1]),
         "q": rng.integers(-8, 8, (5, 27)).astype(np.int8), "step": 0.25, "zero": np.zeros((), np.int8),
         "from": np.array([0, 0]), "to": np.array([9, 3]), "beta": 0.5, "one": 1.0, "zero_real": 0.0})
