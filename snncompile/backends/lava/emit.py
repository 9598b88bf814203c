"""The files of the Lava backend: a package of processes, its arrays, golden vectors, and a program that runs it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping

import numpy as np

from snncompile.backends.artifact import Artifact, Golden
from snncompile.backends.lava.context import Net
from snncompile.backends.lava.lower import lower, narrow
from snncompile.backends.lava.netx import net_file
from snncompile.backends.names import prefix
from snncompile.backends.render import render
from snncompile.ir.graph import Graph
from snncompile.ir.interp import in_network_ticks, run
from snncompile.ir.types import Array

LAVA = "0.10.0"
"""The version of lava-nc that the package is made for."""
GOLDEN_SAMPLES, GOLDEN_TICKS = 2, 32
"""The most samples and ticks of golden vectors that are recorded; Lava takes about half a second for each sample."""


def emit(graph: Graph, *, golden: Golden | None = None) -> Artifact:
    """Emit a MAPPED graph as a Lava package.

    Args:
        graph: what the network computes in each tick of the hardware, with its schedule.
        golden: vectors in ticks of the network, by which the program checks itself. The first GOLDEN_TICKS ticks of the
            first GOLDEN_SAMPLES samples are used.

    Returns:
        The files, and the bytes of all weights and parameters as "weights".

    Raises:
        CompileError: SNN205 for a projection with too many synapses.
    """
    net = lower(graph, f"{prefix(graph.name)}_lava")
    files: dict[str, str | bytes] = {
        "run.py": render("lava/run.py.j2", net=net, lava=LAVA),
        "manifest.json": json.dumps(net.manifest, indent=1) + "\n",
        "weights.npz": _npz(net.arrays),
        f"{net.package}/network.py": render("lava/network.py.j2", net=net, fixed=_fixed(net)),
        f"{net.package}/__init__.py": "",
        f"{net.package}/procs/__init__.py": "",
    }
    for kind in net.kinds:
        files |= _folder(net, kind.folder, "rule", kind=kind)
    for name in _fixed(net):
        files |= _folder(net, name.lower(), name.lower())
    chain = net_file(graph, net.registers)
    if chain is not None:
        files[f"{net.package}.net"] = chain
    if golden is not None:
        files["golden.npz"] = _golden(net, graph, golden)
    return Artifact(files, {"weights": sum(a.nbytes for a in net.arrays.values())})


def _fixed(net: Net) -> list[str]:
    """The names of the process classes that the network uses beside those of its neuron rules and of Lava."""
    used = [n for n in ("Delay", "Synapses") if net.uses(n)]
    return ["Source", "Recorder", *used, *(["Membranes"] if net.states else [])]


def _folder(net: Net, folder: str, template: str, **context: object) -> dict[str, str | bytes]:
    """The files of a process class, in a folder of its own, because Lava executes every file beside a process."""
    home = f"{net.package}/procs/{folder}"
    parts = {part: render(f"lava/{template}_{part}.py.j2", net=net, package=net.package, **context)
             for part in ("process", "models")}
    return {f"{home}/__init__.py": "", **{f"{home}/{part}.py": text for part, text in parts.items()}}


def _npz(arrays: Mapping[str, Array]) -> bytes:
    """Arrays as an .npz file, compressed at the fastest level, because indices of synapses take much memory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, values, allow_pickle=False)
    return buffer.getvalue()


def _golden(net: Net, graph: Graph, golden: Golden) -> bytes:
    """Golden vectors as an .npz file, in ticks of the network: inputs, and all that the interpreter gives for them."""
    x = {n: v[:GOLDEN_SAMPLES, :GOLDEN_TICKS] for n, v in golden.inputs.items()}
    ticks = next(iter(x.values())).shape[1]
    recorded = [r["name"] for r in net.manifest["emitted"]]
    late = run(graph, graph.schedule.present(x), record=recorded, states=True)
    traces = in_network_ticks(graph, late, ticks)
    arrays = {f"input{i}": v for i, v in enumerate(x.values())}
    arrays |= {f"emitted{i}": traces.emitted[n] for i, n in enumerate(recorded)}
    arrays |= {f"state{i}": traces.states[s["population"]][s["state"]] for i, s in enumerate(net.manifest["states"])}
    arrays |= {f"output{i}": v for i, v in enumerate(traces.outputs.values())}
    return _npz({n: narrow(v) for n, v in arrays.items()})
