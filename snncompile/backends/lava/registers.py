"""Which populations are Lava's own LIF process, and what its registers hold."""

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
"""Lava's LIF has the registers of the first Loihi, whatever chip a network is for. It does not check their widths."""
MAX_INPUT = (1 << STATE_BITS) >> INPUT_SHIFT
"""Sums of synapses beyond this could leave 24 bits by more than the one wrap that Lava's LIF does."""


def standard(graph: Graph, name: str) -> dict[str, Any] | None:
    """The arguments of Lava's LIF for a population of exactly its program, or None for any other.

    Registers are read from the parameters and put together again: only if that gives the population's own program is
    it Lava's.
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
    one = [int(n.flat[0]) for n in numbers]
    return LoihiLif(one[0], one[1], one[2], 0 if op.bias is None else op.bias)


def _arguments(registers: LoihiLif) -> dict[str, Any] | None:
    bias = np.asarray(registers.bias, np.int64)
    exponent = next((e for e in LAVAS_NEURON.exponents if np.all(bias % (1 << e) == 0)
                     and np.abs(bias).max(initial=0) >> e <= LAVAS_NEURON.max_mantissa), None)
    threshold, decay = int(np.max(registers.threshold)), int(np.max(registers.current_decay))
    if exponent is None or not 0 <= threshold <= LAVAS_NEURON.max_threshold:
        return None
    return {"vth": threshold, "du": decay - 1, "dv": int(np.max(registers.voltage_decay)),
            "bias_mant": bias >> exponent, "bias_exp": exponent}
