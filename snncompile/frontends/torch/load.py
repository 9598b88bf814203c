"""PyTorch modules to graphs: `load_torch`."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np

import torch
from snncompile.diagnostics import Collector, Diagnostic, fail, shorten
from snncompile.frontends.torch.build import Arrays
from snncompile.frontends.torch.fold import OneTick, Program, fold
from snncompile.frontends.torch.interpret import Interpreter, beliefs
from snncompile.frontends.torch.neurons import cell_of
from snncompile.frontends.torch.record import Tape, record, tensors_in
from snncompile.frontends.torch.source import UsersCode, build
from snncompile.frontends.torch.values import Decode, Value
from snncompile.ir.graph import Graph
from snncompile.ir.ops import Input, Output
from snncompile.ir.verify import findings
from torch import Tensor, nn

MAX_VALUES = 1 << 28
OPTIONS: Mapping[str, tuple[str, ...]] = {"values": ("spike", "real"), "decode": ("rate", "last", "max")}


def load_file(source: str, options: Mapping[str, Any]) -> Graph:
    """The graph of the module that `model.py:build` makes. Raises as `load_torch` and `source.build`."""
    module, example = build(source)
    given = dict(options)
    if given.get("example_input") is None:
        given["example_input"] = example
    if not isinstance(module, nn.Module):
        fail("SNN107", f"source {shorten(source)}", f"an object of type {shorten(type(module).__name__)}",
             "a torch.nn.Module, or (module, example_input)")
    return load_torch(module, given)


def load_torch(module: nn.Module, options: Mapping[str, Any]) -> Graph:
    """The graph of a module.

    Args:
        module: in any state; it is not changed.
        options: `example_input`, a tensor or array that one call of the module takes, its batch included, or such a
            shape, or a tuple of tensors for several inputs; `values` of the inputs, `spike` or `real`; `decode` of the
            outputs, `rate`, `last` or `max`.

    Raises:
        CompileError: SNN104 and SNN110 for what a graph cannot say, SNN109 for what the module's code raises, SNN404
            for an option, SNN2xx for numbers.
    """
    words = _checked(options)
    found = Collector()
    own = _copied(module)
    inputs = _inputs(own, options.get("example_input"))
    neurons = {path: part for path, part in own.named_modules() if cell_of(part) is not None}

    def report(place: str, what: str, help: str = "") -> None:
        found.error("SNN110", place, what, help=help)

    tape = record(own, inputs, neurons, report)
    found.finish()
    program = fold(tape, report)
    found.finish()
    ends = {name: _end(tensor, words.get("values")) for name, tensor in inputs.items()}
    read = _read(tape, program, ends)
    read.found.finish()
    decode = cast("Decode | None", words.get("decode"))
    return _graph(type(module).__name__, read, program, decode, _assumed(ends, words))


def _checked(options: Mapping[str, Any]) -> dict[str, str]:
    for name, value in options.items():
        if name not in OPTIONS and name != "example_input":
            fail("SNN404", f"option {shorten(name)}", "no such option for PyTorch",
                 ", ".join(("example_input", *OPTIONS)))
        if name in OPTIONS and value is not None and value not in OPTIONS[name]:
            fail("SNN404", f"option {name}", shorten(value), ", ".join(OPTIONS[name]))
    return {n: v for n, v in options.items() if n in OPTIONS and v is not None}


def _copied(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode, on the CPU. Tensors with a history, which cannot be copied, are copied without it."""
    whole = getattr(module, "_orig_mod", module)
    memo: dict[int, Any] = {}
    for part in whole.modules():
        for tensor in tensors_in(vars(part)):
            if tensor.grad_fn is not None:
                memo[id(tensor)] = tensor.detach().clone()
    with UsersCode(lambda: "the network, as it is copied", "modules hold what can be copied with copy.deepcopy"):
        _copy_plainly(whole, memo)
        copied = copy.deepcopy(whole, memo).to("cpu")
        copied.eval()
    assert isinstance(copied, nn.Module)
    return copied


def _copy_plainly(module: nn.Module, memo: dict[int, Any]) -> None:
    """Copy what has a `__deepcopy__` of its own attribute by attribute: sinabs' forgets some of its options."""
    parts = [p for p in module.modules() if hasattr(type(p), "__deepcopy__")]
    twins = [type(p).__new__(type(p)) for p in parts]
    memo.update((id(p), twin) for p, twin in zip(parts, twins, strict=True))
    for part, twin in zip(parts, twins, strict=True):
        vars(twin).update(copy.deepcopy(vars(part), memo))


# --- ends --------------------------------------------------------------------------------------------------


def _inputs(module: nn.Module, example: Any) -> dict[str, Tensor]:
    """The example input, by names for the graph's inputs."""
    if example is None:
        fail("SNN404", "option example_input", "nothing", "a tensor that one call of the module takes, its batch "
             "included, or such a shape", "the shapes of a PyTorch network are known only when it runs; give "
             "example_input, or let build() return (module, example_input)")
    several = isinstance(example, (tuple, list)) and not all(isinstance(n, int) for n in example)
    tensors = [_tensor(e, module) for e in (example if several else [example])]
    names = _names(module, len(tensors))
    return dict(zip(names, tensors, strict=True))


def _names(module: nn.Module, count: int) -> list[str]:
    if count == 1:
        return ["input"]
    named = [n for n, p in inspect.signature(module.forward).parameters.items() if p.kind < p.VAR_POSITIONAL]
    return named[:count] if len(named) >= count else [f"input_{i}" for i in range(count)]


