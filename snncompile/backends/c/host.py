"""Running emitted C on this machine: built by the system's compiler, cached by content, and called through ctypes."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Progress
from snncompile.backends.c.emit import emit
from snncompile.backends.c.interface import Interface
from snncompile.backends.cache import kept
from snncompile.diagnostics import fail
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces, narrow_type
from snncompile.ir.types import Array

WIDE = ("-mprefer-vector-width=512",) if platform.machine() in ("x86_64", "AMD64") else ()
FLAGS = ("-std=c99", "-O3", "-march=native", *WIDE, "-fPIC", "-shared", "-DSNN_COUNT")
TIMEOUT_S = 300
"""The longest time that the C compiler may take, in seconds."""
EXPORTS = ("size", "init", "reset", "run", "step", "read", "counts")
"""The functions that a built library must export, without the prefix of the network."""


def compiler() -> list[str] | None:
    """The command of the C compiler, in words: that of `CC`, else the first of cc, gcc and clang; None without one."""
    named = os.environ.get("CC")
    if named:
        try:
            words = shlex.split(named)
        except ValueError:  # CC holds a quote that is not closed
            return None
        return words if words and shutil.which(words[0]) else None
    command = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    return [command] if command else None


def build(files: Mapping[str, str | bytes], flags: tuple[str, ...] = FLAGS) -> Path:
    """Compile emitted files into a shared library in the cache folder; the same content is compiled once.

    Args:
        files: the emitted files by name.
        flags: of the C compiler.

    Returns:
        The path of the library.

    Raises:
        CompileError: SNN601 where there is no C compiler, where it fails, or where the cache cannot be written.
    """
    command = compiler()
    if command is None:
        fail("SNN601", "this machine", "no C compiler", "cc, gcc or clang", "install one, or set CC")
    sources = [n for n in sorted(files) if n.endswith((".c", ".S")) and not n.endswith(("_selftest.c", "_example.c"))]
    contents = {n: f.encode() if isinstance(f, str) else f for n, f in sorted(files.items())}

    def make(folder: Path) -> Path:
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        _compile([*command, *flags, "-o", "net.so", *sources], folder)
        return folder / "net.so"

    try:
        return kept(_key(command, flags, contents), ".so", make)
    except OSError as e:
        fail("SNN601", "the cache of built libraries", str(e)[:200], help="set SNNC_CACHE to a folder of yours")


def _key(command: list[str], flags: tuple[str, ...], contents: Mapping[str, bytes]) -> str:
    """The name of a library in the cache: a hash of its files, the command, and the machine that it is built for."""
    sizes = [(name, len(content)) for name, content in contents.items()]
    key = hashlib.sha256(repr((platform.node(), command, flags, sizes)).encode())
    for content in contents.values():
        key.update(content)
    return key.hexdigest()[:32]


def _compile(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as e:
        fail("SNN601", command[0], str(e)[:300])
    if done.returncode:
        fail("SNN601", command[0], done.stderr.strip()[:600])


def host(graph: Graph, artifact: Artifact) -> Host | None:
    """Build and load the files that were emitted for a graph; None where there is no C compiler. Raises as `build`."""
    return None if compiler() is None else Host.load(graph, build(artifact.files))


@dataclass(frozen=True)
class Host:
    """An emitted network that is loaded into this process.

    Each call of `run` and `trace` has memory of its own, so that threads may share a host.

    Attributes:
        graph: the graph that the network was emitted for.
        interface: the types and the order of what the library exports.
        library: the loaded library.
    """

    graph: Graph
    interface: Interface
    library: ctypes.CDLL

    @classmethod
    def of(cls, graph: Graph, rates: Mapping[str, float] | None = None, flags: tuple[str, ...] = FLAGS,
           chunk: int | None = None, costs: Mapping[str, float] | None = None) -> Host:
        """Emit, build and load a graph; the arguments are those of `emit` and `build`."""
        return cls.load(graph, build(emit(graph, rates=rates, chunk=chunk, costs=costs).files, flags))

    @classmethod
    def load(cls, graph: Graph, library: Path) -> Host:
        """Load a library that was built for this graph. Raises SNN601 where it cannot be loaded or lacks a function."""
        interface = Interface.of(graph)
        try:
            loaded = ctypes.CDLL(str(library))
        except OSError as e:
            fail("SNN601", "the built library", str(e)[:300])
        missing = [f for f in EXPORTS if not hasattr(loaded, f"{interface.prefix}_{f}")]
        if missing:
            fail("SNN601", "the built library", f"no function {interface.prefix}_{missing[0]}",
                 "what the compiler emitted")
        return cls(graph, interface, loaded)

    def _start(self) -> Callable[..., None]:
        """Initialise the network in fresh memory, and return a function that calls the network's functions by name."""
        size = getattr(self.library, f"{self.interface.prefix}_size")
        size.restype = ctypes.c_size_t
        memory = ctypes.create_string_buffer(size())

        def call(name: str, *args: object) -> None:
            getattr(self.library, f"{self.interface.prefix}_{name}")(ctypes.byref(memory), *args)

        call("init")
        return call

    def _inputs(self, x: Mapping[str, Array]) -> list[Array]:
        return [np.ascontiguousarray(x[n], dtype) for n, dtype in self.interface.inputs.items()]

    def _outputs(self, samples: int, ticks: int) -> dict[str, Array]:
        """Empty arrays for the outputs, by name."""
        return {n: np.empty((samples, ticks, *self.graph.shapes[n]), dtype)
                for n, dtype in self.interface.outputs.items()}

    def run(self, x: Mapping[str, Array], progress: Progress | None = None
            ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run integer inputs `[sample, tick, *shape]` by name, each sample from a reset.

        Returns:
            The outputs, of the same form, and for each population the sum of the magnitudes of what it emitted,
            `[sample]`.
        """
        inputs = self._inputs(x)
        samples, ticks = inputs[0].shape[:2]
        outputs = self._outputs(samples, ticks)
        counts = np.zeros((samples, len(self.interface.populations)), np.int64)
        call, frames, totals = self._start(), _pointers(*inputs, *outputs.values()), _pointers(counts)
        for s in range(samples):
            call("reset")
            call("run", ctypes.c_uint32(ticks), *frames(s))
            call("counts", *totals(s))
            if progress:
                progress(s + 1, samples)
        numbers = {n: i for i, n in enumerate(self.interface.populations)}
        return outputs, {n: counts[:, numbers[n]] for n in self.graph.populations}

    def trace(self, x: Mapping[str, Array], states: bool = True, progress: Progress | None = None) -> Traces:
        """Run tick by tick, and read what each population emitted, and with `states` each state after each tick."""
        inputs = self._inputs(x)
        samples, ticks = inputs[0].shape[:2]
        outputs = self._outputs(samples, ticks)
        fields = [f for f in self._fields() if states or not f[1]]
        values = {(n, s): np.empty((samples, ticks, *self.graph.shapes[n]), self._type(n, s)) for n, s, _, _ in fields}
        read = {n: np.empty(self.graph.shapes[n], np.int64) for n in self.graph.populations}
        call = self._start()
        for s in range(samples):
            call("reset")
            for t in range(ticks):
                call("step", *(_pointer(a[s, t]) for a in (*inputs, *outputs.values())))
                for name, state, population, field in fields:
                    call("read", ctypes.c_int32(population), ctypes.c_int32(field), _pointer(read[name]))
                    values[name, state][s, t] = read[name]
            if progress:
                progress(s + 1, samples)
        emitted = {n: values[n, ""] for n, state, _, _ in fields if state == ""}
        after_tick = {n: {s: values[m, s] for m, s, _, _ in fields if m == n and s} for n in emitted}
        return Traces(outputs, emitted, after_tick)

    def _type(self, name: str, state: str) -> np.dtype[Any]:
        """The type for a state, and the narrowest for what a population emits, where the state is ""."""
        return np.dtype(np.int64) if state else narrow_type(self.graph.population(name))

    def _fields(self) -> list[tuple[str, str, int, int]]:
        """What can be read: population, state ("" for what it emits), and the numbers of both in the program."""
        numbers = {n: i for i, n in enumerate(self.interface.populations)}
        return [(name, state, numbers[name], k) for name, op in self.graph.integer_populations.items()
                for k, state in enumerate(("", *op.states))]


def _pointers(*arrays: Array) -> Callable[[int], list[ctypes.c_void_p]]:
    """Where a sample begins in each of some arrays `[sample, ...]`, by its number."""
    places = [(a.ctypes.data, a.strides[0]) for a in arrays]
    return lambda sample: [ctypes.c_void_p(first + sample * stride) for first, stride in places]


def _pointer(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
