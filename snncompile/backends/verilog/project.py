"""A project for an FPGA: sources, memories, golden vectors, scripts of tools, constraints, and a page to read."""

from __future__ import annotations

from dataclasses import dataclass

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Request
from snncompile.backends.render import render
from snncompile.backends.stream.design import Design
from snncompile.backends.verilog.emit import emit
from snncompile.backends.verilog.frames import Frames, frames


@dataclass(frozen=True)
class Project:
    """What the scripts of a project read: a design, and the files that are synthesised."""

    design: Design
    sources: tuple[str, ...]

    @property
    def routes(self) -> bool:
        """Whether open tools place and route the device."""
        return self.design.scripted and self.design.fabric.family in ("ecp5", "ice40")

    @property
    def frames(self) -> tuple[Frames, ...]:
        """The packed frames that inputs can be."""
        return frames(self.design.hardware)

    @property
    def top(self) -> str:
        return f"{self.design.hardware.name}_AXIS"


def project(request: Request) -> Artifact:
    """The files of a project. Raises what `Design.of` raises."""
    design = Design.of(request)
    sources = emit(design.hardware, max(design.samples, 1)).files
    synthesised = sorted(n for n in sources if n.endswith(".v") and "TESTBENCH" not in n)
    return design.artifact({**sources, **_scripts(Project(design, tuple(synthesised)))})


def _scripts(made: Project) -> dict[str, str]:
    design = made.design
    name = design.hardware.name
    files = {"README.md": render("verilog/README.md.j2", p=made, d=design, ends=("s_axis", "m_axis")),
             "Makefile": render("verilog/Makefile.j2", p=made, d=design)}
    match design.fabric.family if design.scripted else None:
        case "ecp5":
            files[f"{name}.lpf"] = f'FREQUENCY PORT "aclk" {design.clock_mhz} MHZ;\n'
        case "xc7" | "xcup":
            period = f"{1000 / design.clock_mhz:.3f}"
            files[f"{name}.xdc"] = f"create_clock -period {period} -name aclk [get_ports aclk]\n"
            files["vivado.tcl"] = render("verilog/vivado.tcl.j2", p=made, d=design)
    return files
