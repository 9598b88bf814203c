"""`snnc` as a program: its streams, its exit codes, its terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import snncompile as sc
from snncompile.build_folder import MANIFEST
from tests.cli.running import ROOT, program, snnc
from tests.nets import SAMPLES


def test_the_version_is_printed():
    assert snnc("--version").stdout == f"snnc {sc.__version__}\n"
    assert program("--version").stdout == f"snnc {sc.__version__}\n"


def test_help_names_every_command():
    shown = program("--help").stdout
    for name in ("inspect", "compile", "run", "verify", "explain", "targets"):
        assert re.search(rf"\b{name}\b", shown)


def test_help_tells_every_command_in_whole():
    shown = " ".join(program("--help").stdout.split())
    assert "Show what weights, inputs, decays and membranes each lose when a network becomes integers." in shown


def test_help_loads_nothing_heavy():
    """Rich takes as long to load as everything else that the list of commands needs. Old releases of Typer load it."""
    heavy = {"numpy", "networkx", "scipy", "h5py", "jinja2", "torch", "rich"}
    code = ("import contextlib, sys, typer; own = set(sys.modules)\n"
            "from snncompile.cli import main; sys.argv[1:] = ['--help']\n"
            f"with contextlib.suppress(SystemExit): main()\nprint(sorted({heavy!r} & (set(sys.modules) - own)))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_program_compiles_verifies_and_runs(files, tmp_path):
    built = program("compile", files / "small.nir", "--calibrate", files / "data.npz", "--labels",
                    files / "data.npz", "-o", "build", folder=tmp_path)
    assert (built.returncode, built.stderr) == (0, "")
    assert "\x1b" not in built.stdout
    assert (tmp_path / "build" / MANIFEST).exists()
    assert program("verify", "build", folder=tmp_path).returncode == 0
    ran = program("run", "build", files / "data.npz", "--json", folder=tmp_path)
    assert json.loads(ran.stdout)["samples"] == SAMPLES
    refused = program("compile", "none.nir", folder=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error[SNN101]: cannot read the file\n")


def test_output_that_cannot_be_encoded_is_replaced(files):
    shown = program("inspect", files / "build", PYTHONIOENCODING="ascii")
    assert shown.returncode == 0
    assert "lif1" in shown.stdout
    svg = program("inspect", files / "build", "--svg", "-", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert svg.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full, which stands for a full disk")
@pytest.mark.parametrize("args", [["targets"], ["explain", "SNN101"], ["inspect", "build"], ["check", "small.nir"],
                                  ["check", "small.nir", "--json"], ["verify", "build", "--json"], ["--version"],
                                  ["compile", "--help"]], ids=" ".join)
def test_output_on_a_full_disk_is_told_from_a_defect(files, args):
    with open("/dev/full", "w") as full:
        ended = subprocess.run([sys.executable, "-m", "snncompile", *args], cwd=files, stdout=full, check=False,
                               stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        silent = subprocess.run([sys.executable, "-m", "snncompile", *args], cwd=files, stdout=full, check=False,
                                stderr=full, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert ended.stderr == "snnc: the output cannot be written: [Errno 28] No space left on device\n"
    assert (ended.returncode, silent.returncode) == (2, 2)


BROKEN = ("import sys, snncompile.frontends\n"
          "def load(*args, **options):\n    raise KeyError('a defect')\n"
          "snncompile.frontends.load = load\n"
          "from snncompile.cli import main\nmain()\n")


@pytest.mark.parametrize("debug", [False, True])
def test_a_defect_is_one_line_unless_more_is_wanted(debug):
    options = ["--debug"] if debug else []
    run = subprocess.run([sys.executable, "-c", BROKEN, *options, "inspect", "a.nir"], cwd=ROOT, check=False,
                         capture_output=True, text=True)
    assert run.returncode == 3
    assert run.stdout == ""
    assert ("Traceback" in run.stderr) is debug
    if not debug:
        assert run.stderr.startswith("snnc: a defect of the compiler: KeyError: 'a defect'\nPlease report it")


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_colour_and_progress_are_for_terminals(files):
    import pty

    leader, follower = pty.openpty()
    try:
        run = subprocess.Popen([sys.executable, "-m", "snncompile", "compile", str(files / "small.nir")], cwd=ROOT,
                               stdout=follower, stderr=follower, stdin=follower,
                               env={**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)})
        run.wait(60)
        shown = os.read(leader, 1 << 16).decode()
    finally:
        os.close(leader)
        os.close(follower)
    assert run.returncode == 0
    assert "\x1b[1;36m read" in shown
