"""Fully connected layer that multiplies every synapse, whether its input is active or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.kernels.kernel import Helper, Site, Weighted


@dataclass(frozen=True)
class LinearDense(Weighted):
    """Adds to each output the scalar product of the source with the output's row of weights.

    Example: weights `[out][in]` of `[[1, 2, 3], [0, -1, 1]]` and a source of (1, 0, 2) add 7 and 2.

    It applies to every fully connected layer. It costs 1 for each synapse and wins where more than half of the source
    is active, since `linear_event` costs 2 for each synapse of an active input.

    It calls the helper "dot" and needs no scratch memory.

    Attributes:
        weight: `[out][in]`, `in` in the order in which the source lies.
    """

    name: ClassVar[str] = "linear_dense"

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.linear

    @classmethod
    def make(cls, site: Site) -> LinearDense:
        return cls(site.source.buffer, site.dst, site.contiguous(site.weight[:, :, 0, 0]))

    @property
    def helpers(self) -> tuple[Helper, ...]:
        return (Helper("dot", (self.src, self.weight, self.dst)),)
