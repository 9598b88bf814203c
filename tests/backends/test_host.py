"""Building and running emitted C: it is cached by content and safe to share, and failures are diagnostics."""

from __future__ import annotations

import os
import shutil
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from snncompile.backends.c import host as module
from snncompile.backends.c.host import Host, build, compiler
from snncompile.backends.cache import cache_folder
from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Linear
from snncompile.ir.populations import Neuron
from tests.passes.chains import chain, uncalibrated

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
FLAGS = ("-std=c99", "-O1", "-fPIC", "-shared")
SOURCE = {"t.c": "int t(void) { return 7; }\n", "t.h": "\n"}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SNNC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def refusal(monkeypatch: pytest.MonkeyPatch, **variables: str) -> tuple[str, str, str]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CompileError) as caught:
        build(SOURCE, FLAGS)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code, diagnostic.place, diagnostic.found


# --- the compiler -------------------------------------------------------------------------------------------

@needs_compiler
def test_the_compiler_is_named_by_cc(monkeypatch):
    (named,) = compiler() or [""]
    monkeypatch.setenv("CC", f"{named} -DSOMETHING='a b'")
    assert compiler() == [named, "-DSOMETHING=a b"]


@pytest.mark.parametrize("cc", ["no-such-compiler", "  ", 'cc "', "/"])
def test_a_cc_that_names_nothing_is_no_compiler(cc, monkeypatch):
    monkeypatch.setenv("CC", cc)
    assert compiler() is None
    assert refusal(monkeypatch) == ("SNN601", "this machine", "no C compiler")


@needs_compiler
def test_what_the_compiler_says_is_passed_on(cache, monkeypatch):
    with pytest.raises(CompileError) as caught:
        build({"t.c": "int t(void) { return nonsense; }\n"}, FLAGS)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "SNN601"
    assert "nonsense" in diagnostic.found
    assert list(cache.iterdir()) == []


@needs_compiler
def test_a_compiler_that_takes_too_long_is_stopped(cache, monkeypatch, tmp_path):
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 20\n")
    slow.chmod(0o755)
    monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    start = time.monotonic()
    assert refusal(monkeypatch, CC=str(slow))[:2] == ("SNN601", str(slow))
    assert time.monotonic() - start < 10


def test_a_compiler_that_speaks_no_utf8_is_quoted_all_the_same(cache, monkeypatch, tmp_path):
    rude = tmp_path / "rude"
    rude.write_bytes(b"#!/bin/sh\nprintf 'caf\\351' >&2\nexit 1\n")
    rude.chmod(0o755)
    assert refusal(monkeypatch, CC=str(rude))[2].startswith("caf")


# --- the cache ----------------------------------------------------------------------------------------------

@needs_compiler
def test_the_same_content_is_compiled_once(cache, monkeypatch):
    first = build(SOURCE, FLAGS)
    monkeypatch.setattr(module, "_compile", lambda *_: pytest.fail("compiled again"))
    assert build(dict(reversed(SOURCE.items())), FLAGS) == first
    assert first.parent == cache


@needs_compiler
def test_other_content_flags_names_or_machines_are_compiled_anew(cache, monkeypatch):
    libraries = {build(SOURCE, FLAGS), build({**SOURCE, "t.h": "/**/\n"}, FLAGS), build(SOURCE, (*FLAGS, "-DX")),
                 build({"u.c": SOURCE["t.c"], "t.h": "\n"}, FLAGS)}
    monkeypatch.setattr(module.platform, "node", lambda: "another")
    assert len(libraries | {build(SOURCE, FLAGS)}) == 5


@needs_compiler
@pytest.mark.parametrize("harm", ["damage", "permissions", "link", "empty"])
def test_an_entry_that_may_not_be_what_was_built_is_built_again(cache, tmp_path, harm):
    first = build(SOURCE, FLAGS)
    content = first.read_bytes()
    if harm == "damage":
        first.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif harm == "permissions":
        first.chmod(0o722)
    elif harm == "empty":
        first.write_bytes(b"")
    else:
        shutil.move(first, tmp_path / "other.so")
        first.symlink_to(tmp_path / "other.so")
    again = build(SOURCE, FLAGS)
    assert again.read_bytes() == content
    assert not again.is_symlink()
    assert again.stat().st_mode & 0o777 == 0o700
    assert list(cache.iterdir()) == [again]


@needs_compiler
def test_a_cache_to_which_anybody_may_write_is_refused(cache):
    build(SOURCE, FLAGS)
    cache.chmod(0o777)
    with pytest.raises(CompileError, match="anybody may write to it"):
        build(SOURCE, FLAGS)


