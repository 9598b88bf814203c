"""ONNX nodes and initializers while they are written, under names that no two share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from snncompile.ir.text import digest
from snncompile.ir.types import Array, Shape

OPSET = 18
IR_VERSION = 9


@dataclass
class Writer:
    """A step function under construction; tensors are known by their names and begin with a batch axis.

    Attributes:
        dtype: of all arithmetic: float64, float32 or int64.
    """

    dtype: np.dtype[Any]
    nodes: list[NodeProto] = field(default_factory=list)
    initializers: dict[str, TensorProto] = field(default_factory=dict)
    inputs: list[ValueInfoProto] = field(default_factory=list)
    outputs: list[ValueInfoProto] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        """Whether the arithmetic is that of integers."""
        return self.dtype.kind == "i"

    @property
    def native(self) -> bool:
        """Whether ONNX Runtime has every layer in this arithmetic; it convolves float32 only."""
        return self.dtype == np.float32

    def fresh(self, name: str) -> str:
        """A name nothing has yet."""
        new, count = name or "_", 1
        while new in self.taken:
            count += 1
            new = f"{name}_{count}"
        self.taken.add(new)
        return new

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node of one output, and give that output's name."""
        output = self.fresh(name or kind.lower())
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def cast(self, value: str, dtype: Any) -> str:
        return self.op("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def stored(self, array: Array) -> str:
        """An initializer with these very values, named as the text form names them."""
        name = digest(array)
        if name not in self.initializers:
            self.taken.add(name)
            self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def constant(self, value: Any) -> str:
        """A number or an array in the dtype of the arithmetic."""
        array = np.asarray(value)
        if array.ndim == 0:
            return self.stored(array.astype(self.dtype))
        return self.stored(array) if array.dtype == self.dtype else self.cast(self.stored(array), self.dtype)

    def integers(self, *values: int) -> str:
        """A list of integers: a shape, axes, amounts."""
        return self.stored(np.array(values, np.int64))

    def reshape(self, value: str, *shape: int) -> str:
        """The same values under another shape, the batch axis apart."""
        return self.op("Reshape", value, self.integers(0, *shape))

    def enter(self, name: str, shape: Shape) -> str:
        """A new input of the step function."""
        fresh = self.fresh(name)
        self.inputs.append(self._about(fresh, shape))
        return fresh

    def leave(self, name: str, value: str, shape: Shape) -> str:
        """A new output of the step function."""
        fresh = self.op("Identity", value, name=name)
        self.outputs.append(self._about(fresh, shape))
        return fresh

    def _about(self, name: str, shape: Shape) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(self.dtype), ["batch", *shape])
