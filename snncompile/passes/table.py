"""The table of passes: each once, in the order in which `compile` runs them, with the step that it belongs to.

The driver runs the passes of this table. The names that `--print-after` and `snnc inspect --passes` take, the lines
that `snnc compile` prints, and the tables in docs/passes.md are made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from snncompile.diagnostics import fail, shorten
from snncompile.passes.legalize.canonicalize import Canonicalize
from snncompile.passes.legalize.fold_scales import FoldScales
from snncompile.passes.legalize.form_populations import FormPopulations
from snncompile.passes.legalize.merge_chains import MergeChains
from snncompile.passes.legalize.or_pools import OrPools
from snncompile.passes.legalize.plain_neurons import PlainNeurons
from snncompile.passes.legalize.prompt_resets import PromptResets
from snncompile.passes.legalize.unify_thresholds import UnifyThresholds
from snncompile.passes.pipeline import Pass
from snncompile.passes.quantize.calibrate import Calibration
from snncompile.passes.quantize.prove_ranges import ProveRanges
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.retime.retime import Retime
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.target import Target


@dataclass(frozen=True)
class Choices:
    """What the options of passes follow from.

    Attributes:
        arithmetic: how numbers become integers: the target's arithmetic, with what the user chose.
        own: the arithmetic of populations for which the user chose another one, by name.
        calibration: ranges and rates measured on samples; empty without samples.
        dilate: hardware ticks for each tick of the network, on targets where a hop takes a tick; "auto" for as many as
            the quickest loop needs.
    """

    target: Target
    arithmetic: Arithmetic = field(default_factory=Arithmetic)
    calibration: Calibration = field(default_factory=Calibration)
    dilate: int | Literal["auto"] = 1
    own: Mapping[str, Arithmetic] = field(default_factory=dict)


@dataclass(frozen=True)
class PassEntry:
    """A row of the table.

    Attributes:
        kind: the class of the pass.
        step: the step of a compilation that the pass belongs to.
        make: makes the pass with the options that follow from the choices; gives None where the target does not need
            the pass.
        summary: what the pass does, in one phrase.
    """

    kind: type[Pass]
    step: str
    make: Callable[[Choices], Pass | None]
    summary: str

    @property
    def name(self) -> str:
        return self.kind.name


def _form_populations(choices: Choices) -> Pass:
    return FormPopulations("accumulate" if choices.target.network.graded else "flatten")


def _retime(choices: Choices) -> Pass | None:
    timing, dilate = choices.target.timing, choices.dilate
    if dilate not in (1, "auto") and not (timing.hop_ticks and timing.dilation):
        fail("SNN404", "option dilate", str(dilate),
             f"1: target {shorten(choices.target.name)} takes an input every tick")
    if timing.hop_ticks == 0:
        return None
    return Retime(timing.hop_ticks, timing.max_delay_ticks, timing.relays, choices.target.neurons.programmable,
                  dilate if timing.dilation else 1, choices.target.neurons.state_bits)


# The comment at the end of a line says why the pass stands where it does.
PASSES: list[PassEntry] = [
    PassEntry(Canonicalize, "legalize", lambda c: Canonicalize(),      # first, so that the other passes see fewer nodes
              "removes operators that do nothing, and (with a warning) nodes from which no output is reached"),
    PassEntry(PlainNeurons, "legalize", lambda c: PlainNeurons(),      # its gains are folded into weights later
              "rewrites neurons given as Euler steps, `v + rate (x - v)`, as leaky integrators, `decay v + gain x`"),
    PassEntry(FormPopulations, "legalize", _form_populations,          # the passes below work on projections
              "turns every path of operators between two populations into a projection"),
    PassEntry(PromptResets, "legalize", lambda c: PromptResets(c.target.neurons.reset_times),  # or-pools adds neurons
              "lets neurons reset in the tick of the spike instead of the next one, where the target needs that and no "
              "spike changes"),
    PassEntry(OrPools, "legalize", lambda c: OrPools.of(c.target),     # the next pass may scale the new populations
              "turns max pools into populations, where the target has no max pool"),
    PassEntry(UnifyThresholds, "legalize", lambda c: UnifyThresholds(c.target.neurons.thresholds_per_population),
              "scales the channels of a population to one threshold, where the target has only one a population"),
    PassEntry(FoldScales, "legalize", lambda c: FoldScales(),          # weights are measured for their grid after it
              "multiplies scales, batch norms and average pools into the weights beside them"),
    PassEntry(MergeChains, "legalize", lambda c: MergeChains(c.target.network.operators),  # what is left over
              "multiplies out projections with a linear operator that the target lacks, so that one matrix is left"),
    PassEntry(Quantize, "quantize", lambda c: Quantize(c.arithmetic, c.calibration, c.target, c.own),
              "chooses the real value of one membrane step for each population, and turns all numbers into integers"),
    PassEntry(ProveRanges, "ranges", lambda c: ProveRanges(),
              "bounds every integer, narrows states and outputs to their bounds, and removes operations that have no "
              "effect within them"),
    PassEntry(Retime, "retime", _retime,
              "gives every projection the delay that it has on the hardware; see [time on hardware](retime.md)"),
]


def passes_of(choices: Choices, *steps: str) -> tuple[Pass, ...]:
    """The passes of some steps that the target needs, in the order of the table, with options from the choices.

    Raises:
        CompileError: SNN404 where the target cannot do what was chosen.
    """
    passes = (entry.make(choices) for entry in PASSES if entry.step in steps)
    return tuple(p for p in passes if p is not None)


def names_of(step: str) -> Iterator[str]:
    """The names of the passes of a step."""
    return (entry.name for entry in PASSES if entry.step == step)
