"""RISP, the neuroprocessor of TENNLab: its parameters, and the graph of a network of its neurons and synapses.

In a tick a neuron adds what arrives to its potential, fires where that reaches its threshold, and goes back to 0. A
spike of tick t arrives at t + delay with the weight of its synapse; an input spike arrives in the tick in which it is
sent. A neuron without a leak keeps its potential, which is raised to `min_potential` where it is below; one with a leak
forgets it. This is what TENNLab's description of RISP says (markdown/risp.md of TENNLab-UTK/framework-open).

A neuron whose threshold its potential reaches at rest, such as one with the threshold 0, fires in those ticks in which
anything arrives, whatever its weight. Its population has the rule `prompt`, whose input carries a count of what arrived
beside the sum of weights; others are integrate-and-fire neurons.

Neurons are put into two populations: `out`, those that the network lists as outputs, in that order, and `hidden`, all
others, in the order of the file. Synapses of the same delay between two populations are one projection.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.ir.expr import Expr, both, maximum, select
from snncompile.ir.graph import Graph
from snncompile.ir.ops import Linear
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Count, Firing, Membrane, neuron_rule
from snncompile.ir.types import Array, Json
from snncompile.search.families.family import refuse
from snncompile.search.net import Net, Tap

FAMILY_NAME = "tennlab"
MAX_CODE = (1 << 15) - 1
"""The largest weight that stays an integer until the end."""
MAX_WEIGHTS = 1 << 24
"""The most numbers of all projections of a network together, zeros included."""
Leak = Literal["none", "all", "configurable"]


class Synapse(NamedTuple):
    """A synapse between two neurons, by their places in a list, with a delay of one tick or more."""

    source: int
    target: int
    weight: float
    delay: int


class Processor(NamedTuple):
    """The parameters of a RISP processor that a network depends on.

    Attributes:
        discrete: whether weights, thresholds and potentials are integers.
        weights: the least and the largest weight.
        thresholds: the least and the largest threshold.
        min_potential: the lowest potential, 0 or less.
        max_delay: of a synapse, in ticks.
        leak: of all neurons, or `configurable` where each neuron says whether it leaks.
        inclusive: whether a potential equal to the threshold fires.
        spike_value: what an input spike adds to the potential of its neuron.
        fire_like_ravens: whether a neuron fires a tick later than its spike leaves it.
        listed: the weights that there are, in which the weight of a synapse is a place; empty for any.
    """

    discrete: bool
    weights: tuple[float, float]
    thresholds: tuple[float, float]
    min_potential: float
    max_delay: int
    leak: Leak = "none"
    inclusive: bool = True
    spike_value: float = 1.0
    fire_like_ravens: bool = False
    listed: tuple[float, ...] = ()


class Network(NamedTuple):
    """Neurons and synapses.

    Attributes:
        thresholds, leaks: of each neuron.
        synapses: between neurons.
        inputs, outputs: the places of the input and output neurons; a neuron may be both.
    """

    thresholds: tuple[float, ...]
    leaks: tuple[bool, ...]
    synapses: tuple[Synapse, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


# --- parameters ---

def risp(largest: int, *, plus: bool = False, leak: Leak = "none") -> dict[str, Json]:
    """The parameters of RISP-n, or of RISP-n+, as a file of parameters holds them.

    >>> risp(7)["min_potential"], risp(7, plus=True)["min_potential"], risp(127)["max_delay"]
    (-7, 0, 127)
    """
    lowest = 1 if plus else -largest
    return {"discrete": True, "min_weight": lowest, "max_weight": largest, "min_threshold": int(plus),
            "max_threshold": largest, "min_potential": 0 if plus else -largest, "max_delay": max(largest, 15),
            "leak_mode": leak}


def read_processor(found: Mapping[str, Json]) -> Processor:
    """The processor that parameters describe, as a network holds them under `proc_params`.

    Raises:
        CompileError: SNN404 for parameters that are missing, unknown or out of range, and for noise, whose spikes no
            two runs share.
    """
    for noise in ("noisy_stddev", "stds"):
        if found.get(noise):
            refuse(FAMILY_NAME, f"parameter {noise}", shorten(found[noise]), "no noise: compiled networks have none")
    unknown = set(found) - _PARAMETERS
    if unknown:
        refuse(FAMILY_NAME, "parameters", ", ".join(sorted(map(shorten, unknown))), ", ".join(sorted(_PARAMETERS)))
    listed = _listed(found)
    low, high = (listed[0], listed[-1]) if listed else (real(found, "min_weight"), real(found, "max_weight"))
    value = high if found.get("inputs_from_weights") or "spike_value_factor" not in found else real(
        found, "spike_value_factor")
    lowest = real(found, "min_potential")
    if lowest > 0:
        refuse(FAMILY_NAME, "parameter min_potential", f"{lowest:g}", "0 or less")
    leak = found.get("leak_mode", "none")
    if leak not in ("none", "all", "configurable"):
        refuse(FAMILY_NAME, "parameter leak_mode", shorten(leak), "none, all or configurable")
    discrete = flag(found, "discrete")
    return Processor(discrete, (low, high), (real(found, "min_threshold"), real(found, "max_threshold")), lowest,
                     whole(found, "max_delay"), leak, flag(found, "threshold_inclusive", True),
                     math.floor(value) if discrete else value, flag(found, "fire_like_ravens", False), listed)


_PARAMETERS = {
    "discrete", "min_weight", "max_weight", "min_threshold", "max_threshold", "min_potential", "max_delay", "leak_mode",
    "run_time_inclusive", "threshold_inclusive", "fire_like_ravens", "spike_value_factor", "weights",
    "inputs_from_weights", "noisy_seed", "noisy_stddev", "stds", "log"}
"""What RISP knows; `run_time_inclusive` is about runs, not about the network."""


def _listed(found: Mapping[str, Json]) -> tuple[float, ...]:
    values = found.get("weights") or []
    if not isinstance(values, list) or len(values) > 1 << 16:
        refuse(FAMILY_NAME, "parameter weights", shorten(values), "a list of numbers")
    weights = tuple(real({"weights": value}, "weights") for value in values)
    if list(weights) != sorted(weights):
        refuse(FAMILY_NAME, "parameter weights", shorten(values), "numbers in rising order")
    return weights


def real(found: Mapping[str, Json], key: str) -> float:
    """A finite number of an object of a file. Raises SNN404 for anything else."""
    value = found.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= 1e15:
        refuse(FAMILY_NAME, key, "nothing" if value is None else shorten(value), "a number of at most 1e15")
    return float(value)


def whole(found: Mapping[str, Json], key: str) -> int:
    """A whole number of an object of a file, 0 or more. Raises SNN404 for anything else."""
    value = real(found, key)
    if value < 0 or value != int(value):
        refuse(FAMILY_NAME, key, f"{value:g}", "a whole number, 0 or more")
    return int(value)


def flag(found: Mapping[str, Json], key: str, default: bool | None = None) -> bool:
    """True or false of an object of a file. Raises SNN404 for anything else."""
    value = found.get(key, default)
    if not isinstance(value, bool):
        refuse(FAMILY_NAME, key, "nothing" if value is None else shorten(value), "true or false")
    return value


# --- the graph ---

def build(network: Network, processor: Processor, *, name: str = "tennlab") -> Graph:
    """The graph of a network. Its input holds spikes, one element for each input neuron.

    Raises:
        CompileError: SNN404 for a network that no projection can express; SNN205 for one that is too large.
    """
    outs = set(network.outputs)
    groups = {"hidden": [i for i in range(len(network.thresholds)) if i not in outs], "out": list(network.outputs)}
    at = {neuron: (group, place) for group, members in groups.items() for place, neuron in enumerate(members)}
    bases = {group: _base(network, members, processor) for group, members in groups.items()}
    arriving = _projections(network, groups, at, processor, bases)
    net = Net((len(network.inputs),), name=name)
    populations: dict[str, Tap] = {"in": net.tap()}
    places: dict[str, Tap] = {}
    for group in ("hidden", "out"):
        if any(target == group for _, target, _ in arriving):
            places[group] = net.place((len(groups[group]),), name=f"{group}.current")
            populations[group] = _population(net.at(places[group]), network, groups[group], processor, bases[group],
                                              group)
    if "out" not in populations:
        refuse(FAMILY_NAME, "Outputs", "output neurons that nothing leads to", "a synapse or an input to one of them")
    for (source, target, delay), weight in arriving.items():
        if source in populations:
            net.at(populations[source]).op(Linear(weight), f"{source}.{target}.{delay}").back(places[target], delay)
    net.at(populations["out"])
    return (net.late(1) if processor.fire_like_ravens else net).graph()


@neuron_rule(states={"v": Count(0)}, base=Membrane(256), level=Count(1), floor=Count(-1), keep=Count(1))
def prompt(state: Any, x: Expr, p: Any) -> Expr:
    """A RISP neuron that is compared with its threshold in ticks in which something arrives.

    Each arrival adds `base` times its weight and 1, so that `x // base` is the sum of weights, and the rest counts the
    arrivals: 2 arrivals with the weights 3 and -5 and the base 256 are 256 (3 - 5) + 2 = -510, and `-510 // 256` is -2.
    """
    total = x // p.base
    arrived = x > total * p.base
    v = p.keep * state.v + total
    spike = both(arrived, v >= p.level)
    state.v = select(spike, 0, maximum(v, p.floor))
    return spike


def _base(network: Network, members: Sequence[int], processor: Processor) -> int:
    """By what the weights of a population are multiplied to leave room for a count of arrivals; 0 where none counts."""
    restless = [i for i in members if network.thresholds[i] < 0 or (network.thresholds[i] == 0 and processor.inclusive)]
    if not restless:
        return 0
    if not processor.discrete:
        refuse(FAMILY_NAME, f"neuron {restless[0]}, Threshold", f"{network.thresholds[restless[0]]:g}",
               "more than 0, or discrete true: it fires where anything arrives, which has to be counted")
    arrivals = Counter(s.target for s in network.synapses) + Counter(network.inputs)
    base = 1 << max(arrivals.values(), default=0).bit_length()
    largest = max(abs(w) for w in (*processor.weights, processor.spike_value))
    if base * largest + 1 > MAX_CODE:
        refuse(FAMILY_NAME, f"neuron {restless[0]}, Threshold",
               f"0, with up to {base - 1} arrivals of up to {largest:g}", f"{MAX_CODE:,} for the product of the two")
    return base


def _population(net: Net, network: Network, members: Sequence[int], processor: Processor, base: int, name: str) -> Tap:
    thresholds = np.array([network.thresholds[i] for i in members])
    leaks = np.array([network.leaks[i] for i in members])
    if base:
        level = thresholds + (0 if processor.inclusive else 1)
        return net.op(Neuron(prompt, {"base": float(base), "level": level, "keep": 1.0 - leaks,
                                      "floor": processor.min_potential}), name).tap()
    inhibited = any(synapse.weight < 0 for synapse in network.synapses)
    firing = Firing(">=" if processor.inclusive else ">", "value")
    params: dict[str, Any] = {"threshold": thresholds}
    if inhibited and not leaks.all():
        params["v_min"] = processor.min_potential
    if leaks.any():
        params["decay"] = 0.0 if leaks.all() else 1.0 - leaks
    return net.neuron("lif" if leaks.any() else "if", firing=firing, name=name, **params).tap()


def _projections(network: Network, groups: Mapping[str, Sequence[int]], at: Mapping[int, tuple[str, int]],
                 processor: Processor, bases: Mapping[str, int]) -> dict[tuple[str, str, int], Array]:
    """The weights `[target, source]` of each projection, by source, target and delay; integers where all are."""
    sizes = {"in": len(network.inputs)} | {group: len(members) for group, members in groups.items()}
    entries = [(("in", at[neuron][0], 0), at[neuron][1], place, processor.spike_value)
               for place, neuron in enumerate(network.inputs)]
    entries += [((at[s.source][0], at[s.target][0], s.delay), at[s.target][1], at[s.source][1], s.weight)
                for s in network.synapses]
    total = sum(sizes[source] * sizes[target] for source, target, _ in {key for key, *_ in entries})
    if total > MAX_WEIGHTS:
        fail("SNN205", f"candidate {FAMILY_NAME}", f"{total:,} weights, zeros included", f"at most {MAX_WEIGHTS:,}")
    found: dict[tuple[str, str, int], Array] = {}
    for key, row, column, weight in entries:
        matrix = found.setdefault(key, np.zeros((sizes[key[1]], sizes[key[0]])))
        matrix[row, column] = bases[key[1]] * weight + 1 if bases[key[1]] else weight
    return {key: matrix.astype(np.int32) if processor.discrete else matrix for key, matrix in found.items()}
