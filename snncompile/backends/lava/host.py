"""Running an emitted Lava program on this machine: in this Python where it has Lava, else in another one."""

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
"""The longest time that a run may take, in seconds."""
OWN_PYTHON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Variables of this Python's environment that another one must not inherit."""


def host(graph: Graph, artifact: Artifact) -> LavaHost:
    """A host for these files. Whether this machine has a Lava shows when the host runs."""
    return LavaHost(graph, artifact.files)


@dataclass(frozen=True)
class LavaHost:
    """An emitted package, which is run in ticks of the hardware.

    Each run starts Lava once, and builds a new network for each sample.

    Attributes:
        graph: the MAPPED graph that the package was emitted for.
        files: the emitted files by path.
    """

    graph: Graph
    files: Mapping[str, str | bytes]

    def run(self, x: Mapping[str, Array], progress: Progress | None = None
            ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run integer inputs `[sample, tick, *shape]` by name, each sample in a new network.

        Returns:
            The outputs, of the same form, and for each population the sum of the magnitudes of what it emitted,
            `[sample]`.

        Raises:
            CompileError: SNN605 where there is no Python with Lava, SNN606 where the program fails.
        """
        arrays, manifest = self._run(x, False, progress)
        emitted = _named(arrays, manifest, "emitted")
        counts = {n: np.abs(emitted[n].astype(np.int64)).reshape(len(emitted[n]), -1).sum(1)
                  for n in self.graph.populations}
        return _named(arrays, manifest, "output"), counts

    def trace(self, x: Mapping[str, Array], states: bool = True, progress: Progress | None = None) -> Traces:
        """Run as `run` does, and record what each population emitted, and with `states` each state after each tick."""
        arrays, manifest = self._run(x, states, progress)
        emitted = _named(arrays, manifest, "emitted")
        after_tick: dict[str, dict[str, Array]] = {n: {} for n in self.graph.populations}
        for i, state in enumerate(manifest["states"] if states else ()):
            after_tick.get(state["population"], {})[state["state"]] = arrays[f"state{i}"]
        return Traces(_named(arrays, manifest, "output"), {n: emitted[n] for n in self.graph.populations},
                      {n: v for n, v in after_tick.items() if v})

    def _run(self, x: Mapping[str, Array], states: bool, progress: Progress | None) -> tuple[dict[str, Array], Json]:
        """The arrays that the program writes, by its own names such as "emitted0", and the manifest it was run with."""
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
    """The manifest for a run in ticks of the hardware, in which always-on sources are inputs like any other.

    All ticks of the hardware are presented and kept: the period is 1, and nothing is shifted by a latency.
    """
    return {**manifest, "period": 1, "depth": 0,
            "inputs": [{**port, "first": 0, "always_on": False} for port in manifest["inputs"]],
            "emitted": [{**record, "first": 0} for record in manifest["emitted"]],
            "outputs": [{**port, "first": -port["delay"]} for port in manifest["outputs"]]}


def _inside(folder: Path, manifest: Json, given: list[Array], states: bool, progress: Progress | None
            ) -> dict[str, Array]:
    """Run the package in this Python, and unload its modules, because another package may have the same names."""
    sys.path.insert(0, str(folder))
    try:
        arrays: dict[str, Array] = runpy.run_path(str(folder / "run.py"))["run"](manifest, given, states, progress)
    except (ImportError, RuntimeError, ValueError) as e:
        fail("SNN606", "Lava, in this Python", f"{type(e).__name__}: {e}"[:600])
    finally:
        sys.path.remove(str(folder))
        for name in [n for n in sys.modules if n.split(".")[0] == manifest["package"]]:
            del sys.modules[name]
    return arrays


def _outside(interpreter: str, folder: Path, given: list[Array], states: bool, progress: Progress | None
             ) -> dict[str, Array]:
    """Run the package in another Python, which reads and writes .npz files."""
    samples: dict[str, Any] = {f"input{i}": v for i, v in enumerate(given)}
    np.savez(folder / "samples.npz", **samples)
    command = [interpreter, "run.py", "--input", "samples.npz", "--output", "results.npz", "--progress"]
    _call([*command, *(["--states"] if states else [])], folder, progress)
    if not (folder / "results.npz").exists():
        fail("SNN606", interpreter, "it ended without results", "a Python 3.10 with lava-nc", HELP)
    with np.load(folder / "results.npz") as arrays:
        return dict(arrays)


def _named(arrays: Mapping[str, Array], manifest: Json, kind: str) -> dict[str, Array]:
    """The arrays of one kind, "output" or "emitted", by the names of the graph."""
    records = manifest["outputs" if kind == "output" else kind]
    return {r["name"]: arrays[f"{kind}{i}"] for i, r in enumerate(records)}


def _call(command: list[str], folder: Path, progress: Progress | None) -> None:
    """Run the program in a process group of its own, so that all of its processes can be ended with it."""
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
    except (ProcessLookupError, PermissionError):  # all of its processes have ended
        return