@needs_compiler
def test_an_entry_that_another_process_removes_is_built_again(cache, monkeypatch):
    first = build(SOURCE, FLAGS)
    read = Path.read_bytes

    def removed(path: Path) -> bytes:
        if path == first:
            monkeypatch.setattr(Path, "read_bytes", read)
            path.unlink()
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", removed)
    assert build(SOURCE, FLAGS) == first
    assert first.exists()


@needs_compiler
def test_what_another_user_keeps_is_not_loaded(cache, monkeypatch):
    build(SOURCE, FLAGS)
    owner = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: owner)
    with pytest.raises(CompileError, match="belongs to another user"):
        build(SOURCE, FLAGS)


def test_where_one_file_ends_and_the_next_begins_matters():
    assert module._key([], (), {"a": b"xy", "b": b""}) != module._key([], (), {"a": b"x", "b": b"y"})


@needs_compiler
def test_nothing_but_the_library_stays_in_the_cache(cache):
    library = build(SOURCE, FLAGS)
    assert list(cache.iterdir()) == [library]


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SNNC_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SNNC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert cache_folder() == tmp_path / "c" / "snncompile"


@needs_compiler
def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    code, place, _ = refusal(monkeypatch, SNNC_CACHE=str(tmp_path / "file" / "cache"))
    assert (code, place) == ("SNN601", "the cache of built libraries")


def _built(_: int) -> str:
    return str(build({"t.c": "int t(void) { return 8; }\n"}, FLAGS))


@needs_compiler
def test_processes_and_threads_may_build_the_same_at_once(cache):
    with ProcessPoolExecutor(3) as processes, ThreadPoolExecutor(3) as threads:
        libraries = {*processes.map(_built, range(6)), *threads.map(_built, range(6))}
    assert len(libraries) == 1
    assert [str(p) for p in cache.iterdir()] == list(libraries)


# --- a network in this process --------------------------------------------------------------------------------

def network(name: str = "net") -> Graph:
    weight = np.random.default_rng(0).integers(-3, 6, (40, 30)) / 4
    graph = chain(Linear(weight), Neuron.of("lif", decay=0.75, threshold=2.0), shape=(30,))
    return uncalibrated(graph.replace(name=name))


@needs_compiler
def test_a_library_that_is_not_one_is_named(tmp_path):
    (tmp_path / "bad.so").write_bytes(b"\x7fELF")
    with pytest.raises(CompileError) as caught:
        Host.load(network(), tmp_path / "bad.so")
    assert [(d.code, d.place) for d in caught.value.diagnostics] == [("SNN601", "the built library")]


@needs_compiler
def test_a_library_of_something_else_is_named(cache):
    with pytest.raises(CompileError) as caught:
        Host.load(network(), build(SOURCE, FLAGS))
    assert [d.found for d in caught.value.diagnostics] == ["no function net_size"]


@needs_compiler
def test_threads_may_share_a_network():
    """Each call has memory of its own. C runs outside of Python's lock, so that calls overlap."""
    host = Host.of(network(), flags=(*FLAGS, "-DSNN_COUNT"))
    inputs = [{"x": np.random.default_rng(k).integers(0, 2, (20, 60, 30))} for k in range(4)]
    wanted = [run(host.graph, x).outputs["y"] for x in inputs]
    together = threading.Barrier(len(inputs))

    def run_one(k: int) -> bool:
        together.wait()
        return all(np.array_equal(host.run(inputs[k])[0]["y"], wanted[k]) for _ in range(10))

    with ThreadPoolExecutor(len(inputs)) as threads:
        assert all(threads.map(run_one, range(len(inputs))))


@needs_compiler
def test_samples_are_counted_one_by_one_and_progress_is_told():
    host = Host.of(network(), flags=(*FLAGS, "-DSNN_COUNT"))
    x = {"x": np.random.default_rng(1).integers(0, 2, (3, 20, 30))}
    done: list[tuple[int, int]] = []
    outputs, counts = host.run(x, lambda *progress: done.append(progress))
    assert counts["b"].tolist() == outputs["y"].reshape(3, -1).sum(1).tolist()
    assert done == [(1, 3), (2, 3), (3, 3)]


@needs_compiler
def test_the_environment_is_left_as_it_was():
    before = dict(os.environ)
    Host.of(network("other"), flags=(*FLAGS, "-DSNN_COUNT"))
    assert dict(os.environ) == before
