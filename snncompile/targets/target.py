"""Targets as data. Passes and backends decide by the figures of a target, never by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.figures import Figure, FigureReader, Origin
from snncompile.targets.sections import (
    SECTIONS,
    Board,
    Costs,
    Fabric,
    Limits,
    Memory,
    Mesh,
    Network,
    Neurons,
    Registers,
    Timing,
    Weights,
)


@dataclass(frozen=True)
class Target:
    """The hardware that networks are compiled for.

    Attributes:
        name: the name by which it is loaded.
        title: its name in words.
        backend: the name of the backend that emits programs for it; None where networks can only be checked,
            partitioned and costed.
        provisional: whether there is too little public evidence to rely on its figures.
        arithmetic: the options of the integer representation that the user does not choose.
        neurons, registers, network, weights, limits, timing, memory, mesh, fabric, board: the sections of its
            description; see `sections`.
        costs: cost profiles by name.
        kernels: the time that a synapse takes with each kernel of an emitted program, by the name of the kernel,
            relative to a dense kernel.
        origins: where each figure comes from, by `section.name`, or `costs.PROFILE.name` for those of a profile.
    """

    name: str
    title: str
    backend: str | None = None
    provisional: bool = False
    arithmetic: Arithmetic = field(default_factory=Arithmetic)
    neurons: Neurons = field(default_factory=Neurons)
    registers: Registers = field(default_factory=Registers)
    network: Network = field(default_factory=Network)
    weights: Weights = field(default_factory=Weights)
    limits: Limits = field(default_factory=Limits)
    timing: Timing = field(default_factory=Timing)
    memory: Memory = field(default_factory=Memory)
    mesh: Mesh = field(default_factory=Mesh)
    fabric: Fabric = field(default_factory=Fabric)
    board: Board = field(default_factory=Board)
    costs: Mapping[str, Costs] = field(default_factory=dict)
    kernels: Mapping[str, float] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False, repr=False)

    def origin(self, key: str) -> Origin:
        """Where the figure `section.name` comes from."""
        return self.origins.get(key, Origin())

    def figures(self) -> Iterator[Figure]:
        """The figures that the description gives, section by section, without those that it leaves out."""
        sections = {name: getattr(self, name) for name in SECTIONS}
        sections |= {f"costs.{name}": profile for name, profile in self.costs.items()}
        for section, values in sections.items():
            for f in dataclasses.fields(values):
                key = f"{section}.{f.name}"
                if key in self.origins:
                    yield Figure(key, getattr(values, f.name), f.metadata["what"], self.origins[key])

    def with_(self, **changes: Any) -> Target:
        """A variant of this target with other figures.

        Args:
            changes: figures by their names, without the section, since no two sections have a figure of the same name.
                None removes a limit. `backend` is the name of another backend.

        Raises:
            CompileError: SNN102 for a figure that targets do not have, or a value that it cannot have.
        """
        sections = {f.name: section for section, kind in SECTIONS.items() for f in dataclasses.fields(kind)}
        reader = FigureReader("", self.name, "")
        chosen: dict[str, dict[str, Any]] = {}
        variant: dict[str, Any] = {"origins": {**self.origins}}
        for name, value in changes.items():
            if name == "backend":
                if not isinstance(value, str):
                    reader.wrong("", name, repr(value), "the name of a backend")
                variant["backend"] = value
            elif name in sections:
                chosen.setdefault(sections[name], {})[name] = value
            else:
                reader.unknown("", name, ("backend", *sections))
        for section, values in chosen.items():
            figures = reader.figures(section, SECTIONS[section], values, lifting=True)
            variant[section] = dataclasses.replace(getattr(self, section), **figures)
            variant["origins"] |= {f"{section}.{n}": Origin(f"a variant of {self.name}") for n in values}
        reader.problems.finish()
        return dataclasses.replace(self, **variant)
