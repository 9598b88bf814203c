"""Every pass once, in the order in which a network meets them, with the step of the line that it belongs to.

The driver runs the passes of this table; `--print-after`, `--time-passes`, `snnc inspect --passes`, the lines that are
printed while a network is compiled, and the table in docs/passes.md are made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
        arithmetic: how numbers become integers; that of the target, with what the user chose.
        calibration: what the network does on samples; nothing is known without them.
        dilate: hardware ticks for each tick of the network, where a hop takes one; "auto" for as many as the quickest
            loop needs.
    """

    target: Target
    arithmetic: Arithmetic = field(default_factory=Arithmetic)
    calibration: Calibration = field(default_factory=Calibration)
    dilate: int | Literal["auto"] = 1


@dataclass(frozen=True)
class Entry:
    """A pass of the line.

    Attributes:
        kind: its class.
        step: the step of the line that it belongs to.
        make: the pass with the options that follow from the choices; None where the target needs no such pass.
        summary: what it does, in a few words.
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


PASSES: tuple[Entry, ...] = (
    Entry(Canonicalize, "legalize", lambda c: Canonicalize(),               # first: less to look at for the rest
          "drops operators that do nothing and nodes that lead to no output (with a warning)"),
    Entry(PlainNeurons, "legalize", lambda c: PlainNeurons(),               # gains that weights take in
          "writes neurons that come as Euler steps in the form that hardware has"),
    Entry(FormPopulations, "legalize", _form_populations,                   # projections, so that scales meet weights
          "turns operators between populations into projections"),
    Entry(PromptResets, "legalize", lambda c: PromptResets(c.target.neurons.reset_times),  # before more are put in
          "lets neurons reset in the tick of the spike, where the target does so and no spike changes"),
    Entry(OrPools, "legalize", lambda c: OrPools.of(c.target),              # populations that the next may scale
          "makes populations of max pools, where the target has none"),
    Entry(UnifyThresholds, "legalize", lambda c: UnifyThresholds(c.target.neurons.thresholds_per_population),
          "scales channels so that one threshold serves them, where the target has only one"),
    Entry(FoldScales, "legalize", lambda c: FoldScales(),                   # before weights are measured for their grid
          "moves scales and average pools into the weights beside them"),
    Entry(MergeChains, "legalize", lambda c: MergeChains(c.target.network.operators),      # what is left has no other
          "makes weights of the linear operators that the target's synapses lack"),
    Entry(Quantize, "quantize", lambda c: Quantize(c.arithmetic, c.calibration, c.target),
          "gives each population a unit and everything else integers"),
    Entry(ProveRanges, "ranges", lambda c: ProveRanges(),
          "bounds every value; narrows states, folds what can only come out one way"),
    Entry(Retime, "retime", _retime,
          "gives projections the ticks that hardware takes"),
)


def passes_of(choices: Choices, *steps: str) -> tuple[Pass, ...]:
    """The passes of some steps of the line, in order, with the options that follow from the choices."""
    return tuple(made for entry in PASSES if entry.step in steps and (made := entry.make(choices)) is not None)


def names_of(step: str) -> Iterator[str]:
    """The names of the passes of a step of the line."""
    return (entry.name for entry in PASSES if entry.step == step)
