"""Which populations are exactly Lava's own LIF process, and what the registers of that process hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from snncompile.ir.graph import Graph
from snncompile.ir.loihi import INPUT_SHIFT, MAX_STATE, NO_MEMORY, STATE_BITS, LoihiLif
from snncompile.ir.populations import Population
from snncompile.ir.ranges import input_range, population_ranges
from snncompile.passes.quantize.loihi_neuron import REFERENCE, LoihiNeuron
from snncompile.passes.quantize.prove_ranges import tightened
from snncompile.targets.load import load_target

LAVAS_NEURON = LoihiNeuron.of(load_target(REFERENCE))
"""Lava's LIF has the registers of the first Loihi, whatever chip a network is for. Lava does not check their widths."""
MAX_INPUT = (1 << STATE_BITS) >> INPUT_SHIFT
"""The largest sum of synapses. Lava's LIF wraps its current around at 24 bits once, and larger sums could need more."""


def standard(graph: Graph, name: str) -> dict[str, Any] | None:
    """The arguments of Lava's LIF for a population that computes exactly what Lava's LIF does; None for any other.

    Registers are read from the population's parameters, and a population is made of these registers. Only where its
    program and parameters equal those of the given population is that one Lava's LIF.

    Args:
        graph: a MAPPED graph.
        name: of the population.

    Returns:
        `vth`, `du`, `dv`, `bias_mant` and `bias_exp`, and the first values of states that are not 0, by name.
    """
    op = graph.nodes[name]
    assert isinstance(op, Population)
    registers = _registers(op)
    low, high = input_range(graph, name)
    if registers is None or max(-low, high) > MAX_INPUT:
        return None
    again = graph.replace(nodes={**graph.nodes, name: registers.population()})
    tight = tightened(again.nodes[name], population_ranges(again, name))
    assert isinstance(tight, Population)
    same = tight.program == op.program and tight.params.keys() == op.params.keys() and all(
        np.all(tight.params[n] == v) for n, v in op.params.items())
    first = {n: np.asarray(s.initial, np.int64) for n, s in op.states.items() if np.any(s.initial)}
    if not same or any(np.abs(v).max() > MAX_STATE for v in first.values()):
        return None
    arguments = _arguments(registers)
    return None if arguments is None else {**arguments, **first}


def _registers(op: Population) -> LoihiLif | None:
    """The registers that a population's parameters would come from; None where its neurons differ in one of them."""
    if op.threshold is None or op.tables:
        return None
    used = op.program.names("state")
    threshold = np.asarray(op.threshold, np.int64) >> INPUT_SHIFT
    decays = []
    for state in ("u", "v"):
        keep = np.asarray(op.params.get(f"keep_{state}", NO_MEMORY if state in used else 0), np.int64)
        decays.append(NO_MEMORY - keep)
    numbers = [threshold, *decays]
    if not all(np.all(n == n.flat[0]) for n in numbers):
        return None
    vth, du, dv = (int(n.flat[0]) for n in numbers)
    return LoihiLif(vth, du, dv, 0 if op.bias is None else op.bias)


def _arguments(registers: LoihiLif) -> dict[str, Any] | None:
    """The registers as Lava's LIF takes them, with a common exponent of all biases; None where one does not fit."""
    bias = np.asarray(registers.bias, np.int64)
    exponent = next((e for e in LAVAS_NEURON.exponents if np.all(bias % (1 << e) == 0)
                     and np.abs(bias).max(initial=0) >> e <= LAVAS_NEURON.max_mantissa), None)
    assert registers.threshold is not None  # `_registers` reads populations that have one
    threshold, decay = int(np.max(registers.threshold)), int(np.max(registers.current_decay))
    if exponent is None or not 0 <= threshold <= LAVAS_NEURON.max_threshold:
        return None
    return {"vth": threshold, "du": decay - 1, "dv": int(np.max(registers.voltage_decay)),
            "bias_mant": bias >> exponent, "bias_exp": exponent}
