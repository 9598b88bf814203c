"""snncompile: a compiler for spiking neural networks, in which every stage computes the same spikes.

    import snncompile as sc
    graph = sc.load("net.nir", as_="sinabs")
    model = sc.compile(graph, target="c99", calibration=x, weight_bits=8)
    model.run(x).decisions

A name is imported when it is first used, so that `import snncompile` does not load NumPy or any reader. What type
checkers know of the names stands in `__init__.pyi`, which `make docs` writes.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "CompileError": "diagnostics", "CompiledModel": "model", "Diagnostic": "diagnostics", "Edge": "ir.graph",
    "Graph": "ir.graph", "Observer": "observer", "Target": "targets.target", "check": "checker", "compile": "driver",
    "estimate": "estimator", "explore": "explorer", "export_nir": "frontends.nir.export",
    "export_onnx": "frontends.onnx", "load": "frontends", "load_target": "targets.load", "losses": "loss_sources",
    "neuron_module": "frontends.torch.cells", "open_build": "saved_build", "run": "reference",
}
"""The module of each public name. No module has a public name itself: importing it would replace the function."""
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'snncompile' has no attribute {name!r}")
    module = import_module(f"snncompile.{_HOMES[name]}")
    value = getattr(module, name)
    signatures = import_module("snncompile.signatures")
    if name in signatures.OPTIONS:
        value.__signature__ = signatures.whole(name, value)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
