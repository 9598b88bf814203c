"""Building firmware by a cross compiler, and running it in an emulator."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from snncompile.backends.cache import kept
from snncompile.backends.firmware.processors import EMULATION, Processor
from snncompile.diagnostics import fail

OPTIMIZE = ("-O2", "-fno-tree-vectorize")
"""There are no vector registers, and code that was arranged for them is longer and slower."""
FLAGS = ("-std=c99", "-ffreestanding", "-fbuiltin", "-ffunction-sections", "-fdata-sections", "-isystem",
         "freestanding", "-I.")
"""Without a C library, but with functions such as `memcpy` known to the compiler."""
LINK = ("-nostdlib", "-Wl,--gc-sections")
TIMEOUT_S = 600
"""The longest time that the compiler or an emulation may take, in seconds."""


def built(files: Mapping[str, str | bytes], processor: Processor, prefix: str, main: str, *flags: str) -> Path:
    """The path of a program in the cache, built unless one was built from the same files.

    Args:
        files: of the network, by name.
        prefix: of the network's files.
        main: the word of the file with the main program: `selftest` or `runner`.
        flags: further flags of the compiler.

    Raises:
        CompileError: SNN609 where the compiler is absent or fails, or where the cache cannot be written.
    """
    sources = [n for n in sorted(files) if n.endswith((".c", ".S")) and (
        not n.endswith(("_selftest.c", "_runner.c")) or n == f"{prefix}_{main}.c")]
    contents = {n: f.encode() if isinstance(f, str) else f for n, f in sorted(files.items())}
    command = [processor.compiler, *OPTIMIZE, *processor.flags, *FLAGS, *flags, "-o", "net.elf", *sources, *LINK, "-T",
               f"{prefix}.ld", "-lgcc"]

    def make(folder: Path) -> Path:
        for name, content in contents.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        call(command, folder)
        return folder / "net.elf"

    key = hashlib.sha256(repr((platform.node(), command, list(contents.items()))).encode()).hexdigest()[:32]
    try:
        return kept(key, ".elf", make)
    except OSError as e:
        fail("SNN609", "the cache of built firmware", str(e)[:200], help="set SNNC_CACHE to a folder of yours")


def emulate(program: Path, processor: Processor, folder: Path) -> str:
    """Run a program in a folder until it ends, and give what it prints. Raises SNN609 where it does not end well."""
    return call([*processor.qemu, *EMULATION, "-kernel", str(program)], folder)


def call(command: Sequence[str], folder: Path) -> str:
    """What a tool prints. Raises SNN609 where it is not installed, fails, or takes too long."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S,
                              check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as e:
        fail("SNN609", command[0], str(e)[:300])
    if done.returncode:
        fail("SNN609", command[0], (done.stderr + done.stdout).strip()[:600] or f"exit status {done.returncode}")
    return done.stdout + done.stderr
