"""A compiled model as a folder: written whole or not at all, and read back with every file checked."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from snncompile import __version__
from snncompile.backends.artifact import Artifact, Golden
from snncompile.backends.table import BACKENDS
from snncompile.data.files import npz_names, read_npz
from snncompile.diagnostics import CompileError, fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.ops import Input
from snncompile.ir.serde import dump, restore
from snncompile.ir.types import Stage
from snncompile.ir.verify import verify
from snncompile.model import CompiledModel
from snncompile.passes.calibrate import Calibration
from snncompile.report import Report, population_reports

FORMAT = 1
MANIFEST = "manifest.json"
MAX_BYTES = 4 << 30
MAX_MANIFEST_BYTES = 1 << 24
INT64 = 1 << 63
MAX_PARTS = 6


def contents(model: CompiledModel) -> dict[str, bytes]:
    """Every file of a build folder, by relative path."""
    from snncompile.html import page

    text, weights = dump(model.graph)
    files = {f"{model.backend}/{n}": _bytes(t) for n, t in model.artifact.files.items()}
    files |= {
        "graph.snn": text.encode(),
        "graph.safetensors": weights,
        "golden.npz": _golden(model.golden),
        "report.json": (json.dumps(model.report.to_json(), indent=1) + "\n").encode(),
        "report.html": page(model).encode(),
    }
    manifest = {
        "format": FORMAT, "written_by": f"snncompile {__version__}", "target": model.report.target,
        "backend": model.backend,
        "rates": dict(model.rates), "sizes_bytes": dict(model.artifact.sizes_bytes),
        "files": {n: hashlib.sha256(files[n]).hexdigest() for n in sorted(files)},
    }
    return {**files, MANIFEST: (json.dumps(manifest, indent=1) + "\n").encode()}


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _golden(golden: Golden) -> bytes:
    """Names are free text, so arrays are stored by position; the graph gives their order."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {f"input{i}": v for i, v in enumerate(golden.inputs.values())}
    arrays |= {f"output{i}": v for i, v in enumerate(golden.outputs.values())}
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def save(model: CompiledModel, folder: str | Path) -> Path:
    """Write a build folder, replacing an earlier one.

    Raises:
        CompileError: SNN602 where the folder exists and holds anything else, or cannot be written.
    """
    target = Path(folder)
    expect_free(target)
    files = contents(model)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _beside(target) as fresh:
            for name, content in files.items():
                path = Path(fresh) / "build" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            _exchange(Path(fresh) / "build", target, Path(fresh) / "old")
    except (OSError, ValueError) as e:
        fail("SNN602", f"folder {shorten(target)}", _reason(e))
    return target


def _beside(target: Path) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder on the same file system, so that a rename moves what is in it."""
    return tempfile.TemporaryDirectory(dir=target.parent, prefix=".snnc-", ignore_cleanup_errors=True)


def _exchange(fresh: Path, target: Path, old: Path) -> None:
    """Put a folder in another's place; the other stays where it was if that fails."""
    if target.exists():
        os.replace(target, old)
    try:
        os.replace(fresh, target)
    except OSError:
        if old.exists():
            os.replace(old, target)
        raise


def expect_free(target: Path) -> None:
    """SNN602 unless a build may be written there: nothing, an empty folder, or an earlier build and nothing else."""
    place = f"folder {shorten(target)}"
    allowed = "a new folder, an empty one, or one that `snnc compile -o` wrote"
    try:
        if not target.exists():
            return
        if not target.is_dir():
            fail("SNN602", place, "it exists and is not a folder", allowed)
        present = sorted(p.name for p in target.iterdir())
    except (OSError, ValueError) as e:
        fail("SNN602", place, _reason(e))
    if present:
        _expect_build(target, present, place, allowed)


def _expect_build(target: Path, present: list[str], place: str, allowed: str) -> None:
    """What a build is replaced with must not take the user's own files along."""
    try:
        written = {Path(n).parts[0] for n in _manifest(target, place)["files"]} | {MANIFEST}
    except CompileError:
        fail("SNN602", place, f"it exists and is not a build folder: it holds {shorten(present[0])}", allowed)
    strange = [n for n in present if n not in written]
    if strange:
        fail("SNN602", place, f"it holds {shorten(strange[0])}, which the compiler did not write", allowed,
             "move your own files elsewhere")


