"""What a neuron unit computes, in NumPy: by it the unit is compared with the program that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snncompile.backends.stream.wires import NeuronUnit
from snncompile.ir.operations import shift_right, width, wrap
from snncompile.ir.types import Array

COMPUTED: Mapping[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply,
    "ge": lambda a, b: np.where(a >= b, 1, 0), "gt": lambda a, b: np.where(a > b, 1, 0),
    "negative": lambda a: np.where(a < 0, 1, 0), "both": np.multiply, "either": np.maximum,
    "sub-gated": lambda a, b, c: a - np.where(c != 0, b, 0),
    "choose": lambda c, a, b: np.where(c != 0, a, b),
}
"""The operations of wires that need no constant; those with one are `shl`, `shr`, `saturate`, `low` and `rom`."""


def evaluate(unit: NeuronUnit, leaf: Callable[[str, Any], Array], tables: Mapping[str, Array]) -> list[Array]:
    """The value of each wire, an array of Python's integers: what is left of it in the bits of the wire.

    Args:
        leaf: gives the values of a leaf, by its operation and its value: a parameter, state or accumulator.
        tables: the look-up tables by name.
    """
    values: list[Array] = []

    def put(value: Any) -> None:
        values.append(np.asarray(wrap(np.asarray(value, object), wire.bits)))

    for wire in unit.wires:
        args = [values[a] for a in wire.args]
        match wire.op:
            case "const":
                put(wire.value)
            case "param" | "state" | "sum":
                put(leaf(wire.op, wire.value))
            case "shl":
                put((args[0] << wire.value[0]) + wire.value[1])
            case "shr":
                put(shift_right(args[0], wire.value, "floor"))
            case "round":
                put(shift_right(args[0], wire.value, "nearest"))
            case "add-rounded":
                put(args[0] + shift_right(args[1], wire.value, "nearest"))
            case "saturate":
                put(np.clip(args[0], *width(wire.value)))
            case "low":
                put(wrap(args[0], wire.value))
            case "rom":
                put(np.asarray(tables[wire.value])[args[0].astype(np.int64)])
            case _:
                put(COMPUTED[wire.op](*args))
    return values
