"""Token mixing that multiplies every value, whether it is 0 or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.kernels.kernel import Site, Weighted
from snncompile.backends.plan.layouts import Geometry


@dataclass(frozen=True)
class MixDense(Weighted):
    """Adds, for each output token and each input token, the channels of the input token times the weight of their head.

    Example: one head of 3 channels and the weights (2, -1) from 2 tokens to one. Tokens of the values (5, 1, 0) and
    (1, 0, 3) add 2 (5, 1, 0) - (1, 0, 3) = (9, 2, -3) to the sums of the output token. Channels lie last, so that the
    values and the sums of one token are neighbours, and one weight multiplies a run of them.

    It applies to every token mixing. It costs 1 for each synapse and wins where more of the source is active than
    `mix_event` allows.

    It calls no helper and needs no scratch memory.

    Attributes:
        weight: `[out][in][head]`.
        geometry: tokens are columns; a group is a head.
    """

    name: ClassVar[str] = "mix_dense"
    geometry: Geometry

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.mixes

    @classmethod
    def make(cls, site: Site) -> MixDense:
        weight = site.contiguous(site.weight.transpose(1, 2, 0))
        return cls(site.source.buffer, site.dst, weight, site.geometry)
