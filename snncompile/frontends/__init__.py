"""Sources to graphs: `load` recognises what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from snncompile.diagnostics import fail, shorten
from snncompile.ir.graph import Graph

MAX_TEXT_BYTES = 1 << 28
MAX_WEIGHT_BYTES = 1 << 33


def load(source: Any, **options: Any) -> Graph:
    """The graph that a source means.

    Args:
        source: a `.nir` file; an `.onnx` file that holds one step of a network; a `.net` file of lava-dl; a `.snn`
            file in the compiler's text form, its weights in a `.safetensors` file of the same name beside it; or a
            graph, which passes through.
        options: what NIR leaves open: dt, discretization, reset, ... (docs/nir.md); for ONNX states, initial and
            values (docs/onnx.md); for a `.net` file what NetX takes beside it: skip_layers, reset_interval,
            reset_offset (docs/netx.md). The others need none.

    Raises:
        CompileError: SNN107 for anything else, and whatever is wrong with the source.
    """
    if isinstance(source, Graph):
        _no_options(options, "a graph")
        return source
    if _is_module(source):
        from snncompile.frontends.torch.load import load_torch

        return load_torch(source, options)
    if isinstance(source, str) and Path(source).suffix.lower().startswith(".py:"):
        return _load_python(source, options)
    if isinstance(source, (str, Path)):
        reader = READERS.get(Path(source).suffix.lower())
        if reader is not None:
            return reader(Path(source), options)
        suffix = shorten(Path(source).suffix)[1:-1]
        if suffix in NOT_NETWORKS:
            fail("SNN107", f"source {shorten(source)}", NOT_NETWORKS[suffix], ", ".join(READERS),
                 "write a function build() that makes the module and loads the weights, and give model.py:build")
        fail("SNN107", f"source {shorten(source)}", f"a file named *{suffix}" if suffix else "a name without an ending",
             ", ".join(READERS))
    fail("SNN107", "source", f"an object of type {shorten(type(source).__name__)}",
         "a file name, a torch.nn.Module, or a Graph")


def _is_module(source: object) -> bool:
    """Whether this is a PyTorch module; torch is not imported to find out."""
    return any((c.__module__, c.__name__) == ("torch.nn.modules.module", "Module") for c in type(source).__mro__)


def _load_python(source: str, options: Mapping[str, Any]) -> Graph:
    try:
        from snncompile.frontends.torch.load import load_file
    except ModuleNotFoundError as e:
        fail("SNN108", f"package {e.name}", "it is not installed", help="pip install snncompile[torch]")
    return load_file(source, options)


def _no_options(options: Mapping[str, Any], what: str) -> None:
    if options:
        fail("SNN404", f"options {', '.join(map(shorten, options))}", f"{what} leaves nothing open",
             "options are for NIR and NetX files")


def _load_nir(path: Path, options: Mapping[str, Any]) -> Graph:
    from snncompile.frontends.nir.graph import load_nir

    return load_nir(path, **options)


def _load_net(path: Path, options: Mapping[str, Any]) -> Graph:
    from snncompile.frontends.netx.graph import load_net

    return load_net(path, **options)


def _load_onnx(path: Path, options: Mapping[str, Any]) -> Graph:
    from snncompile.frontends.onnx import load_onnx

    return load_onnx(path, **options)


def _load_text(path: Path, options: Mapping[str, Any]) -> Graph:
    from snncompile.ir.serde import restore
    from snncompile.ir.verify import verify

    _no_options(options, "the text form")
    text = _bytes(path, MAX_TEXT_BYTES)
    beside = path.with_suffix(".safetensors")
    weights = _bytes(beside, MAX_WEIGHT_BYTES) if beside.exists() else NO_WEIGHTS
    try:
        return verify(restore(text.decode("utf-8"), weights, where=path.name))
    except UnicodeDecodeError:
        fail("SNN101", f"file {shorten(path.name)}", "bytes that are not UTF-8", "the compiler's text form")


# A safetensors file without tensors: the length of its header, and the header.
NO_WEIGHTS = (2).to_bytes(8, "little") + b"{}"


def _bytes(path: Path, limit: int) -> bytes:
    place = f"file {shorten(path.name)}"
    try:
        if path.stat().st_size > limit:
            fail("SNN103", place, f"{path.stat().st_size} bytes", f"at most {limit}")
        return path.read_bytes()
    except (OSError, ValueError) as e:
        fail("SNN101", place, str(getattr(e, "strerror", None) or e))


NOT_NETWORKS = {
    **dict.fromkeys((".pt", ".pth"), "weights, or a pickled program, but no network"),
    ".py": "a file, but no function in it",
}
READERS: Mapping[str, Callable[[Path, Mapping[str, Any]], Graph]] = {
    ".nir": _load_nir, ".onnx": _load_onnx, ".net": _load_net, ".snn": _load_text,
}
