"""Frontends: `load` turns a file or a PyTorch module into a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from snncompile.diagnostics import did_you_mean, fail, shorten
from snncompile.frontends.torch.source import is_module
from snncompile.ir.graph import Graph

MAX_TEXT_BYTES = 1 << 28
MAX_WEIGHT_BYTES = 1 << 33


def load(source: Any, **options: Any) -> Graph:
    """Load a network as a graph.

    Args:
        source: the name of a file, a module, or a graph, which is returned as it is. Files are recognised by their
            suffix: `.nir` (NIR), `.onnx` (ONNX, one time step of a network), `.net` (lava-dl), `.snn` (the compiler's
            own text form, with the weights in a `.safetensors` file of the same name beside it). A module is a
            `torch.nn.Module`, or `model.py:build`, a function of a Python file that returns one.
        options: what the source does not define itself. NIR: dt, discretization, reset, ... (docs/nir.md). ONNX:
            states, initial, values (docs/onnx.md). `.net`: num_layers, input_shape, skip_layers, ... (docs/netx.md).
            PyTorch: example_input, values, decode (docs/pytorch.md). Graphs and the text form have none.

    Raises:
        CompileError: SNN107 for any other source; SNN404 for options that the source does not have; and the
            diagnostics of the frontend for everything that is wrong with the source.
    """
    if isinstance(source, Graph):
        _refuse_options(options, "a graph")
        return source
    if is_module(source):
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
                 "write a function build() in model.py that makes the module, loads its weights and returns it with an "
                 "example input, and give model.py:build")
        fail("SNN107", f"source {shorten(source)}", f"a file with the suffix {suffix}" if suffix
             else "a file name without a suffix", ", ".join(READERS), _meant(str(source)))
    fail("SNN107", "source", f"an object of type {shorten(type(source).__name__)}",
         "a file name, a torch.nn.Module, or a Graph")


def _meant(source: str) -> str:
    """Help for a name that is not that of a file: `model:Net` for `model.py:Net`, or a suffix that is misspelt."""
    path, colon, name = source.rpartition(":")
    if colon and path and name.isidentifier():
        return f"for a network of a Python file, give its path: {shorten(path.replace('.', '/') + '.py:' + name)[1:-1]}"
    return did_you_mean(Path(source).suffix.lower(), READERS)


def _load_python(source: str, options: Mapping[str, Any]) -> Graph:
    try:
        from snncompile.frontends.torch.load import load_file
    except ModuleNotFoundError as e:
        fail("SNN108", f"package {e.name}", "it is not installed", help="pip install snncompile[torch]")
    return load_file(source, options)


def _refuse_options(options: Mapping[str, Any], source: str) -> None:
    """Raise SNN404 if options are given for a source that has none."""
    if options:
        fail("SNN404", f"options {', '.join(map(shorten, options))}", f"{source} has no options",
             "options are for NIR, ONNX, NetX and PyTorch networks")


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

    _refuse_options(options, "the text form")
    text = _read_bytes(path, MAX_TEXT_BYTES)
    weight_file = path.with_suffix(".safetensors")
    weights = _read_bytes(weight_file, MAX_WEIGHT_BYTES) if weight_file.exists() else NO_WEIGHTS
    try:
        return verify(restore(text.decode("utf-8"), weights, where=path.name))
    except UnicodeDecodeError:
        fail("SNN101", f"file {shorten(path.name)}", "bytes that are not UTF-8", "the compiler's text form")


# The bytes of a safetensors file without tensors: the length of its JSON header in 8 bytes, then the header.
NO_WEIGHTS = (2).to_bytes(8, "little") + b"{}"


def _read_bytes(path: Path, limit: int) -> bytes:
    """The content of a file. Raises SNN103 if it is larger than the limit in bytes, SNN101 if it cannot be read."""
    place = f"file {shorten(path.name)}"
    try:
        if path.stat().st_size > limit:
            fail("SNN103", place, f"{path.stat().st_size} bytes", f"at most {limit}")
        return path.read_bytes()
    except (OSError, ValueError) as e:
        fail("SNN101", place, str(getattr(e, "strerror", None) or e))


# Suffixes of files that users of PyTorch may give by mistake, and what is missing.
NOT_NETWORKS = {
    **dict.fromkeys((".pt", ".pth"), "the file holds weights or a pickled object, and not the code of the network"),
    ".py": "a Python file without the name of a function",
}
READERS: dict[str, Callable[[Path, Mapping[str, Any]], Graph]] = {
    ".nir": _load_nir, ".onnx": _load_onnx, ".net": _load_net, ".snn": _load_text,
}
