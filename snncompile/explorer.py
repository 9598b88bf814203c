"""`explore`: how fast a network can be on an FPGA, and what each speed takes of the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snncompile.diagnostics import fail, shorten
from snncompile.targets.folding import Folding
from snncompile.targets.layer_options import Layers, folded, split
from snncompile.targets.load import load_target
from snncompile.targets.target import Target

if TYPE_CHECKING:
    from snncompile.model import CompiledModel


@dataclass(frozen=True)
class Point:
    """One folding of a network, and what it takes.

    Attributes:
        layers: the folding of each population, as `compile` takes it in `layers`.
        figures: cycles, times, and cells of the device, by name, as in the report of a compilation.
    """

    layers: Mapping[str, Mapping[str, int]]
    figures: Mapping[str, Any]

    @property
    def cycles(self) -> int:
        """The most cycles of a recorded sample."""
        return int(max(self.figures["cycles"]))

    @property
    def takes(self) -> tuple[int, ...]:
        """Cycles and cells, of which less is better."""
        return (self.cycles, *(self.figures[n] or 0 for n in ("luts", "flip_flops", "blocks", "multipliers")))


def explore(model: CompiledModel, target: str | Path | Target, layers: Layers = None, **folding: Any
            ) -> tuple[Point, ...]:
    """The foldings of a compiled network of which none takes less of everything, the smallest first.

    They lie on the way from the smallest to the fastest that fits, on which the busiest population is made faster in
    each step; other foldings may lie between them.

    Args:
        model: what `compile` returned; its golden vectors are the samples whose cycles are counted.
        target: an FPGA.
        layers: folding of single populations, which is kept.
        folding: options of `targets.folding.Folding`, such as `clock_mhz`.

    Raises:
        CompileError: SNN404 for a target that is no FPGA, SNN416 for a network that does not fit.
    """
    from snncompile.backends.stream.choose import Choice

    chosen = load_target(target)
    if not chosen.fabric.bank_shapes:
        fail("SNN404", "option target", shorten(chosen.name), "an FPGA", "see `snnc targets`")
    whole, by_layer = split(folding, layers)
    choice = Choice.of(model.mapped, model.golden.inputs, chosen.fabric, Folding(**whole), folded(by_layer))
    points = [Point({name: fold.options for name, fold in folds.items()}, choice.estimated(folds).to_json())
              for folds, _ in choice.points()]
    return tuple(p for p in points if not any(_beats(q.takes, p.takes) for q in points))


def _beats(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
