"""The kernels for layers with weights, and the choice between them: the cheapest that applies."""

from __future__ import annotations

from collections.abc import Mapping

from snncompile.backends.plan.kernels.conv_dense import ConvDense
from snncompile.backends.plan.kernels.conv_depthwise import ConvDepthwise
from snncompile.backends.plan.kernels.conv_runs import ConvRuns
from snncompile.backends.plan.kernels.conv_taps import ConvTaps
from snncompile.backends.plan.kernels.kernel import Site, Weighted
from snncompile.backends.plan.kernels.linear_dense import LinearDense
from snncompile.backends.plan.kernels.linear_event import LinearEvent
from snncompile.backends.plan.kernels.packed import Packed

WEIGHTED: tuple[type[Weighted], ...] = (
    Packed, ConvDepthwise, LinearEvent, LinearDense, ConvRuns, ConvTaps, ConvDense)
"""Of two that cost the same, the one that stands first is taken."""


def choose(site: Site, costs: Mapping[str, float]) -> Weighted:
    """The cheapest kernel for a layer.

    Args:
        costs: what a synapse costs with each kernel, by name, relative to a dense one: the target's table.
    """
    able = [kind for kind in WEIGHTED if kind.applies(site)]
    return min(able, key=lambda kind: kind.cost(site, costs)).make(site)
