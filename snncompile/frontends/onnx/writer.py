"""Collects the nodes, initializers, inputs and outputs of an ONNX model, and gives each a name of its own."""

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
    """A step function under construction.

    Its methods take and return names of ONNX tensors, whose first axis is the batch axis.

    Attributes:
        dtype: the dtype of all arithmetic: float64, float32 or int64.
        initializers: the constant arrays, by name.
        taken: all names in use.
    """

    dtype: np.dtype[Any]
    nodes: list[NodeProto] = field(default_factory=list)
    initializers: dict[str, TensorProto] = field(default_factory=dict)
    inputs: list[ValueInfoProto] = field(default_factory=list)
    outputs: list[ValueInfoProto] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        """Whether the arithmetic is in integers."""
        return self.dtype.kind == "i"

    @property
    def native(self) -> bool:
        """Whether ONNX Runtime has every layer operator in this dtype; it has Conv for float32 only."""
        return self.dtype == np.float32

    def fresh(self, name: str) -> str:
        """The name, with a number behind it where it is taken; marks the result as taken."""
        new, count = name or "_", 1
        while new in self.taken:
            count += 1
            new = f"{name}_{count}"
        self.taken.add(new)
        return new

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node of one output, and return that output's name."""
        output = self.fresh(name or kind.lower())
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def cast(self, value: str, dtype: Any) -> str:
        return self.op("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def stored(self, array: Array) -> str:
        """The name of an initializer with exactly these values; it is their digest, as in the text form."""
        name = digest(array)
        if name not in self.initializers:
            self.taken.add(name)
            self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def constant(self, value: Any) -> str:
        """The name of a number or array, cast to the dtype of the arithmetic where it has another one."""
        array = np.asarray(value)
        if array.ndim == 0:
            return self.stored(array.astype(self.dtype))
        return self.stored(array) if array.dtype == self.dtype else self.cast(self.stored(array), self.dtype)

    def integers(self, *values: int) -> str:
        """The name of an int64 vector, such as a shape, axes, or amounts of padding."""
        return self.stored(np.array(values, np.int64))

    def reshape(self, value: str, *shape: int) -> str:
        """A value in another shape, which is given without the batch axis."""
        return self.op("Reshape", value, self.integers(0, *shape))

    def enter(self, name: str, shape: Shape) -> str:
        """Add an input to the step function, of a shape without the batch axis, and return its name."""
        fresh = self.fresh(name)
        self.inputs.append(self._about(fresh, shape))
        return fresh

    def leave(self, name: str, value: str, shape: Shape) -> str:
        """Add an output to the step function, of a shape without the batch axis, and return its name."""
        fresh = self.op("Identity", value, name=name)
        self.outputs.append(self._about(fresh, shape))
        return fresh

    def _about(self, name: str, shape: Shape) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(self.dtype), ["batch", *shape])
