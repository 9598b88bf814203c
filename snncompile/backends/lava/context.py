"""The frozen context that the Lava templates print: process classes, processes, synapses, and what is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snncompile.ir.types import Array, Json

Arguments = tuple[tuple[str, str], ...]
"""Keyword arguments of a process: names and Python expressions."""


@dataclass(frozen=True)
class Entry:
    """A port through which synapses reach a population, and the variable that multiplies their sum, if any."""

    port: str
    times: str | None


@dataclass(frozen=True)
class Kind:
    """A generated process class, in a folder of its own.

    Attributes:
        states, constants: variables, by name in the class.
        lines: assignments, each a name and an expression.
        nexts: states and the operands that they become.
    """

    folder: str
    name: str
    rule: str
    entries: tuple[Entry, ...]
    states: tuple[str, ...]
    constants: tuple[str, ...]
    lines: tuple[tuple[str, str], ...]
    nexts: tuple[tuple[str, str], ...]
    output: str


@dataclass(frozen=True)
class Process:
    """A population, or a delay line."""

    key: str
    label: str
    kind: str
    size: int
    arguments: Arguments


@dataclass(frozen=True)
class Connection:
    """A projection: synapses between a port that sends and one that receives. Ports are Python expressions."""

    key: str
    label: str
    kind: str
    source: str
    target: str
    arguments: Arguments


@dataclass(frozen=True)
class Record:
    """Values that are kept for every tick: the port or variable, their number, and their NumPy type."""

    what: str
    size: int
    type: str


@dataclass(frozen=True)
class Net:
    """The whole network as the templates see it, and the arrays that the program loads.

    `registers` are those of the populations that are Lava's own LIF, by name.
    """

    package: str
    label: str
    inputs: tuple[int, ...]
    kinds: tuple[Kind, ...]
    populations: tuple[Process, ...]
    delays: tuple[tuple[Process, str], ...]
    synapses: tuple[Connection, ...]
    emitted: tuple[Record, ...]
    states: tuple[Record, ...]
    arrays: Mapping[str, Array]
    registers: Mapping[str, Mapping[str, Any]]
    manifest: Json

    def uses(self, kind: str) -> bool:
        """Whether any process is of this class."""
        processes = (*self.populations, *(d for d, _ in self.delays))
        return kind in {p.kind for p in processes} | {s.kind for s in self.synapses}
