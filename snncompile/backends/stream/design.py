"""A design: hardware with its folding, golden vectors as words, and an estimate; printers make files of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snncompile.backends.artifact import Artifact, Golden
from snncompile.backends.backend import Request
from snncompile.backends.network_ticks import in_hardware_ticks
from snncompile.backends.stream.choose import Choice
from snncompile.backends.stream.context import Fold
from snncompile.backends.stream.estimate import Estimate
from snncompile.backends.stream.fold import folds_of
from snncompile.backends.stream.hardware import Hardware, Port
from snncompile.backends.stream.lower import Lowering
from snncompile.backends.stream.memory import XC7
from snncompile.backends.stream.words import words
from snncompile.ir.types import Array
from snncompile.targets.sections import Fabric

GOLDEN_VALUES = 500_000
"""The most values of inputs and outputs that a test bench compares, unless a single sample has more."""


@dataclass(frozen=True)
class Design:
    """What the files of a project are printed from.

    Attributes:
        hardware: the network.
        folds: how each population is folded, by name.
        fabric: the FPGA.
        clock_mhz: the clock that constraints ask for.
        samples: of the golden vectors; 0 without such.
        vectors: the files of the words that enter, and of those that have to leave.
        estimate: what it takes; None without golden vectors.
    """

    hardware: Hardware
    folds: Mapping[str, Fold]
    fabric: Fabric
    clock_mhz: int
    samples: int
    vectors: Mapping[str, str]
    estimate: Estimate | None

    @classmethod
    def of(cls, request: Request) -> Design:
        """The design that a request asks for.

        Raises:
            CompileError: SNN410 for projections that have no form as a stream, SNN404 for a folding that cannot be,
                SNN416 for a network that does not fit, SNN420 for a demand that no folding meets.
        """
        graph, fabric, folding, own = request.graph, request.target.fabric, request.folding, request.folded
        clock = folding.clock_of(fabric)
        if request.golden is None:
            lowering = Lowering(graph, folding.chains or 1, fabric if fabric.bank_shapes else XC7)
            folds = folds_of(lowering, folding, own)
            return cls(lowering.hardware(folds), folds, fabric, clock, 0, {}, None)
        folds, hardware, found = Choice.of(graph, request.measured, fabric, folding, own).run()
        golden = in_hardware_ticks(request.golden, graph)
        samples = _samples(golden)
        return cls(hardware, folds, fabric, clock, samples, _vectors(hardware, golden, samples), found)

    @property
    def weight_bytes(self) -> int:
        """The bytes of all weights."""
        return sum(s.words.size * s.weight_bits for s in self.hardware.stages) // 8

    @property
    def standing(self) -> tuple[Port, ...]:
        """The inputs whose frames can be sent once while they stand still."""
        return tuple(p for p in self.hardware.inputs if p.stream.stands)

    @property
    def rows_in_order(self) -> bool:
        """Whether an input is read by a stage that keeps the sums of a few rows."""
        names = {p.stream.name for p in self.hardware.inputs}
        return any(s.lines and s.links[0].stream.name in names for s in self.hardware.stages)

    @property
    def scripted(self) -> bool:
        """Whether there are scripts: for devices of a family that they know, with a name."""
        return self.fabric.family is not None and self.fabric.device is not None

    def artifact(self, files: Mapping[str, str | bytes]) -> Artifact:
        """What a backend returns for some files."""
        figures: dict[str, Any] = self.estimate.to_json() if self.estimate else {}
        return Artifact({**files, **self.vectors}, {"weights": self.weight_bytes}, figures,
                        {name: fold.options for name, fold in self.folds.items()})


def _samples(golden: Golden) -> int:
    """How many samples of golden vectors a test bench compares."""
    arrays: list[Array] = [*golden.inputs.values(), *golden.outputs.values()]
    return max(1, min(len(arrays[0]), GOLDEN_VALUES // max(1, sum(int(v[0].size) for v in arrays))))


def _vectors(hardware: Hardware, golden: Golden, samples: int) -> dict[str, str]:
    """The files of the words that enter and of those that have to leave."""
    def of(kind: str, ports: tuple[Port, ...], values: Mapping[str, Array]) -> dict[str, str]:
        return {f"{kind}_{p.name}.hex": words(p.stream, values[p.label][:samples]) for p in ports}

    return {**of("in", hardware.inputs, golden.inputs), **of("expected", hardware.outputs, golden.outputs)}