def write_file(path: str | Path, content: bytes) -> Path:
    """Write a file whole or not at all.

    Raises:
        CompileError: SNN602 where it cannot be written.
    """
    target = Path(path)
    try:
        if target.exists() and not target.is_file():
            fail("SNN602", f"file {shorten(target)}", "it exists and is not a file")
        with _beside(target) as fresh:
            (Path(fresh) / "file").write_bytes(content)
            os.replace(Path(fresh) / "file", target)
    except (OSError, ValueError) as e:
        fail("SNN602", f"file {shorten(target)}", _reason(e))
    return target


def open_build(folder: str | Path) -> CompiledModel:
    """The model that `save` wrote.

    Its report holds what the graph itself tells; what calibration measured stands in the folder's `report.json`.

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
    backend = manifest["backend"]
    sources = {n.removeprefix(f"{backend}/"): b for n, b in files.items() if n.startswith(f"{backend}/")}
    golden = _read_golden(root / "golden.npz", graph, place)
    report = Report(graph.name, manifest["target"], population_reports(graph, Calibration(), None), None,
                    manifest["sizes_bytes"], {})
    artifact = Artifact(sources, report.sizes_bytes)
    return CompiledModel(graph, artifact, golden, manifest["rates"], report, backend=backend)


def _reason(e: Exception) -> str:
    """What went wrong, without the paths that the operating system names."""
    return (getattr(e, "strerror", None) or str(e) or type(e).__name__)[:200]


def _text(content: bytes, place: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as e:
        fail("SNN604", place, str(e)[:200])


def _manifest(root: Path, place: str) -> dict[str, Any]:
    """The manifest of a build folder, its fields of the types that `contents` writes."""
    try:
        with (root / MANIFEST).open("rb") as stream:
            found = json.loads(stream.read(MAX_MANIFEST_BYTES))
    except (OSError, ValueError, RecursionError) as e:
        fail("SNN604", place, f"{MANIFEST}: {_reason(e)}", "a folder that `snnc compile -o` wrote")
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        fail("SNN604", place, f"{MANIFEST} is not of format {FORMAT}", help="compile again with this version")
    fields: dict[str, type | tuple[type, ...]] = {"files": str, "rates": (int, float), "sizes_bytes": int}
    whole = all(isinstance(found.get(n), dict) and all(isinstance(v, kind) for v in found[n].values())
                for n, kind in fields.items())
    if not whole or not isinstance(found.get("target"), str) or found.get("backend") not in BACKENDS:
        fail("SNN604", place, f"{MANIFEST} lacks a target, a backend, files, rates or sizes", help="compile again")
    return found


def _checked(root: Path, name: str, digest: str, place: str) -> bytes:
    """A file of the folder, of which the manifest says what it must hold."""
    parts = name.split("/")
    if len(parts) > MAX_PARTS or any(p in ("", ".", "..") or not p.isprintable() or "\\" in p for p in parts):
        fail("SNN604", place, f"the manifest names {shorten(name)}", "files inside the folder")
    path = root / name
    try:
        if path.is_symlink() or path.parent.resolve() != root.resolve().joinpath(*parts[:-1]):
            fail("SNN604", f"{place}, {shorten(name)}", "a link", "a file")
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            fail("SNN604", f"{place}, {shorten(name)}", "missing, or not a file, or oversized")
        content = path.read_bytes()
    except OSError as e:
        fail("SNN604", f"{place}, {shorten(name)}", _reason(e))
    if hashlib.sha256(content).hexdigest() != digest:
        fail("SNN604", f"{place}, {shorten(name)}", "its content is not what was written", help="compile again")
    return content


def _read_golden(path: Path, graph: Graph, place: str) -> Golden:
    inputs = {n: f"input{i}" for i, n in enumerate(graph.inputs)}
    outputs = {n: f"output{i}" for i, n in enumerate(graph.outputs)}
    if set(npz_names(path)) != {*inputs.values(), *outputs.values()}:
        fail("SNN604", f"{place}, golden.npz", "vectors for other inputs and outputs", help="compile again")
    golden = Golden(*({n: read_npz(path, key) for n, key in keys.items()} for keys in (inputs, outputs)))
    whole = {**golden.inputs, **golden.outputs}
    lead = next(iter(whole.values())).shape[:2]
    for name, values in whole.items():
        low, high = (op.low, op.high) if isinstance(op := graph.nodes[name], Input) else (-INT64, INT64)
        if values.shape != (*lead, *graph.shapes[name]) or 0 in lead or values.dtype.kind not in "biu" or (
                values.size and not low <= values.min() <= values.max() <= high):
            fail("SNN604", f"{place}, golden.npz", f"vectors of {shorten(name)} that are not the network's",
                 help="compile again")
    return golden
