"""Running an emitted Lava program on this machine: in this Python where it has Lava, else in one of its own."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Progress
from snncompile.backends.lava.environment import HELP, python
from snncompile.diagnostics import fail
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces
from snncompile.ir.types import Array, Json

TIMEOUT_S = 4 * 3600
OWN_PYTHON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Variables of this Python's environment that another one must not inherit."""


def host(graph: Graph, artifact: Artifact) -> LavaHost:
    """What runs these files. Whether there is a Lava is found out when it does."""
    return LavaHost(graph, artifact.files)


@dataclass(frozen=True)
class LavaHost:
    """An emitted package, run in ticks of the hardware; every run starts Lava once, and every sample a fresh network.

    Attributes:
        graph: the MAPPED graph that the package was emitted for.
    """

    graph: Graph
    files: Mapping[str, str | bytes]

    def run(self, x: Mapping[str, Array], progress: Progress | None = None
            ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Outputs by name, and the sum of what each population emitted, `[sample]`.

        Raises:
            CompileError: SNN605 without a Lava, SNN606 where its program fails.
        """
        found, manifest = self._run(x, False, progress)
        emitted = _named(found, manifest, "emitted")
        counts = {n: np.abs(emitted[n].astype(np.int64)).reshape(len(emitted[n]), -1).sum(1)
                  for n in self.graph.populations}
        return _named(found, manifest, "output"), counts

    def trace(self, x: Mapping[str, Array], states: bool = True, progress: Progress | None = None) -> Traces:
        """What every population emitted, and with `states` every state after each tick. Raises as `run` does."""
        found, manifest = self._run(x, states, progress)
        emitted = _named(found, manifest, "emitted")
        held: dict[str, dict[str, Array]] = {n: {} for n in self.graph.populations}
        for i, state in enumerate(manifest["states"] if states else ()):
            held.get(state["population"], {})[state["state"]] = found[f"state{i}"]
        return Traces(_named(found, manifest, "output"), {n: emitted[n] for n in self.graph.populations},
                      {n: v for n, v in held.items() if v})

    def _run(self, x: Mapping[str, Array], states: bool, progress: Progress | None) -> tuple[dict[str, Array], Json]:
        interpreter = python()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
            folder = Path(name)
            for path, content in self.files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
            manifest = _in_hardware_ticks(json.loads((folder / "manifest.json").read_text("utf-8")))
            (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
            given = [x[n] for n in self.graph.inputs]
            if interpreter == sys.executable:
                return _inside(folder, manifest, given, states, progress), manifest
            return _outside(interpreter, folder, given, states, progress), manifest


def _in_hardware_ticks(manifest: Json) -> Json:
    """The manifest of a package that is to be run in ticks of the hardware, with its always-on sources as inputs."""
    return {**manifest, "period": 1, "depth": 0,
            "inputs": [{**port, "first": 0, "always_on": False} for port in manifest["inputs"]],
            "emitted": [{**record, "first": 0} for record in manifest["emitted"]],
            "outputs": [{**port, "first": -port["delay"]} for port in manifest["outputs"]]}


def _inside(folder: Path, manifest: Json, given: list[Array], states: bool, progress: Progress | None
            ) -> dict[str, Array]:
    """Run the package in this Python, and forget its modules, whose names another package may have too."""
    sys.path.insert(0, str(folder))
    try:
        found: dict[str, Array] = runpy.run_path(str(folder / "run.py"))["run"](manifest, given, states, progress)
    except (ImportError, RuntimeError, ValueError) as e:
        fail("SNN606", "Lava, in this Python", f"{type(e).__name__}: {e}"[:600])
    finally:
        sys.path.remove(str(folder))
        for name in [n for n in sys.modules if n.split(".")[0] == manifest["package"]]:
            del sys.modules[name]
    return found


def _outside(interpreter: str, folder: Path, given: list[Array], states: bool, progress: Progress | None
             ) -> dict[str, Array]:
    """Run the package in another Python."""
    arrays: dict[str, Any] = {f"input{i}": v for i, v in enumerate(given)}
    np.savez(folder / "samples.npz", **arrays)
    command = [interpreter, "run.py", "--input", "samples.npz", "--output", "found.npz", "--progress"]
    _call([*command, *(["--states"] if states else [])], folder, progress)
    if not (folder / "found.npz").exists():
        fail("SNN606", interpreter, "it ended without results", "a Python 3.10 with lava-nc", HELP)
    with np.load(folder / "found.npz") as found:
        return dict(found)


def _named(found: Mapping[str, Array], manifest: Json, what: str) -> dict[str, Array]:
    """Arrays by the names of the network."""
    records = manifest["outputs" if what == "output" else what]
    return {r["name"]: found[f"{what}{i}"] for i, r in enumerate(records)}


def _call(command: list[str], folder: Path, progress: Progress | None) -> None:
    """Run the program, in a group of its own so that none of its processes outlives it."""
    environment = {n: v for n, v in os.environ.items() if n not in OWN_PYTHON}
    with open(folder / "errors.txt", "w+", encoding="utf-8", errors="replace") as errors:
        try:
            running = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors,
                                       text=True, errors="replace", start_new_session=True)
        except OSError as e:
            fail("SNN605", command[0], str(e)[:200])
        clock = threading.Timer(TIMEOUT_S, _stop, [running])
        clock.start()
        try:
            assert running.stdout is not None
            for line in running.stdout:
                done, slash, whole = line.strip().partition("/")
                if progress and slash and done.isdigit() and whole.isdigit():
                    progress(int(done), int(whole))
            code = running.wait()
        finally:
            clock.cancel()
            _stop(running)
        errors.seek(0)
        if code:
            fail("SNN606", command[0], errors.read().strip()[-600:] or f"exit code {code}")


def _stop(running: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":
        running.kill()
        return
    try:
        os.killpg(running.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # they have all ended
        return
