"""Folding: how much of a network an FPGA computes in a clock cycle, and how fast it has to be.

The fields of `Folding` are the only list of these options: keyword arguments of `compile`, options of the command line,
and tables of a file of layers are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snncompile.targets.figures import OptionGroup, choice, figure, flag, real, whole

if TYPE_CHECKING:
    from snncompile.targets.sections import Fabric

DEFAULT_MHZ = 100
FOLDED_LAYER = ("lanes", "units", "queue", "lines", "memory")
"""The options that a layer can have for itself; see `layer_options`."""


@dataclass(frozen=True)
class Folding(OptionGroup):
    """How a network is folded; None leaves a choice to the compiler.

    Attributes:
        lanes: how many weights each population adds up in a clock cycle.
        units: how many neurons each population updates in a clock cycle: a power of two that divides the lanes.
        queue: how many words can wait in front of a population, so that the one before it need not; 1 is a register.
            Where a whole tick has to have room, so that no network waits for ever, it has.
        lines: whether populations keep the sums of a few rows only, and update each row as soon as nothing more can
            reach it (a line buffer), where that is possible: where a population has a single projection that reaches
            several rows, and each event only some of them. Events have to enter in the order of their rows.
        memory: what the memories of populations become: blocks, or distributed over look-up tables; what suits their
            sizes otherwise.
        chains: how many carry chains a value passes between two registers of a neuron unit: fewer registers and cycles,
            and a slower clock.
        clock_mhz: the clock for which latencies are told, and constraints are written; that of the target otherwise.
        fastest: fold it for speed, with as much of the device as it takes.
        latency_us: the longest time from the first word of a sample to its last result.
        samples_per_s: the least number of samples that are taken in a second.

    Raises:
        CompileError: SNN404 with every option that has another value.
    """

    lanes: int | None = whole("Weights that a population adds up in a clock cycle.", 1, high=1024)
    units: int | None = whole("Neurons that a population updates in a clock cycle.", 1, high=64)
    queue: int | None = whole("Words that wait in front of a population.", 1, high=65536)
    lines: bool | None = figure("flag", "Keep the sums of a few rows only, and update each row early.")
    memory: str | None = choice("What memories become.", ("block", "distributed"))
    chains: int | None = whole("Carry chains between two registers of a neuron unit.", 1, high=8)
    fastest: bool = flag("Fold for speed, with as much of the device as it takes.", False)
    clock_mhz: int | None = whole("Frequency of the clock, in MHz.", 1, high=2000)
    latency_us: float | None = real("Longest time for a sample, in microseconds.")
    samples_per_s: float | None = real("Samples that are taken in a second, at least.")

    def clock_of(self, fabric: Fabric) -> int:
        """The clock that times are told for, in MHz: as asked, else that of the target, else DEFAULT_MHZ."""
        return self.clock_mhz or fabric.clock_mhz or DEFAULT_MHZ
