"""The sources of the HLS backend: a function for each population, the top, a test bench, and headers for simulation.

Identifiers of networks and populations have no capitals, so that words in capitals keep names apart.
"""

from __future__ import annotations

from snncompile.backends.artifact import Artifact
from snncompile.backends.hls.lower import lower_stage, lower_top
from snncompile.backends.render import render
from snncompile.backends.stream.hardware import Hardware

HEADERS = ("hls_stream.h", "hls_task.h", "ap_axi_sdata.h")
"""The headers of Vitis HLS for which the emitted files have substitutes."""


def emit(hardware: Hardware) -> Artifact:
    """The sources of hardware."""
    name, top = hardware.name, lower_top(hardware)
    codes = [lower_stage(hardware, number) for number in range(len(hardware.stages))]
    sources = {f"{name}_TOP.cpp": render("hls/top.cpp.j2", t=top),
               **{f"{s.function}.cpp": render("hls/stage.cpp.j2", s=s) for s in codes},
               f"{name}_TESTBENCH.cpp": render("hls/testbench.cpp.j2", t=top)}
    return Artifact({
        f"{name}_TOP.h": render("hls/top.h.j2", t=top), **sources,
        f"{name}_ALL.cpp": "// All sources, to be compiled at once.\n" + "".join(f'#include "{n}"\n' for n in sources),
        **{f"sim/{h}": render(f"hls/sim/{h}.j2") for h in HEADERS}})
