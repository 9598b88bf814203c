"""What is known of a neuron class: how it is read, which options are exact, which are refused and why.

The tables of the frameworks are made of these; so is the page `docs/frameworks.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.frontends.torch.cells import Cell
from snncompile.ir.types import Shape

OWN_RULE = "describe the module yourself with @snncompile.neuron_module"


def qualified_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


@dataclass(frozen=True)
class Reading:
    """A neuron module while it is read.

    Attributes:
        shape: of one tick of its input, without batch and time.
        path: of the module inside its network, for diagnostics.
    """

    module: Any
    shape: Shape
    path: str

    def refuse(self, found: str, limit: str = "", help: str = OWN_RULE) -> NoReturn:
        """Raise SNN104: this module computes something that no rule says exactly."""
        fail("SNN104", self.place, found, limit, help)

    @property
    def place(self) -> str:
        return f"module {shorten(self.path)} ({qualified_name(type(self.module))})"

    def number(self, value: Any, name: str) -> Any:
        """A parameter as a number, or as a float64 array that broadcasts against the shape.

        Raises:
            CompileError: SNN203 where it is not finite or does not broadcast.
        """
        array = as_array(value)
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            fail("SNN203", f"{self.place}, {name}", "not a finite number")
        if array.size == 1:
            return float(array.reshape(()))
        while array.ndim > len(self.shape) and array.shape[0] == 1:
            array = array[0]
        try:
            fits = np.broadcast_shapes(array.shape, self.shape) == self.shape
        except ValueError:
            fits = False
        if not fits:
            fail("SNN203", f"{self.place}, {name}", f"shape {list(array.shape)}", f"one that broadcasts to "
                 f"{list(self.shape)}, the shape of the layer")
        return array


def as_array(value: Any) -> Any:
    """A number or tensor as a float64 array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError):
        return np.array(None)


@dataclass(frozen=True)
class Refusal:
    """An option that is refused: its words, why, and whether a module uses it."""

    option: str
    why: str
    applies: Callable[[Any], bool]


@dataclass(frozen=True)
class NeuronClass:
    """A neuron class that is read exactly. Called with a module, the shape of a tick and a path, it gives the cell.

    Attributes:
        exact: the options that are read, in the framework's words.
        note: what else a user should know.
    """

    read: Callable[[Reading], Cell]
    exact: tuple[str, ...]
    refused: tuple[Refusal, ...] = ()
    note: str = ""

    def __call__(self, module: Any, shape: Shape, path: str) -> Cell:
        reading = Reading(module, shape, path)
        try:
            for refusal in self.refused:
                if refusal.applies(module):
                    reading.refuse(refusal.option, refusal.why)
            return self.read(reading)
        except (AttributeError, LookupError, TypeError, ValueError, RuntimeError, ArithmeticError) as e:
            reading.refuse(f"attributes of another kind than the class has here: {shorten(e)}",
                           "the version of the framework that docs/frameworks.md was made for, or one like it")


@dataclass(frozen=True)
class Unsupported:
    """A neuron class that no rule says exactly, and why."""

    why: str

    def __call__(self, module: Any, shape: Shape, path: str) -> Cell:
        Reading(module, shape, path).refuse("a neuron class that is not supported", self.why)


Known: TypeAlias = NeuronClass | Unsupported
Table: TypeAlias = Mapping[str, Known]


def unsupported(package: str, why: str, *names: str) -> dict[str, Unsupported]:
    """Entries of a table for classes that are refused for the same reason."""
    return {f"{package}.{name}": Unsupported(why) for name in names}
