"""Programs that simulate hardware: calling tools, and keeping what they build."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from snncompile.backends.cache import kept
from snncompile.diagnostics import fail

TIMEOUT_S = 3600
"""The longest time that a tool may take, in seconds."""
TRACE = "-DSNNC_TRACE"
"""The option with which emitted test benches print what `readings` reads."""


def call(command: Sequence[str], folder: Path, timeout_s: float = TIMEOUT_S) -> str:
    """What a tool prints. Raises SNN607 where it is not installed, fails, or takes too long."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=timeout_s,
                              check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        fail("SNN607", command[0], str(e)[:300])
    if done.returncode:
        fail("SNN607", command[0], (done.stderr + done.stdout).strip()[:600])
    return done.stdout


def built(folder: Path, sources: Sequence[str], command: Sequence[str], result: str) -> str:
    """The path of a program in the cache, built unless one was built from the same sources by the same command.

    Args:
        folder: holds the sources.
        command: makes the program there.
        result: the path of the program in the folder.

    Raises:
        CompileError: SNN607 where the tool fails, or where the cache cannot be written.
    """
    def make(beside: Path) -> Path:
        call(command, folder)
        return Path(shutil.copy2(folder / result, beside))

    try:
        return str(kept(_key(command, {name: (folder / name).read_bytes() for name in sources}), ".sim", make))
    except OSError as e:
        fail("SNN607", "the cache of built simulations", str(e)[:200], help="set SNNC_CACHE to a folder of yours")


def _key(command: Sequence[str], contents: Mapping[str, bytes]) -> str:
    """The name of a program: a hash of its sources, the command, and the machine that it is built for."""
    key = hashlib.sha256(repr((platform.node(), list(command), sorted(contents))).encode())
    for _, content in sorted(contents.items()):
        key.update(hashlib.sha256(content).digest())
    return key.hexdigest()[:32]
