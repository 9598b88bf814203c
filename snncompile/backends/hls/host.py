"""Running emitted C++ for high-level synthesis: compiled by the system's compiler, with threads for tasks."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from snncompile.backends.artifact import Artifact
from snncompile.backends.stream.host import StreamHost
from snncompile.backends.stream.lower import lower
from snncompile.backends.stream.readings import Simulated, inputs_of, read
from snncompile.backends.stream.simulation import TIMEOUT_S, TRACE, built, call
from snncompile.backends.stream.words import words
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array

FLAGS = ("-std=c++14", "-w", TRACE, "-pthread")


@dataclass(frozen=True)
class Compiler:
    """The C++ compiler.

    Attributes:
        command: how it is called.
        headers: the options by which it finds the headers of high-level synthesis.
        flags: how fast the program has to be.
    """

    command: str
    headers: tuple[str, ...]
    flags: tuple[str, ...] = ("-O1",)

    @classmethod
    def find(cls) -> Compiler | None:
        """That of this machine; None where there is no compiler, or no `ap_int.h`.

        The header is that of Vitis HLS, where the variable XILINX_HLS names its folder, or comes with the Python
        package hls4ml, which is not imported.
        """
        command = next((c for c in (os.environ.get("CXX"), "g++", "clang++", "c++") if c and shutil.which(c)), None)
        vendor = os.environ.get("XILINX_HLS")
        package = None if vendor else importlib.util.find_spec("hls4ml")
        places = list(package.submodule_search_locations or []) if package else []
        found = [Path(vendor) / "include"] if vendor else [Path(p) / "templates/vivado/ap_types" for p in places]
        folder = next((f for f in found if (f / "ap_int.h").exists()), None)
        if command is None or folder is None:
            return None
        return cls(command, (*(() if vendor else ("-I", "sim")), "-isystem", str(folder)))

    def build(self, folder: Path, name: str) -> str:
        """Compile the sources in a folder, or find what was compiled from the same ones; gives the program's path."""
        sources = [p for pattern in ("*.cpp", "*.h", "sim/*.h") for p in folder.glob(pattern)]
        command = [self.command, *FLAGS, *self.flags, *self.headers, "-o", "net.sim", f"{name}_ALL.cpp"]
        return built(folder, sorted(str(p.relative_to(folder)) for p in sources), command, "net.sim")


def host(graph: Graph, artifact: Artifact) -> StreamHost | None:
    """A host for these files, in which each population is a thread; None without a C++ compiler or the headers."""
    compiler = Compiler.find()
    return None if compiler is None else StreamHost(graph, lambda x, _: simulate(graph, artifact, x, compiler))


def simulate(graph: Graph, artifact: Artifact, x: Mapping[str, Array], compiler: Compiler,
             timeout_s: float = TIMEOUT_S) -> Simulated:
    """Run samples, and read what each population sent and kept in each tick.

    Args:
        graph, artifact: what was emitted, and its files.
        x: integers `[sample, tick, *shape]` by the name of each input.
        compiler: of C++.
        timeout_s: the longest time that the program may take, in seconds.

    Raises:
        CompileError: SNN607 where the compiler or the program fails, or where the network does not end in time.
    """
    hardware = lower(graph)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sim").mkdir()
        for file, content in artifact.files.items():
            if file.endswith((".cpp", ".h")):
                (folder / file).write_text(content if isinstance(content, str) else content.decode())
        for port in hardware.inputs:
            (folder / f"in_{port.name}.hex").write_text(words(port.stream, x[port.label]))
        return read(hardware, call([compiler.build(folder, hardware.name)], folder, timeout_s), *inputs_of(x))
