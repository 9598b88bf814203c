"""A compiled model as a folder: written whole or not at all, and read back with every file checked."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from snncompile import __version__
from snncompile.backends.artifact import Artifact, Golden
from snncompile.diagnostics import fail, shorten
from snncompile.ir.serde import dump, restore
from snncompile.ir.types import Array, Stage
from snncompile.ir.verify import verify
from snncompile.model import CompiledModel
from snncompile.report import Report

FORMAT = 1
MANIFEST = "manifest.json"
MAX_BYTES = 4 << 30
SOURCES = "c"


def contents(model: CompiledModel) -> dict[str, bytes]:
    """Every file of a build folder, by relative path."""
    from snncompile.html import page

    text, weights = dump(model.graph)
    files = {f"{SOURCES}/{n}": _bytes(t) for n, t in model.artifact.files.items()}
    files |= {
        "graph.snn": text.encode(),
        "graph.safetensors": weights,
        "golden.npz": _golden(model.golden),
        "report.json": (json.dumps(model.report.to_json(), indent=1) + "\n").encode(),
        "report.html": page(model).encode(),
    }
    manifest = {
        "format": FORMAT, "written_by": f"snncompile {__version__}", "target": model.report.target,
        "rates": dict(model.rates), "sizes_bytes": dict(model.artifact.sizes_bytes),
        "files": {n: hashlib.sha256(files[n]).hexdigest() for n in sorted(files)},
    }
    return {**files, MANIFEST: (json.dumps(manifest, indent=1) + "\n").encode()}


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _golden(golden: Golden) -> bytes:
    """Names are free text, so arrays are stored by position; the graph gives their order."""
    buffer = io.BytesIO()
    arrays = {f"input{i}": v for i, v in enumerate(golden.inputs.values())}
    arrays |= {f"output{i}": v for i, v in enumerate(golden.outputs.values())}
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def save(model: CompiledModel, folder: str | Path) -> Path:
    """Write a build folder, replacing an earlier one.

    Raises:
        CompileError: SNN602 where the folder exists and is something else, or cannot be written.
    """
    target = Path(folder)
    if target.exists() and not ((target / MANIFEST).is_file() or (target.is_dir() and not any(target.iterdir()))):
        fail("SNN602", f"folder {shorten(target)}", "it exists and is not a build folder",
             "a new folder, an empty one, or one that `snnc compile -o` wrote")
    files = contents(model)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".snnc-") as fresh:
            for name, content in files.items():
                path = Path(fresh) / "build" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            if target.exists():
                os.replace(target, Path(fresh) / "old")
            os.replace(Path(fresh) / "build", target)
            shutil.rmtree(Path(fresh) / "old", ignore_errors=True)
    except OSError as e:
        fail("SNN602", f"folder {shorten(target)}", str(e)[:200])
    return target


def open_build(folder: str | Path) -> CompiledModel:
    """The model that `save` wrote.

    Raises:
        CompileError: SNN604 where files are missing, changed, or not those of a build folder.
    """
    root = Path(folder)
    place = f"folder {shorten(root)}"
    manifest = _manifest(root, place)
    files = {n: _checked(root, n, digest, place) for n, digest in manifest["files"].items()}
    needed = {"graph.snn", "graph.safetensors", "golden.npz", "report.json"} - set(files)
    if needed:
        fail("SNN604", place, f"the manifest lacks {sorted(needed)}")
    graph = verify(restore(_text(files["graph.snn"], place), files["graph.safetensors"], where=f"{place}, graph.snn"))
    if graph.stage != Stage.INT:
        fail("SNN604", f"{place}, graph.snn", f"a graph of stage {graph.stage.name}", "stage INT")
    sources = {n.removeprefix(f"{SOURCES}/"): b for n, b in files.items() if n.startswith(f"{SOURCES}/")}
    golden = _read_golden(files["golden.npz"], list(graph.inputs), list(graph.outputs), place)
    report = Report(graph.name, str(manifest.get("target", "")), (), None, dict(manifest.get("sizes_bytes", {})), {})
    return CompiledModel(graph, Artifact(sources, report.sizes_bytes), golden, dict(manifest.get("rates", {})), report)


def _text(content: bytes, place: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as e:
        fail("SNN604", place, str(e)[:200])


def _manifest(root: Path, place: str) -> dict[str, Any]:
    try:
        found = json.loads((root / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError) as e:
        fail("SNN604", place, f"{MANIFEST}: {str(e)[:150]}", "a folder that `snnc compile -o` wrote")
    if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("files"), dict):
        fail("SNN604", place, f"{MANIFEST} is not of format {FORMAT}", help="compile again with this version")
    return found


def _checked(root: Path, name: str, digest: str, place: str) -> bytes:
    """A file of the folder, of which the manifest says what it must hold."""
    path = root / name
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts or len(parts) > 2:
        fail("SNN604", place, f"the manifest names {shorten(name)}", "files inside the folder")
    try:
        if path.is_symlink() or path.stat().st_size > MAX_BYTES:
            fail("SNN604", f"{place}, {shorten(name)}", "a link or an oversized file")
        content = path.read_bytes()
    except OSError as e:
        fail("SNN604", f"{place}, {shorten(name)}", str(e)[:150])
    if hashlib.sha256(content).hexdigest() != digest:
        fail("SNN604", f"{place}, {shorten(name)}", "its content is not what was written", help="compile again")
    return content


def _read_golden(content: bytes, inputs: list[str], outputs: list[str], place: str) -> Golden:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            def named(kind: str, names: list[str]) -> dict[str, Array]:
                return {n: np.asarray(arrays[f"{kind}{i}"]) for i, n in enumerate(names)}

            return Golden(named("input", inputs), named("output", outputs))
    except (OSError, ValueError, KeyError) as e:
        fail("SNN604", f"{place}, golden.npz", str(e)[:150])
