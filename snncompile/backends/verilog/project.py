"""A project for an FPGA: sources, memories, golden vectors, scripts of tools, constraints, and a page to read."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from snncompile.backends.artifact import Artifact, Golden
from snncompile.backends.backend import Request
from snncompile.backends.network_ticks import in_hardware_ticks
from snncompile.backends.render import render
from snncompile.backends.stream.choose import Choice
from snncompile.backends.stream.estimate import Estimate
from snncompile.backends.stream.fold import folds_of
from snncompile.backends.stream.hardware import Hardware, Port
from snncompile.backends.stream.lower import lower
from snncompile.backends.stream.memory import XC7
from snncompile.backends.verilog.emit import emit
from snncompile.backends.verilog.words import words
from snncompile.ir.types import Array
from snncompile.targets.sections import Fabric

GOLDEN_VALUES = 500_000
"""The most values of inputs and outputs that a test bench compares, unless a single sample has more."""


@dataclass(frozen=True)
class Project:
    """What the scripts of a project read.

    Attributes:
        hardware: the network.
        fabric: the FPGA.
        sources: the files that are synthesised.
        clock_mhz: the clock that constraints ask for.
        samples: of the golden vectors; 0 without such.
        estimate: what it takes; None without golden vectors.
    """

    hardware: Hardware
    fabric: Fabric
    sources: tuple[str, ...]
    clock_mhz: int
    samples: int
    estimate: Estimate | None

    @property
    def scripted(self) -> bool:
        """Whether there are scripts: for devices of a family that they know, with a name."""
        return self.fabric.family is not None and self.fabric.device is not None

    @property
    def routes(self) -> bool:
        """Whether open tools place and route the device."""
        return self.scripted and self.fabric.family in ("ecp5", "ice40")

    @property
    def top(self) -> str:
        return f"{self.hardware.name}_AXIS"


def project(request: Request) -> Artifact:
    """The files of a project.

    Raises:
        CompileError: SNN410 for projections that have no form as a stream, SNN404 for a folding that cannot be,
            SNN416 for a network that does not fit, SNN420 for a demand that no folding meets.
    """
    graph, fabric, folding, own = request.graph, request.target.fabric, request.folding, request.folded
    found, vectors, samples = None, {}, 0
    if request.golden:
        folds, hardware, found = Choice.of(graph, request.golden, fabric, folding, own).run()
        golden = in_hardware_ticks(request.golden, graph)
        vectors, samples = _vectors(hardware, golden), _samples(golden)
    else:
        folds = folds_of(graph, folding, own)
        hardware = lower(graph, folds, folding.chains or 1, fabric if fabric.bank_shapes else XC7)
    sources = emit(hardware, max(samples, 1))
    synthesised = sorted(n for n in sources.files if n.endswith(".v") and "TESTBENCH" not in n)
    made = Project(hardware, fabric, tuple(synthesised),
                   folding.clock_of(fabric), samples, found)
    return Artifact({**sources.files, **vectors, **_scripts(made)}, sources.sizes_bytes,
                    found.to_json() if found else {}, {name: dataclasses.asdict(fold) for name, fold in folds.items()})


def _samples(golden: Golden) -> int:
    """How many samples of golden vectors a test bench compares."""
    arrays: list[Array] = [*golden.inputs.values(), *golden.outputs.values()]
    return max(1, min(len(arrays[0]), GOLDEN_VALUES // max(1, sum(int(v[0].size) for v in arrays))))


def _vectors(hardware: Hardware, golden: Golden) -> dict[str, str]:
    """The files of the words that enter and of those that have to leave."""
    samples = _samples(golden)

    def of(kind: str, ports: tuple[Port, ...], values: dict[str, Array]) -> dict[str, str]:
        return {f"{kind}_{p.name}.hex": words(p.stream, values[p.label][:samples]) for p in ports}

    return {**of("in", hardware.inputs, dict(golden.inputs)), **of("expected", hardware.outputs, dict(golden.outputs))}


def _scripts(made: Project) -> dict[str, str]:
    files = {"README.md": render("verilog/README.md.j2", p=made), "Makefile": render("verilog/Makefile.j2", p=made)}
    match made.fabric.family if made.scripted else None:
        case "ecp5":
            files[f"{made.hardware.name}.lpf"] = f'FREQUENCY PORT "aclk" {made.clock_mhz} MHZ;\n'
        case "xc7" | "xcup":
            period = f"{1000 / made.clock_mhz:.3f}"
            files[f"{made.hardware.name}.xdc"] = f"create_clock -period {period} -name aclk [get_ports aclk]\n"
            files["vivado.tcl"] = render("verilog/vivado.tcl.j2", p=made)
    return files
