"""Building blocks for the tables of neuron classes: how a class is read, and which of its options are exact or refused.

The tables of the frameworks are made of these, and the page `docs/frameworks.md` is generated from the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.frontends.torch.cells import Cell
from snncompile.frontends.torch.numberless import is_bare, shape_only
from snncompile.ir.stand_ins import stand_in
from snncompile.ir.types import Shape, ShapeOnly

NEURON_MODULE_HELP = "describe the module yourself with @snncompile.neuron_module"


def qualified_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


@dataclass(frozen=True)
class ParameterReader:
    """Reads the parameters of one neuron module.

    Attributes:
        module: the neuron module.
        shape: shape of one tick of its input, without the batch.
        path: path of the module in the network, for diagnostics.
    """

    module: Any
    shape: Shape
    path: str

    def refuse(self, found: str, expected: str = "", help: str = NEURON_MODULE_HELP) -> NoReturn:
        """Raise SNN104: no neuron rule computes exactly what this module computes."""
        fail("SNN104", self.place, found, expected, help)

    @property
    def place(self) -> str:
        return f"module {shorten(self.path)} ({qualified_name(type(self.module))})"

    def number(self, value: Any, name: str) -> Any:
        """A parameter as a number, or as a float64 array that broadcasts to the shape of the layer.

        For a tensor without numbers, the shape of such an array.

        Args:
            value: a number or tensor.
            name: of the parameter, for the diagnostic.

        Raises:
            CompileError: SNN203 where the value is not finite or does not broadcast.
        """
        array = as_array(value)
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            fail("SNN203", f"{self.place}, {name}", "not a finite number")
        if array.size == 1:
            return ShapeOnly(()) if is_bare(value) else float(array.reshape(()))
        while array.ndim > len(self.shape) and array.shape[0] == 1:
            array = array[0]
        try:
            fits = np.broadcast_shapes(array.shape, self.shape) == self.shape
        except ValueError:
            fits = False
        if not fits:
            fail("SNN203", f"{self.place}, {name}", f"shape {list(array.shape)}", f"one that broadcasts to "
                 f"{list(self.shape)}, the shape of the layer")
        return ShapeOnly(array.shape) if is_bare(value) else array


def weights(value: Any) -> Any:
    """A tensor of weights as a float64 array; for a tensor without numbers, its shape."""
    return shape_only(value) if is_bare(value) else as_array(value)


def as_array(value: Any) -> Any:
    """A number or tensor as a float64 array; an array of None for anything else.

    For a tensor without numbers, different numbers between 0.9 and 1: what is decided by them is decided as for most
    trained parameters.
    """
    if is_bare(value):
        return stand_in(tuple(value.shape), 1.0)
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError):
        return np.array(None)


@dataclass(frozen=True)
class Refusal:
    """An option of a neuron class that no neuron rule represents exactly.

    Attributes:
        option: the option, in the words of the framework.
        why: the reason for the refusal.
        applies: whether a module uses the option.
    """

    option: str
    why: str
    applies: Callable[[Any], bool]


@dataclass(frozen=True)
class NeuronClass:
    """A supported neuron class. It is a `CellReader`: called with a module, the shape of a tick and a path.

    Attributes:
        read: the function that makes the cell.
        exact: the options that are represented exactly, in the words of the framework.
        refused: the options that are refused.
        note: a remark for the user.
    """

    read: Callable[[ParameterReader], Cell]
    exact: tuple[str, ...]
    refused: tuple[Refusal, ...] = ()
    note: str = ""

    def __call__(self, module: Any, shape: Shape, path: str) -> Cell:
        reader = ParameterReader(module, shape, path)
        try:
            for refusal in self.refused:
                if refusal.applies(module):
                    reader.refuse(refusal.option, refusal.why)
            return self.read(reader)
        except (AttributeError, LookupError, TypeError, ValueError, RuntimeError, ArithmeticError) as e:
            reader.refuse(f"attributes of other types than the class has in the known release: {shorten(e)}",
                          "the release of the framework that docs/frameworks.md names, or a similar one")


@dataclass(frozen=True)
class Unsupported:
    """A neuron class that no neuron rule represents exactly, and the reason. A `CellReader` that always refuses."""

    why: str

    def __call__(self, module: Any, shape: Shape, path: str) -> Cell:
        ParameterReader(module, shape, path).refuse("a neuron class that is not supported", self.why)


NeuronEntry: TypeAlias = NeuronClass | Unsupported
NeuronTable: TypeAlias = Mapping[str, NeuronEntry]


def unsupported(package: str, why: str, *names: str) -> dict[str, Unsupported]:
    """Table entries for classes of a package that are refused for the same reason."""
    return {f"{package}.{name}": Unsupported(why) for name in names}
