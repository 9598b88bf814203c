"""The files of the Verilog backend: a module for each population, buffers between them, memories, and a test bench."""

from __future__ import annotations

from collections.abc import Mapping

from snncompile.backends.artifact import Artifact
from snncompile.backends.products import products
from snncompile.backends.render import render
from snncompile.backends.stream.lower import lower, unsupported
from snncompile.backends.verilog.lower import lower_stage, lower_top
from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Graph


def emit(graph: Graph, lanes: Mapping[str, int] | None = None, chains: int = 1) -> Artifact:
    """Emit an INT or MAPPED graph as Verilog.

    Args:
        graph: what is computed in each tick of the hardware.
        lanes: how many weights are added in a cycle, for each population by its name in the graph; 1 otherwise.
        chains: how many carry chains a value passes between registers of a neuron unit.

    Identifiers of networks and populations have no capitals, so that words in capitals keep names apart.

    Raises:
        CompileError: SNN410 for products of spikes, and for projections that have no form as a stream.
    """
    problems = (*products(graph, "emitted Verilog"), *unsupported(graph))
    if problems:
        raise CompileError(problems)
    hardware = lower(graph, lanes, chains)
    name, top = hardware.name, lower_top(hardware, graph.name)
    files: dict[str, str | bytes] = {f"{name}_FIFO.v": render("verilog/fifo.v.j2"),
                                     f"{name}_TOP.v": render("verilog/top.v.j2", top=top, h=hardware),
                                     f"{name}_TESTBENCH.v": render("verilog/testbench.v.j2", h=hardware)}
    weights = 0
    for number, stage in enumerate(hardware.stages):
        code, memories = lower_stage(name, number, stage)
        files |= {f"{code.module}.v": render("verilog/stage.v.j2", s=code),
                  f"{code.module}_UNIT.v": render("verilog/unit.v.j2", s=code), **memories}
        weights += stage.words.size * stage.weight_bits
    return Artifact(files, {"weights": weights // 8})
