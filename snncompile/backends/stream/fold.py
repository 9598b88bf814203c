"""The folding of a network: how many lanes, neuron units and waiting words each population has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snncompile.backends.plan.layouts import as_image
from snncompile.backends.stream.context import Fold
from snncompile.backends.stream.lower import Lowering
from snncompile.backends.stream.memory import BLOCK, DISTRIBUTED
from snncompile.diagnostics import Collector, shorten
from snncompile.targets.folding import Folding


def folds_of(lowering: Lowering, folding: Folding, own: Mapping[str, Mapping[str, Any]]) -> dict[str, Fold]:
    """The folding of each population, by name.

    Args:
        folding: of the whole network. A population with fewer channels than lanes has as many as channels, and the most
            units up to those that its lanes allow; it keeps the sums of a few rows where it can.
        own: options of single populations.

    Raises:
        CompileError: SNN404 for a population that has more lanes of its own than channels, units that its lanes do not
            allow, lines where it has to keep all rows, or memories that the device does not have.
    """
    return _Folds(lowering, folding, own).all()


class _Folds:
    def __init__(self, lowering: Lowering, folding: Folding, own: Mapping[str, Mapping[str, Any]]):
        self.lowering, self.folding, self.own = lowering, folding, own
        self.problems = Collector()

    def all(self) -> dict[str, Fold]:
        found = {name: self._of(name, self.own.get(name, {})) for name in self.lowering.graph.populations}
        self.problems.finish()
        return found

    def _of(self, name: str, given: Mapping[str, Any]) -> Fold:
        lanes = self._lanes(name, given)
        legal = legal_units(lanes)
        units = given.get("units") or max(n for n in legal if n <= (self.folding.units or 1))
        if units not in legal:
            nearest = min(legal, key=lambda n: abs(n - units))
            self._refuse(name, "units", f"{units} with {lanes} lanes", ", ".join(map(str, legal)), nearest)
        return Fold(lanes, units, given.get("queue") or self.folding.queue or 1, self._lines(name, given),
                    self._memory(name, given))

    def _lanes(self, name: str, given: Mapping[str, Any]) -> int:
        channels = as_image(self.lowering.graph.shapes[name])[0]
        lanes = int(given.get("lanes") or min(self.folding.lanes or 1, channels))
        if lanes > channels:
            self._refuse(name, "lanes", f"{lanes} for {channels} channels", f"1 to {channels}", channels)
        return min(lanes, channels)

    def _lines(self, name: str, given: Mapping[str, Any]) -> bool:
        asked = given.get("lines", self.folding.lines)
        if asked and name not in self.lowering.lineable:
            if given.get("lines"):
                self._refuse(name, "lines", "true, but no row is complete before the end of a tick",
                             "false, or a single projection of which each event reaches some rows", "false")
            return False
        return bool(asked)

    def _memory(self, name: str, given: Mapping[str, Any]) -> str | None:
        asked: str | None = given.get("memory", self.folding.memory)
        if asked == DISTRIBUTED and not self.lowering.fabric.lut_memory_bits:
            self._refuse(name, "memory", f"{asked} on a device whose look-up tables are no memories", BLOCK,
                         f'"{BLOCK}"')
        return asked

    def _refuse(self, name: str, option: str, found: str, legal: str, nearest: object) -> None:
        self.problems.error("SNN404", f"options of population {shorten(name)}, {option}", found, legal,
                            f"{option} = {nearest}")


def legal_units(lanes: int) -> list[int]:
    """The powers of two that divide a number of lanes.

    >>> legal_units(12)
    [1, 2, 4]
    """
    return [1 << bit for bit in range(lanes.bit_length()) if lanes % (1 << bit) == 0]
