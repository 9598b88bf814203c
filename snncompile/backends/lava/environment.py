"""A Python that has Lava: lava-nc runs on Python 3.10 only, and with a NumPy below 2."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from snncompile.backends.cache import cache_folder
from snncompile.backends.lava.emit import LAVA
from snncompile.diagnostics import fail

PACKAGES = (f"lava-nc=={LAVA}", "numpy<2")
TIMEOUT_S = 1800
HELP = "install uv, or set SNNC_LAVA_PYTHON to a Python 3.10 with lava-nc"


def python() -> str:
    """The Python to run Lava with: named by SNNC_LAVA_PYTHON, this one, or one of an environment of its own.

    The environment is made once, by uv, in the user's cache folder.

    Raises:
        CompileError: SNN605 where there is none and none can be made.
    """
    named = os.environ.get("SNNC_LAVA_PYTHON")
    if named:
        found = shutil.which(named)
        if found is None:
            fail("SNN605", "SNNC_LAVA_PYTHON", named[:200], "the path of a Python 3.10 with lava-nc")
        return found
    if sys.version_info[:2] == (3, 10) and find_spec("lava"):
        return sys.executable
    home = cache_folder() / f"lava-{LAVA}"
    if not executable(home).exists():
        _make(home)
    return str(executable(home))


def executable(home: Path) -> Path:
    """The interpreter of a virtual environment."""
    return home / "Scripts" / "python.exe" if sys.platform == "win32" else home / "bin" / "python"


def _make(home: Path) -> None:
    """Make the environment beside its place, so that it is there whole or not at all."""
    uv = [shutil.which("uv") or ""] if shutil.which("uv") else [sys.executable, "-m", "uv"] if find_spec("uv") else []
    if not uv:
        fail("SNN605", "this machine", f"no uv, and no environment with {PACKAGES[0]}", "one of them", HELP)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as folder:
            fresh = Path(folder) / "lava"
            _call([*uv, "venv", "--quiet", "--python", "3.10", str(fresh)])
            _call([*uv, "pip", "install", "--quiet", "--python", str(executable(fresh)), *PACKAGES])
            fresh.replace(home)
    except OSError as e:
        if not executable(home).exists():  # otherwise another process was quicker
            fail("SNN605", "the cache of environments", str(e)[:200], help="set SNNC_CACHE to a folder of yours")


def _call(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        fail("SNN605", " ".join(command[:3]), f"no answer in {TIMEOUT_S} s", help=HELP)
    if done.returncode:
        fail("SNN605", " ".join(command[:3]), done.stderr.strip()[-400:], "an environment with Lava", HELP)
