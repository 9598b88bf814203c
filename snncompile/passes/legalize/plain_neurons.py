"""plain-neurons: neurons that are written as Euler steps become leaky integrators, the form that hardware has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from snncompile.ir.graph import Graph
from snncompile.ir.library import RULES
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import BIAS, THRESHOLD
from snncompile.ir.types import Stage

PLAIN = {"euler_lif": ("lif", "cubalif"), "euler_li": ("li", "cubali")}
"""The rules that a rule becomes: without a current, and with one."""


@dataclass(frozen=True)
class PlainNeurons:
    """Write `v + rate ((rest - v) + x)` as `decay v + gain x`, with `decay = 1 - rate` and `gain = rate`.

    The Euler form exists because it gives the floats of a framework to the last bit. In exact arithmetic both forms are
    the same. The plain one takes fewer operations, and its gain can be moved into the weights. A resting potential
    becomes a bias. In a neuron with a current, the membrane is instead measured from its resting potential, where the
    neuron resets to a value.
    """

    name: ClassVar[str] = "plain-neurons"
    needs: ClassVar[Stage] = Stage.FLOAT
    ensures: ClassVar[Stage] = Stage.FLOAT

    def run(self, graph: Graph) -> Graph:
        plain = {n: _plain(op) for n, op in graph.nodes.items() if isinstance(op, Neuron) and op.rule.name in PLAIN
                 and op.rule is RULES[op.rule.name]}
        changed = {n: op for n, op in plain.items() if op is not graph.nodes[n]}
        return graph.replace(nodes={**graph.nodes, **changed}) if changed else graph


def _plain(neuron: Neuron) -> Neuron:
    """The neuron in its plain form, or the neuron itself where it has none."""
    params = dict(neuron.params)
    rate, tau, rest, rate_syn = (params.pop(n, None) for n in ("rate", "tau", "rest", "rate_syn"))
    rate = rate if tau is None else 1 / np.asarray(tau)
    whole = neuron.options.get("input") == "whole"
    params |= {"decay": 1 - rate, "gain": 1.0 if whole else rate}
    without, behind = PLAIN[neuron.rule.name]
    initial: Mapping[str, Any] = neuron.initial
    if rate_syn is None:
        if rest is not None:
            params[BIAS] = params.get(BIAS, 0.0) + (rate * rest if whole else rest)
        return Neuron(RULES[without], params, neuron.firing, {}, initial)
    if rest is not None:
        if not neuron.rule.spiking or neuron.firing.reset == "subtract" or neuron.firing.max_spikes != 1:
            return neuron
        params |= {n: params.get(n, 0.0) - rest for n in {THRESHOLD, "v_reset", *(params.keys() & {"v_min"})}}
        initial = {**initial, "v": neuron.first("v") - rest}
    return Neuron(RULES[behind], {**params, "decay_syn": 1 - rate_syn}, neuron.firing, {"filter": "add-first"}, initial)
