"""PyTorch modules to graphs: `load_torch`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

from snncompile.diagnostics import Collector, fail, shorten
from snncompile.frontends.torch.build import Arrays
from snncompile.frontends.torch.fold import Program, fold, loops, unroll
from snncompile.frontends.torch.inputs_outputs import add_outputs, assumed, door, example_inputs, narrow
from snncompile.frontends.torch.interpret import Interpreter, beliefs
from snncompile.frontends.torch.neurons import cell_of
from snncompile.frontends.torch.quantizers import keep_integers
from snncompile.frontends.torch.record import record
from snncompile.frontends.torch.source import UsersCode, build
from snncompile.frontends.torch.tape import Report, Tape, tensors_in
from snncompile.frontends.torch.values import Decode
from snncompile.ir.graph import Graph
from snncompile.ir.ops import Input
from snncompile.ir.verify import findings
from torch import nn

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
    keep_integers(own)
    inputs = example_inputs(own, options.get("example_input"))
    neurons = {path: part for path, part in own.named_modules() if cell_of(part) is not None}

    tape = record(own, inputs, neurons, _into(found))
    found.finish()
    doors = {name: door(tensor, words.get("values")) for name, tensor in inputs.items()}
    read = _folded(tape, doors) if loops(tape) else _read(tape, unroll(tape), doors)
    notes = read.found.finish()
    decode = cast("Decode | None", words.get("decode"))
    notes += narrow(own) + add_outputs(read.build, read.results, decode) + ("values" not in words) * assumed(doors)
    graph = Graph(type(module).__name__, *read.build.living())
    Collector(list(findings(graph))).finish()
    return graph.noting(notes)


def _into(found: Collector) -> Report:
    said: set[tuple[str, str]] = set()

    def report(place: str, what: str, help: str) -> None:
        if (place, what) not in said:
            said.add((place, what))
            found.error("SNN110", place, what, help=help)
    return report


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
    memo: dict[int, Any] = {}
    with UsersCode(lambda: "the network, as it is copied", "modules hold what can be copied with copy.deepcopy"):
        whole = getattr(module, "_orig_mod", module)
        for part in whole.modules():
            for tensor in tensors_in(vars(part)):
                if tensor.grad_fn is not None:
                    memo[id(tensor)] = tensor.detach().clone()
        _copy_plainly(whole, memo)
        copied = copy.deepcopy(whole, memo).to("cpu")
        copied.eval()
    assert isinstance(copied, nn.Module)
    return copied


def _copy_plainly(module: nn.Module, memo: dict[int, Any]) -> None:
    """Copy what a framework copies in its own way attribute by attribute: sinabs forgets some options."""
    ways = {p: getattr(type(p), "__deepcopy__", None) for p in module.modules()}
    parts = [p for p, way in ways.items() if way and not way.__module__.startswith("torch.")]
    twins = [object.__new__(type(p)) for p in parts]
    memo.update((id(p), twin) for p, twin in zip(parts, twins, strict=True))
    for part, twin in zip(parts, twins, strict=True):
        vars(twin).update(copy.deepcopy(vars(part), memo))


def _folded(tape: Tape, doors: Mapping[str, Input]) -> Interpreter:
    """A network that loops over time: folded, or where its ticks differ, each tick by itself."""
    found = Collector()
    program = fold(tape, _into(found))
    if not found.errors:
        return _read(tape, program, doors)
    read = _read(tape, unroll(tape), doors)
    if read.found.errors:
        read.found.found = found.found
    return read


def _read(tape: Tape, program: Program, doors: Mapping[str, Input]) -> Interpreter:
    """The network under the first belief about its axes that fits, or the one that understands most."""
    arrays = Arrays()
    tried: list[Interpreter] = []
    axes = min(tensor.dim() for call in tape.calls if call.name == "input" for tensor in call.results)
    for belief in beliefs(tape, program.ticks > 0):
        if axes > len(belief.axes):
            tried.append(Interpreter(tape, program, belief, doors, arrays))
            tried[-1].run()
            if not tried[-1].found.errors:
                return tried[-1]
    if not tried:
        fail("SNN404", "option example_input", "too few axes",
             "[batch, ...] for one tick, [tick, batch, ...] for several")
    best = min(tried, key=Interpreter.unknown)
    if all(call.neuron is None for call in tape.calls):
        best.problem("the network", "no module in it is a neuron that the compiler knows",
                     "neurons of your own become known with snncompile.neuron_module")
    return best
