"""The kernels for operators with weights, and the choice between them: the cheapest one that applies is taken."""

from __future__ import annotations

from collections.abc import Mapping

from snncompile.backends.plan.kernels.conv_dense import ConvDense
from snncompile.backends.plan.kernels.conv_depthwise import ConvDepthwise
from snncompile.backends.plan.kernels.conv_pairs import ConvPairs
from snncompile.backends.plan.kernels.conv_runs import ConvRuns
from snncompile.backends.plan.kernels.conv_table import ConvTable
from snncompile.backends.plan.kernels.conv_taps import ConvTaps
from snncompile.backends.plan.kernels.kernel import Site, Weighted
from snncompile.backends.plan.kernels.linear_bits import LinearBits
from snncompile.backends.plan.kernels.linear_dense import LinearDense
from snncompile.backends.plan.kernels.linear_event import LinearEvent
from snncompile.backends.plan.kernels.linear_words import LinearWords
from snncompile.backends.plan.kernels.mix_dense import MixDense
from snncompile.backends.plan.kernels.mix_event import MixEvent
from snncompile.backends.plan.kernels.packed import Packed

WEIGHTED: tuple[type[Weighted], ...] = (
    Packed, ConvDepthwise, LinearEvent, LinearDense, ConvTable, ConvRuns, ConvTaps, ConvDense, MixEvent, MixDense,
    LinearWords, LinearBits, ConvPairs)
"""All kernels with weights. Of two with the same cost, the one that stands first is taken."""


def choose(site: Site, costs: Mapping[str, float]) -> Weighted:
    """Make the cheapest kernel for an operator with weights.

    All kernels that apply to an operator compute the same sums, so that only speed and memory depend on the choice.

    Args:
        site: the operator, with what it reads and what it adds to.
        costs: what a synapse costs with each kernel, by the kernel's name, where a synapse of a dense kernel costs 1.
            Kernels that are not in it have their `relative_cost`. The shipped costs are the table `[kernels]` of
            `snncompile/targets/chips/profiles.toml`; a target file may hold its own.
    """
    able = [kind for kind in WEIGHTED if kind.applies(site)]
    return min(able, key=lambda kind: kind.cost(site, costs)).make(site)
