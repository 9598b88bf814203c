"""snncompile: a compiler for spiking neural networks, in which every stage computes the same spikes.

    import snncompile as sc
    graph = sc.load("net.nir", as_="sinabs")
    model = sc.compile(graph, target="c99", calibration=x, weight_bits=8)
    model.run(x).decisions

A name is imported when it is first used, so that `import snncompile` does not load NumPy or any reader.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from snncompile.checker import check as check
    from snncompile.diagnostics import CompileError as CompileError
    from snncompile.diagnostics import Diagnostic as Diagnostic
    from snncompile.driver import compile as compile
    from snncompile.estimator import estimate as estimate
    from snncompile.explorer import explore as explore
    from snncompile.frontends import load as load
    from snncompile.frontends.nir.export import export_nir as export_nir
    from snncompile.frontends.onnx import export_onnx as export_onnx
    from snncompile.frontends.torch.cells import neuron_module as neuron_module
    from snncompile.ir.graph import Edge as Edge
    from snncompile.ir.graph import Graph as Graph
    from snncompile.loss_sources import losses as losses
    from snncompile.model import CompiledModel as CompiledModel
    from snncompile.observer import Observer as Observer
    from snncompile.reference import run as run
    from snncompile.saved_build import open_build as open_build
    from snncompile.targets.load import load_target as load_target
    from snncompile.targets.target import Target as Target

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
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
