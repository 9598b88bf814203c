"""Finding or making a Python with Lava: lava-nc runs on Python 3.10 only, and with a NumPy below 2."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from snncompile.backends.cache import cache_folder
from snncompile.backends.lava.emit import LAVA
from snncompile.diagnostics import fail

PACKAGES = (f"lava-nc=={LAVA}", "numpy<2")
TIMEOUT_S = 1800
"""The longest time that a command may take which makes the environment, in seconds."""
HELP = "install uv, or set SNNC_LAVA_PYTHON to a Python 3.10 with lava-nc"


def python() -> str:
    """The path of the Python that runs Lava: the one that SNNC_LAVA_PYTHON names, this one, or that of an environment.

    The environment is made once, by uv or with a python3.10 on the path, in the user's cache folder.

    Raises:
        CompileError: SNN605 where there is none and none can be made.
    """
    named = os.environ.get("SNNC_LAVA_PYTHON")
    if named:
        interpreter = shutil.which(named)
        if interpreter is None:
            fail("SNN605", "SNNC_LAVA_PYTHON", named[:200], "the path of a Python 3.10 with lava-nc")
        return interpreter
    if sys.version_info[:2] == (3, 10) and find_spec("lava"):
        return sys.executable
    home = cache_folder() / f"lava-{LAVA}"
    if not executable(home).exists():
        _make(home)
    return str(executable(home))


def executable(home: Path) -> Path:
    """The path of the interpreter of a virtual environment."""
    return home / "Scripts" / "python.exe" if sys.platform == "win32" else home / "bin" / "python"


def _make(home: Path) -> None:
    """Make the environment in a temporary folder and move it to its place, so that it is there whole or not at all."""
    reasons = []
    for make, install in _ways():
        try:
            home.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as folder:
                fresh = Path(folder) / "lava"
                reason = _call([*make, str(fresh)]) or _call([w.format(executable(fresh)) for w in install])
                if reason is None:
                    fresh.replace(home)
                    return
                reasons.append(reason)
        except OSError as e:
            if executable(home).exists():  # another process has made it in the meantime
                return
            fail("SNN605", "the cache of environments", str(e)[:200], help="set SNNC_CACHE to a folder of yours")
    problems = "; ".join(reasons) or "neither uv nor python3.10"
    fail("SNN605", "this machine", problems, f"a Python 3.10 with {' and '.join(PACKAGES)}", HELP)


def _ways() -> Iterator[tuple[list[str], list[str]]]:
    """Pairs of commands: one makes an environment, the other installs into it, where `{}` is its interpreter."""
    if shutil.which("uv") or find_spec("uv"):
        uv = ["uv"] if shutil.which("uv") else [sys.executable, "-m", "uv"]
        install = [*uv, "pip", "install", "--quiet", "--python", "{}", *PACKAGES]
        yield [*uv, "venv", "--quiet", "--python", "3.10"], install
    if shutil.which("python3.10"):
        yield ["python3.10", "-m", "venv"], ["{}", "-m", "pip", "install", "--quiet", *PACKAGES]


def _call(command: list[str]) -> str | None:
    """Run a command, and return why it failed; None where it did not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"{command[0]}: no answer in {TIMEOUT_S} s"
    return f"{command[0]}: {done.stderr.strip()[-200:]}" if done.returncode else None
