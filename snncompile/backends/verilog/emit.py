"""The sources of the Verilog backend: a module for each population, buffers between them, memories, and a test bench.

Identifiers of networks and populations have no capitals, so that words in capitals keep names apart.
"""

from __future__ import annotations

from snncompile.backends.artifact import Artifact
from snncompile.backends.render import render
from snncompile.backends.stream.hardware import Hardware
from snncompile.backends.verilog.frames import emit_frames
from snncompile.backends.verilog.lower import lower_stage, lower_top


def emit(hardware: Hardware, samples: int = 1) -> Artifact:
    """The sources and memories of hardware.

    Args:
        samples: how many the vectors of the test bench have.
    """
    name, top = hardware.name, lower_top(hardware)
    files: dict[str, str | bytes] = {
        f"{name}_FIFO.v": render("verilog/fifo.v.j2"), f"{name}_TOP.v": render("verilog/top.v.j2", top=top, h=hardware),
        f"{name}_AXIS.v": render("verilog/axis.v.j2", top=top, h=hardware),
        f"{name}_TESTBENCH.v": render("verilog/testbench.v.j2", h=hardware, samples=samples)}
    for number, stage in enumerate(hardware.stages):
        code, memories = lower_stage(name, number, stage)
        files |= {f"{code.module}.v": render("verilog/stage.v.j2", s=code),
                  f"{code.module}_UNIT.v": render("verilog/unit.v.j2", s=code), **memories}
    return Artifact({**files, **emit_frames(hardware)})