def _tensor(example: Any, module: nn.Module) -> Tensor:
    own = next((p.dtype for p in tensors_in([*module.parameters(), *module.buffers()]) if p.is_floating_point()), None)
    dtype = own or torch.get_default_dtype()
    if isinstance(example, (tuple, list)) and example and all(isinstance(n, int) for n in example):
        if min(example) < 1 or np.prod(example, dtype=object) > MAX_VALUES:
            fail("SNN404", "option example_input", str(tuple(example)[:8]), f"sizes of 1 or more, at most {MAX_VALUES} "
                 "values")
        return torch.zeros(example, dtype=dtype)
    if isinstance(example, np.ndarray) and example.dtype.kind in "biuf":
        example = torch.from_numpy(np.array(example))
    if not isinstance(example, Tensor) or not 0 < example.dim() <= 8 or not example.numel():
        fail("SNN404", "option example_input", f"an object of type {shorten(type(example).__name__)}",
             "a tensor, an array, a shape, or a tuple of tensors")
    kept = own is None and example.is_floating_point()
    return example.detach().to("cpu", example.dtype if kept else dtype, copy=True)


def _end(tensor: Tensor, values: str | None) -> Input:
    """The input that an example stands for: spikes where it holds nothing but 0, 1 and small counts."""
    counts = bool((tensor == tensor.round()).all()) and float(tensor.min()) >= 0 and float(tensor.max()) < 256
    spikes = counts if values is None else values == "spike"
    high = max(1.0, float(tensor.max())) if spikes and counts else 1.0
    if spikes:
        return Input((1,), "spike", 0, int(high))
    return Input((1,), "real", min(0.0, float(tensor.min())), max(1.0, float(tensor.max())))


def _assumed(ends: Mapping[str, Input], words: Mapping[str, str]) -> list[Diagnostic]:
    if "values" in words:
        return []
    return [Diagnostic("SNN105", f"input {shorten(name)}", "the example input holds other values than spikes: real "
                       f"values from {end.low:g} to {end.high:g} were assumed", "the module does not say",
                       "--values (values=...) sets it: spike | real", "note")
            for name, end in ends.items() if end.values == "real"]


# --- reading -----------------------------------------------------------------------------------------------


def _read(tape: Tape, program: Program, ends: Mapping[str, Input]) -> Interpreter:
    """The network under the first belief about its axes that fits, or the one with the fewest problems."""
    arrays, best = Arrays(), None
    for belief in beliefs(tape, program.ticks > 0):
        given = [c for c in tape.calls if c.name == "input"]
        if any(len(c.results[0].shape) <= len(belief.axes) for c in given):
            continue
        tried = Interpreter(tape, program, belief, ends, arrays)
        tried.run()
        if not tried.found.errors and _decided(tried, program):
            return tried
        if best is None or len(tried.found.errors) < len(best.found.errors):
            best = tried
    if best is None:
        fail("SNN404", "option example_input", "too few axes",
             "[batch, ...] for one tick, [tick, batch, ...] for several")
    return best


def _decided(read: Interpreter, program: Program) -> bool:
    """Whether all results have a batch axis, and no problem."""
    return all("B" in "".join(v.axes) for _, v in _results(read, program) if isinstance(v, Value))


def _results(read: Interpreter, program: Program) -> Iterator[tuple[str, Any]]:
    """What `forward` returned, by names for the graph's outputs."""
    def walk(value: Any, name: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict):
            for key, item in value.items():
                yield from walk(item, str(key))
        elif isinstance(value, (list, tuple)) and not _ticks(value):
            for i, item in enumerate(value):
                yield from walk(item, name if len(value) == 1 else f"{name}_{i}")
        elif isinstance(value, (list, tuple)):
            yield name, read.resolve(value[0])
        else:
            yield name, read.resolve(value)

    yield from walk(program.returned, "output")


def _ticks(values: Any) -> bool:
    """Whether a list holds what one call gave in every tick."""
    return bool(values) and all(isinstance(v, OneTick) and v == OneTick(values[0].ref, t) for t, v in enumerate(values))


def _graph(name: str, read: Interpreter, program: Program, decode: Decode | None, notes: list[Diagnostic]) -> Graph:
    found = Collector(list(notes))
    results = [(n, v) for n, v in _results(read, program) if isinstance(v, Value)]
    states = list(dict.fromkeys(v.state for _, v in results if v.state))
    results = list({(v.node, v.shape): (n, v) for n, v in reversed(results) if not v.state}.values())[::-1]
    if not results:
        what = f"only states of {', '.join(map(shorten, states))}" if states else "no tensor that depends on its input"
        fail("SNN110", "the network's result", what, "spikes, or sums of such",
             "let forward return what the last neurons emit")
    if states:
        found.found.append(Diagnostic(
            "SNN105", f"modules {', '.join(map(shorten, states[:6]))}", "their states, which the network also returns, "
            "were left out", "a graph's outputs are what its nodes emit", "model.trace shows membranes", "note"))
    for n, value in results:
        _output(read, "output" if len(results) == 1 else n, value, decode, program, found)
    found.finish()
    nodes, edges = read.build.nodes, tuple(read.build.edges)
    graph = Graph(name, nodes, edges)
    Collector(list(findings(graph))).finish()
    return graph.noting(found.notes)


def _output(read: Interpreter, name: str, value: Value, decode: Decode | None, program: Program,
            found: Collector) -> None:
    last = value.tick is not None and value.tick == program.ticks - 1
    if value.summed is not None or (value.tick not in (None, 0) and not last):
        found.error("SNN110", f"output {shorten(name)}", "some of the ticks",
                    help="return all ticks, their sum, or the last")
    word = decode or value.decode or ("last" if last else "rate")
    read.build.add(name, Output(word), [read.build.shaped(value)])
