"""Running `snnc`: in this process, for its JSON, or as a program of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from snncompile.backends.c.host import compiler
from snncompile.cli.app import app

ROOT = Path(__file__).parents[2]
needs_c = pytest.mark.skipif(compiler() is None, reason="no C compiler")


def snnc(*args, code: int = 0):
    """Run a command in this process; whatever happens, it ends with an exit code and no traceback."""
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert result.exit_code == code, result.output
    return result


def answer(*args, code: int = 0):
    """What `--json` prints; nothing else may be printed."""
    result = snnc(*args, "--json", code=code)
    assert result.stderr == ""
    found = json.loads(result.stdout)
    assert found["ok"] is (code == 0)
    return found


def program(*args, folder=None, **environment):
    """Run the program in a process of its own."""
    run = subprocess.run([sys.executable, "-m", "snncompile", *map(str, args)], capture_output=True, text=True,
                         check=False, cwd=folder or ROOT, timeout=120, encoding="utf-8",
                         env={**os.environ, "PYTHONPATH": str(ROOT), **environment})
    assert "Traceback" not in run.stderr
    return run


def tidy(text: str) -> str:
    return "".join(line.rstrip() + "\n" for line in text.splitlines())
