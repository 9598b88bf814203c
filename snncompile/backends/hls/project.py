"""A project for high-level synthesis: sources, golden vectors, scripts, and a page to read."""

from __future__ import annotations

from dataclasses import dataclass

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Request
from snncompile.backends.hls.emit import emit
from snncompile.backends.render import render
from snncompile.backends.stream.design import Design

VITIS = ("xc7", "xcup")
"""The families of devices that Vitis HLS has."""


@dataclass(frozen=True)
class Project:
    """What the scripts of a project read.

    Attributes:
        name: with which all names begin.
        sources: all sources; synthesised: those of the hardware.
        vitis: whether there is a script for Vitis HLS.
    """

    name: str
    sources: tuple[str, ...]
    synthesised: tuple[str, ...]
    vitis: bool


def project(request: Request) -> Artifact:
    """The files of a project. Raises what `Design.of` raises."""
    design = Design.of(request)
    name, sources = design.hardware.name, emit(design.hardware).files
    code = tuple(n for n in sources if n.endswith(".cpp") and not n.endswith("_ALL.cpp"))
    made = Project(name, code, tuple(n for n in code if not n.endswith("_TESTBENCH.cpp")),
                   design.scripted and design.fabric.family in VITIS)
    scripts = {n: render(f"hls/{n}.j2", h=made, d=design, ends=("in", "out"))
               for n in ("Makefile", "README.md", *(["vitis.tcl"] if made.vitis else []))}
    return design.artifact({**sources, **scripts})
