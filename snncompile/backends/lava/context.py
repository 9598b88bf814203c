"""The context of the Lava templates: process classes, processes, synapses, and what is recorded.

A `key` names a process in the emitted program; a `label` is a text for a comment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snncompile.ir.types import Array, Json

Arguments = tuple[tuple[str, str], ...]
"""Keyword arguments of a process: names and Python expressions."""


@dataclass(frozen=True)
class InputPort:
    """A port of a process class, at which the sums of synapses arrive.

    Attributes:
        name: of the port in the class.
        times: the name of the variable that the sum is multiplied by; None where it is not.
    """

    name: str
    times: str | None


@dataclass(frozen=True)
class Kind:
    """A process class that is generated for one integer program, in a folder of its own.

    Attributes:
        folder, name: of the class.
        rule: the name of the neuron rule, for a comment.
        ports: where synapses arrive.
        states, constants: the names of its variables.
        lines: assignments that compute the update of all neurons, each a name and a Python expression.
        nexts: for each state its name and the operand of its next value.
        output: the operand of what the neurons emit.
    """

    folder: str
    name: str
    rule: str
    ports: tuple[InputPort, ...]
    states: tuple[str, ...]
    constants: tuple[str, ...]
    lines: tuple[tuple[str, str], ...]
    nexts: tuple[tuple[str, str], ...]
    output: str


@dataclass(frozen=True)
class Process:
    """A process that stands for a population, or for a delay line.

    Attributes:
        kind: the name of its class.
        size: the number of its neurons or values.
    """

    key: str
    label: str
    kind: str
    size: int
    arguments: Arguments


@dataclass(frozen=True)
class Connection:
    """A process of synapses, between a port that sends and one that receives.

    Attributes:
        kind: "Sparse" for Lava's own process, "Synapses" for the generated one.
        source, target: the ports, as Python expressions.
    """

    key: str
    label: str
    kind: str
    source: str
    target: str
    arguments: Arguments


@dataclass(frozen=True)
class Record:
    """A port or variable whose values are recorded in each tick.

    Attributes:
        expression: the Python expression of the port or variable.
        size: the number of its values.
        type: the NumPy type in which they are written.
    """

    expression: str
    size: int
    type: str


@dataclass(frozen=True)
class Net:
    """The whole network as the templates see it.

    Attributes:
        package: the name of the emitted Python package.
        inputs: the number of values of each input in a tick.
        kinds: the generated process classes.
        delays: the delay lines, each with the port that it reads.
        emitted, states: what is recorded, in the order of the manifest.
        arrays: weights and parameters that the program loads, by name.
        registers: the arguments of Lava's LIF of each population that is one, by the population's name.
        manifest: names, shapes and ticks, for the program that runs the network.
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
        """Whether any process is of the class with this name."""
        processes = (*self.populations, *(d for d, _ in self.delays))
        return kind in {p.kind for p in processes} | {s.kind for s in self.synapses}
