"""Reading a build folder back. Every file is checked, since anybody may have changed the folder or made it up."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from snncompile.backends.artifact import Artifact, Golden
from snncompile.build_folder import manifest_of, reason
from snncompile.data.files import npz_names, read_npz
from snncompile.diagnostics import fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.ops import Input
from snncompile.ir.serde import restore
from snncompile.ir.types import Stage
from snncompile.ir.verify import verify
from snncompile.model import CompiledModel
from snncompile.passes.quantize.calibrate import Calibration
from snncompile.report.report import Report, population_reports

MAX_BYTES = 4 << 30
MAX_PARTS = 6
INT64 = 1 << 63
NEEDED = frozenset({"graph.snn", "mapped.snn", "graph.safetensors", "golden.npz", "report.json"})


def open_build(folder: str | Path) -> CompiledModel:
    """Open the folder of a model that `save` wrote.

    The report of the model holds only what follows from the graph. What was measured when the network was compiled is
    in the file `report.json` of the folder.

    Raises:
        CompileError: SNN604 where files are missing, changed, or not those of a build folder.
    """
    root = Path(folder)
    place = f"folder {shorten(root)}"
    manifest = manifest_of(root, place)
    files = {n: _checked(root, n, digest, place) for n, digest in manifest["files"].items()}
    missing = NEEDED - set(files)
    if missing:
        fail("SNN604", place, f"the manifest lacks {sorted(missing)}")
    graph, mapped = (_graph(files, name, place) for name in ("graph.snn", "mapped.snn"))
    if graph.stage != Stage.INT:
        fail("SNN604", f"{place}, graph.snn", f"a graph of stage {graph.stage.name}", "stage INT")
    if not _same_network(graph, mapped):
        fail("SNN604", f"{place}, mapped.snn", "another network than that of graph.snn", help="compile again")
    backend = manifest["backend"]
    sources = {n.removeprefix(f"{backend}/"): b for n, b in files.items() if n.startswith(f"{backend}/")}
    golden = _read_golden(root / "golden.npz", graph, place)
    report = Report(graph.name, manifest["target"], population_reports(graph, Calibration(), None), None,
                    manifest["sizes_bytes"], {})
    artifact = Artifact(sources, report.sizes_bytes)
    return CompiledModel(graph, mapped, artifact, golden, manifest["rates"], report, backend=backend)


def _graph(files: Mapping[str, bytes], name: str, place: str) -> Graph:
    """The graph in one of the files, verified."""
    return verify(restore(_text(files[name], place), files["graph.safetensors"], where=f"{place}, {name}"))


def _same_network(graph: Graph, mapped: Graph) -> bool:
    """Whether a mapped graph has the inputs, outputs and populations of the graph.

    Retiming may have added populations, states, and inputs that are always on.
    """
    if mapped.stage < Stage.INT:
        return False
    always_on = set(mapped.schedule.always_on)
    return (list(graph.inputs) == [n for n in mapped.inputs if n not in always_on]
            and list(graph.outputs) == list(mapped.outputs)
            and all(graph.shapes[n] == mapped.shapes.get(n) for n in graph.nodes)
            and all(set(op.states) <= set(mapped.population(n).states)
                    for n, op in graph.integer_populations.items() if n in mapped.integer_populations)
            and set(graph.integer_populations) <= set(mapped.integer_populations))


def _text(content: bytes, place: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as e:
        fail("SNN604", place, str(e)[:200])


def _checked(root: Path, name: str, digest: str, place: str) -> bytes:
    """Read a file of the folder that the manifest names.

    Raises:
        CompileError: SNN604 where the name leads out of the folder, or the file is missing, a link, too large, or has
            another SHA-256 than the manifest says.
    """
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
        fail("SNN604", f"{place}, {shorten(name)}", reason(e))
    if hashlib.sha256(content).hexdigest() != digest:
        fail("SNN604", f"{place}, {shorten(name)}", "its content is not what was written", help="compile again")
    return content


def _read_golden(path: Path, graph: Graph, place: str) -> Golden:
    """Read the golden vectors, and check that their shapes, types and ranges are those of the graph."""
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
