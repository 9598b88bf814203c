"""Writing a compiled model to a folder: either the whole folder appears, or nothing does."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snncompile import __version__
from snncompile.backends.artifact import Golden
from snncompile.backends.table import BACKENDS
from snncompile.diagnostics import CompileError, fail, shorten
from snncompile.ir.serde import weights_of
from snncompile.ir.text import to_text
from snncompile.report.html import page
from snncompile.report.report import Report
from snncompile.targets.layer_options import to_toml

if TYPE_CHECKING:
    from snncompile.model import CompiledModel

FORMAT = 2
MANIFEST = "manifest.json"
WRITTEN_BY_HAND = frozenset((
    ".c", ".cc", ".cpp", ".csv", ".h", ".hpp", ".ino", ".ipynb", ".ld", ".lpf", ".md", ".mk", ".npy", ".npz", ".pcf",
    ".py", ".rst", ".s", ".sdc", ".sv", ".tcl", ".toml", ".txt", ".v", ".vhd", ".xdc", ".yaml", ".yml"))
"""The suffixes of files which people put beside those of a build, and which no later build may remove."""
MAX_MANIFEST_BYTES = 1 << 24


def contents(model: CompiledModel) -> dict[str, bytes]:
    """The content of every file of a build folder, by relative path with forward slashes."""
    files = {f"{model.backend}/{n}": _bytes(t) for n, t in model.artifact.files.items()}
    files |= {
        "graph.snn": to_text(model.graph).encode(),
        "mapped.snn": to_text(model.mapped).encode(),
        "graph.safetensors": weights_of(model.graph, model.mapped),
        "golden.npz": _golden(model.golden),
        "report.json": (json.dumps(_report(model.report), indent=1) + "\n").encode(),
        "report.html": page(model).encode(),
    }
    if model.report.layers:
        files["layers.toml"] = to_toml(model.report.layers).encode()
    manifest = {
        "format": FORMAT, "written_by": f"snncompile {__version__}", "target": model.report.target,
        "backend": model.backend,
        "rates": dict(model.rates), "sizes_bytes": dict(model.artifact.sizes_bytes),
        "files": {n: hashlib.sha256(files[n]).hexdigest() for n in sorted(files)},
    }
    return {**files, MANIFEST: (json.dumps(manifest, indent=1) + "\n").encode()}


def _report(report: Report) -> dict[str, Any]:
    """The report as JSON, without what the clock said: two builds of the same network are equal."""
    return {name: value for name, value in report.to_json().items() if name != "seconds"}


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _golden(golden: Golden) -> bytes:
    """Golden vectors as `.npz`. Names are free text, so arrays are keyed by their position in the graph."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {f"input{i}": v for i, v in enumerate(golden.inputs.values())}
    arrays |= {f"output{i}": v for i, v in enumerate(golden.outputs.values())}
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def save(model: CompiledModel, folder: str | Path) -> Path:
    """Write a build folder; an earlier build in its place is replaced, and a link to a folder is followed.

    Returns:
        The path of the folder.

    Raises:
        CompileError: SNN602 where the folder exists and holds anything else, or cannot be written.
    """
    expect_free(Path(folder))
    files = contents(model)
    try:
        target = _followed(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        with _beside(target) as fresh:
            for name, content in files.items():
                path = Path(fresh) / "build" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            _exchange(Path(fresh) / "build", target, target.with_name(f"{target.name[:60]}.previous{Path(fresh).name}"))
    except (OSError, RuntimeError, ValueError) as e:
        fail("SNN602", f"folder {shorten(folder)}", reason(e))
    return Path(folder)


def _followed(path: str | Path) -> Path:
    """The path behind links. Raises OSError for links that lead in a circle."""
    target = Path(path).resolve()
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def _beside(target: Path) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder next to a path, on the same file system, so that its content can be moved by renaming."""
    return tempfile.TemporaryDirectory(dir=target.parent, prefix=".snnc-", ignore_cleanup_errors=True)


def _exchange(fresh: Path, target: Path, old: Path) -> None:
    """Move the folder `fresh` to `target`.

    What was there is moved to `old`, and back again if that fails or if the process is told to end, unless another
    process has written `target` in the meantime. A process that is killed in between leaves it in `old`, beside
    `target`.
    """
    try:
        if target.exists():
            os.replace(target, old)
        os.replace(fresh, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.replace(old, target)
        shutil.rmtree(old, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def expect_free(target: Path) -> None:
    """Check that a build may be written to a path.

    Raises:
        CompileError: SNN602 unless nothing is there, or an empty folder, or an earlier build without any other file.
    """
    place = f"folder {shorten(target)}"
    allowed = "a new folder, an empty one, or one that `snnc compile -o` wrote"
    try:
        if not target.exists():
            return
        if not target.is_dir():
            fail("SNN602", place, "it exists and is not a folder", allowed)
        present = sorted(p.name for p in target.iterdir())
    except (OSError, ValueError) as e:
        fail("SNN602", place, reason(e))
    if present:
        _expect_build(target, present, place, allowed)


def _expect_build(target: Path, present: list[str], place: str, allowed: str) -> None:
    """Check that a folder holds an earlier build and none of the user's own files, which would be lost.

    In the folders of the build, files that tools leave there are not the user's own, such as objects and logs.
    """
    try:
        written = {MANIFEST, *manifest_of(target, place)["files"]}
    except CompileError:
        fail("SNN602", place, f"it exists and is not a build folder: it holds {shorten(present[0])}", allowed)
    folders = {n.partition("/")[0] for n in written}
    within = (str(p.relative_to(target).as_posix()) for p in target.rglob("*") if p.suffix.lower() in WRITTEN_BY_HAND)
    strange = [n for n in present if n not in folders] or sorted(n for n in within if n not in written)
    if strange:
        fail("SNN602", place, f"it holds {shorten(strange[0])}, which the compiler did not write", allowed,
             "move your own files elsewhere")


def write_file(path: str | Path, content: bytes) -> Path:
    """Write a file; if that fails, an earlier file stays as it was. A link is followed.

    Raises:
        CompileError: SNN602 where it cannot be written.
    """
    try:
        target = _followed(path)
        if target.exists() and not target.is_file():
            fail("SNN602", f"file {shorten(path)}", "it exists and is not a file")
        with _beside(target) as fresh:
            (Path(fresh) / "file").write_bytes(content)
            os.replace(Path(fresh) / "file", target)
    except (OSError, RuntimeError, ValueError) as e:
        fail("SNN602", f"file {shorten(path)}", reason(e))
    return Path(path)


def reason(e: Exception) -> str:
    """The message of an exception, without the paths that the operating system adds; at most 200 characters."""
    return (getattr(e, "strerror", None) or str(e) or type(e).__name__)[:200]


def manifest_of(root: Path, place: str) -> dict[str, Any]:
    """Read the manifest of a build folder.

    Args:
        place: the folder as diagnostics name it.

    Raises:
        CompileError: SNN604 where the manifest is missing, of another format, or its fields have other types than those
            that `contents` writes.
    """
    try:
        with (root / MANIFEST).open("rb") as stream:
            manifest = json.loads(stream.read(MAX_MANIFEST_BYTES))
    except (OSError, ValueError, RecursionError) as e:
        fail("SNN604", place, f"{MANIFEST}: {reason(e)}", "a folder that `snnc compile -o` wrote")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        fail("SNN604", place, f"{MANIFEST} is not of format {FORMAT}", help="compile again with this version")
    fields: dict[str, Callable[[Any], bool]] = {"files": lambda v: isinstance(v, str), "rates": _is_amount,
                                                "sizes_bytes": lambda v: _is_amount(v) and isinstance(v, int)}
    whole = all(isinstance(manifest.get(n), dict) and all(map(fits, manifest[n].values()))
                for n, fits in fields.items())
    words = all(isinstance(manifest.get(n), str) for n in ("target", "backend"))
    if not whole or not words or manifest["backend"] not in BACKENDS:
        fail("SNN604", place, f"{MANIFEST} lacks a target, a backend, files, rates or sizes", help="compile again")
    return manifest


def _is_amount(value: Any) -> bool:
    """Whether this is a number from 0 to 2**63."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1 << 63
