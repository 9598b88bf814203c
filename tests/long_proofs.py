"""Proofs of the printed neuron unit of every rule of the library: `python -m tests.long_proofs`.

Each rule stands behind 64 inputs, quantized to the widths of 784-128-10 (weights of 4 bits, membranes of 8) and to
those of the digits network (8 and 16). yosys and z3 prove that the unit equals its integer program for every sum, state
and parameter in the proved ranges. Prints a line for each, and exits with 1 if one is refuted.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

import snncompile as sc
from snncompile.backends.plan.plan import plan
from snncompile.backends.plan.updates import Update
from snncompile.backends.render import render
from snncompile.backends.stream.lower import lower
from snncompile.backends.verilog.context import StageCode
from snncompile.backends.verilog.lower import lower_stage
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.library import RULES
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing

WIDTHS: Mapping[str, dict[str, Any]] = {
    "784-128-10": {"weight_bits": 4, "membrane_bits": 8}, "digits": {"weight_bits": 8, "membrane_bits": 16}}
PARAMS: Mapping[str, dict[str, Any]] = {
    "if": {}, "lif": {"decay": 0.875}, "plif": {"w": 1.5}, "cubalif": {"decay": 0.875, "decay_syn": 0.75},
    "li": {"decay": 0.875}, "integrator": {}, "cubali": {"decay": 0.875, "decay_syn": 0.75},
    "euler_lif": {"rate": 0.125}, "euler_li": {"rate": 0.125},
    "alif": {"decay": 0.875, "decay_b": 0.9, "jump_b": 0.25},
    "alpha": {"decay": 0.875, "decay_inh": 0.75}, "llif": {"decay": 0.875, "jump": 0.25},
    "slif": {"tau": 2.0, "beta": 0.25}, "qlif": {"decay": 0.5, "levels": 4.0, "step": 0.25}, "threshold": {},
    "accumulator": {}}
"""Parameters of each rule, but its threshold."""
GRADED = ("li", "integrator", "cubali", "euler_li", "accumulator")


def unit_of(rule: str, widths: Mapping[str, Any], firing: Firing) -> tuple[StageCode, dict[str, str], Update]:
    """The printed unit of a rule, and its program."""
    rng = np.random.default_rng(0)
    params = dict(PARAMS[rule]) | ({} if rule in GRADED else {"threshold": 1.0})
    nodes = {"in": Input((64,)), "weights": Linear(rng.standard_normal((10, 64)) / 4),
             "neurons": Neuron.of(rule, firing, **params), "out": Output()}
    edges = tuple(Edge(a, b) for a, b in itertools.pairwise(nodes))
    x = (rng.random((8, 8, 64)) < 0.3).astype(float)
    graph = sc.compile(Graph("net", nodes, edges), calibration=x, **widths).graph
    (stage,) = lower(graph).stages
    code, memories = lower_stage("net", 0, stage)
    (population,) = plan(graph, {}, {}).populations
    return code, {**memories, f"{code.module}_UNIT.v": render("verilog/unit.v.j2", s=code)}, population.update


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", nargs="+", default=list(RULES))
    parser.add_argument("--seconds", type=int, default=120, help="how long z3 may take for each")
    options = parser.parse_args()
    from tests.backends.verilog.proofs import prove

    refuted = 0
    for rule, (name, widths) in itertools.product(options.rules, WIDTHS.items()):
        code, files, update = unit_of(rule, widths, Firing())
        start = time.perf_counter()
        found = prove(code, files, update, options.seconds)
        told = "proved" if found.proved else "not decided" if found.counterexample is None else f"REFUTED {found}"
        refuted += found.counterexample is not None
        bits = {leaf.name: leaf.bits for leaf in code.leaves}
        products = sum(w.op == "mul" for w in code.stage.unit.wires)
        print(f"{rule}, {name}: {told}, {time.perf_counter() - start:.1f} s, {products} products, bits {bits}",
              flush=True)
    return int(refuted > 0)


if __name__ == "__main__":
    sys.exit(main())
