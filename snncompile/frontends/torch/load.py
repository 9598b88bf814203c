"""Turns a PyTorch module into a graph: `load_torch`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeAlias, cast

from snncompile.diagnostics import Collector, expect_known, fail, shorten
from snncompile.frontends.torch.bare import META, has_bare_tensors, in_whole_floats, to_memory
from snncompile.frontends.torch.build import ArrayCache
from snncompile.frontends.torch.constants import with_constants
from snncompile.frontends.torch.fold import FoldedPass, fold, has_loop, unfolded
from snncompile.frontends.torch.input_axes import TIME_LAST, candidate_axes, leading_count, notes_on_order
from snncompile.frontends.torch.inputs_outputs import (
    add_outputs,
    example_inputs,
    input_node,
    notes_on_assumed_values,
    notes_on_half_precision,
)
from snncompile.frontends.torch.interpret import UNSUPPORTED_HELP, Interpreter
from snncompile.frontends.torch.neurons import cell_reader, snntorch
from snncompile.frontends.torch.quantizers import keep_integers
from snncompile.frontends.torch.record import record
from snncompile.frontends.torch.source import UserCode, build_model
from snncompile.frontends.torch.tape import Report, Tape, tensors_in
from snncompile.frontends.torch.values import Decode
from snncompile.ir.graph import Graph
from snncompile.ir.ops import Input
from snncompile.ir.verify import findings
from torch import nn

Neurons: TypeAlias = Mapping[str, nn.Module]
"""The neuron modules of a network, by path."""
OPTIONS: Mapping[str, tuple[str, ...]] = {"values": ("spike", "real"), "decode": ("rate", "last", "max")}


def load_file(source: str, options: Mapping[str, Any]) -> Graph:
    """The graph of the module that the function of `model.py:build` returns.

    Args:
        source: the file and the name of the function, joined by a colon.
        options: as for `load_torch`. Without `example_input`, the one that the function returns is used.

    Raises:
        CompileError: as `load_torch` and `source.build_model` raise it.
    """
    module, example = build_model(source)
    options = dict(options)
    if options.get("example_input") is None:
        options["example_input"] = example
    if not isinstance(module, nn.Module):
        fail("SNN107", f"source {shorten(source)}", f"an object of type {shorten(type(module).__name__)}",
             "a torch.nn.Module, or (module, example_input)")
    return load_torch(module, options)


def load_torch(module: nn.Module, options: Mapping[str, Any]) -> Graph:
    """The graph of a module.

    Args:
        module: in any state; it is not changed.
        options: `example_input`, a tensor or array that one call of the module takes, its batch included, or the shape
            of such a tensor, or a tuple of tensors for several inputs; `values` of the inputs, `spike` or `real`;
            `decode` of the outputs, `rate`, `last` or `max`.

    Raises:
        CompileError: SNN104 and SNN110 for what a graph cannot represent, SNN109 for what the module's code raises,
            SNN404 for an option, SNN2xx for parameters and shapes.
    """
    choices = _checked_options(options)
    problems = Collector()
    own = _copied(module)
    keep_integers(own)
    inputs = example_inputs(own, options.get("example_input"))
    neurons = {path: part for path, part in own.named_modules() if cell_reader(part) is not None}
    described = neurons if not has_bare_tensors(own) else _moved_to_meta(neurons)

    tape = with_constants(record(own, inputs, neurons, _reporter(problems)))
    problems.finish()
    input_nodes = {name: input_node(tensor, choices.get("values")) for name, tensor in inputs.items()}
    if has_loop(tape):
        interpreter = _interpret_loop(tape, input_nodes, described)
    else:
        interpreter = _interpret(tape, unfolded(tape), input_nodes, described)
    notes = interpreter.problems.finish() + notes_on_half_precision(module)
    decode = cast("Decode | None", choices.get("decode"))
    notes += add_outputs(interpreter.builder, interpreter.outputs, decode)
    notes += notes_on_order(interpreter.input_axes)
    if "values" not in choices:
        notes += notes_on_assumed_values(input_nodes, inputs)
    graph = Graph(type(module).__name__, *interpreter.builder.used_nodes_and_edges())
    Collector(list(findings(graph))).finish()
    return graph.noting(notes)


def _reporter(problems: Collector) -> Report:
    """A function that adds an SNN110 error for each problem, once for each place and text."""
    reported: set[tuple[str, str]] = set()

    def report(place: str, found: str, help: str) -> None:
        if (place, found) not in reported:
            reported.add((place, found))
            problems.error("SNN110", place, found, help=help)
    return report


def _checked_options(options: Mapping[str, Any]) -> dict[str, str]:
    """The options `values` and `decode`, as far as they are given. Raises SNN404 for other names and values."""
    for name, value in options.items():
        expect_known(name, ("example_input", *OPTIONS), f"option {shorten(name)} of a PyTorch network")
        if name in OPTIONS and value is not None:
            expect_known(value, OPTIONS[name], f"option {name}")
    return {n: v for n, v in options.items() if n in OPTIONS and v is not None}


def _copied(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode, on the CPU as far as it has numbers, with 16-bit floats as float32.

    copy.deepcopy refuses tensors with a gradient history; such tensors are copied without it.
    """
    memo: dict[int, Any] = {}
    with UserCode(lambda: "the network, as it is copied", "modules must hold only what copy.deepcopy can copy"):
        whole = _unwrapped(module)
        for part in whole.modules():
            for tensor in tensors_in(vars(part)):
                if tensor.grad_fn is not None:
                    memo[id(tensor)] = tensor.detach().clone()
        _copy_by_attributes(whole, memo)
        copied = in_whole_floats(to_memory(copy.deepcopy(whole, memo)))
        copied.eval()
        for part in list(copied.modules()):
            for name, child in part.named_children():
                setattr(part, name, _unwrapped(child))
    assert isinstance(copied, nn.Module)
    return copied


def _unwrapped(module: nn.Module) -> nn.Module:
    """The module itself, of the wrappers of torch that compile it or divide its batch among devices."""
    held = {"OptimizedModule": "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module"}
    while type(module).__module__.startswith("torch.") and type(module).__name__ in held:
        module = getattr(module, held[type(module).__name__])
    return module


def _copy_by_attributes(module: nn.Module, memo: dict[int, Any]) -> None:
    """Copy modules with a `__deepcopy__` of their framework attribute by attribute, into the memo of copy.deepcopy.

    The `__deepcopy__` of sinabs loses some options.
    """
    methods = {p: getattr(type(p), "__deepcopy__", None) for p in module.modules()}
    parts = [p for p, method in methods.items() if method and not method.__module__.startswith("torch.")]
    copies = [object.__new__(type(p)) for p in parts]
    memo.update((id(p), copied) for p, copied in zip(parts, copies, strict=True))
    for part, copied in zip(parts, copies, strict=True):
        vars(copied).update(copy.deepcopy(vars(part), memo))


def _moved_to_meta(neurons: Neurons) -> Neurons:
    """Move neuron modules to the `meta` device, where they run without numbers.

    Returns:
        Copies of the neuron modules, in which all numbers are left.
    """
    copied = {path: _copied(neuron) for path, neuron in neurons.items()}
    with UserCode(lambda: "the network, as its neurons are moved to the meta device"):
        for neuron in neurons.values():
            neuron.to(META)
            snntorch.restore_settings(neuron)
    return copied


def _interpret_loop(tape: Tape, input_nodes: Mapping[str, Input], neurons: Neurons) -> Interpreter:
    """Interpret a pass that loops over time.

    The loop is folded. Where its ticks differ, the calls are interpreted as they are, which works for loops without a
    recurrence. If both ways fail, functions that no graph has are the cause, or else what differs between the ticks.
    """
    problems = Collector()
    folded = fold(tape, _reporter(problems))
    if not problems.errors:
        return _interpret(tape, folded, input_nodes, neurons)
    interpreter = _interpret(tape, unfolded(tape), input_nodes, neurons)
    if interpreter.problems.errors:
        unsupported = [d for d in interpreter.problems.errors if d.help == UNSUPPORTED_HELP]
        interpreter.problems.found = unsupported or problems.found
    return interpreter


def _interpret(tape: Tape, folded: FoldedPass, input_nodes: Mapping[str, Input], neurons: Neurons) -> Interpreter:
    """Interpret a pass with the first candidate for the leading axes that gives no error.

    If all give errors, the result is the interpreter with the fewest.
    """
    arrays = ArrayCache(tape.rounded)
    failed: list[Interpreter] = []
    dimensions = min(tensor.dim() for call in tape.calls if call.name == "input" for tensor in call.results)
    for input_axes in candidate_axes(tape, folded.ticks > 0):
        if dimensions > leading_count(input_axes):
            interpreter = Interpreter(tape, folded, input_axes, input_nodes, neurons, arrays)
            interpreter.run()
            if not interpreter.problems.errors:
                return interpreter
            if input_axes != TIME_LAST or not failed:  # a rare order, whose problems would mislead
                failed.append(interpreter)
    if not failed:
        fail("SNN404", "option example_input", "too few axes",
             "[batch, ...] for one tick, [tick, batch, ...] for several")
    best = min(failed, key=Interpreter.failures)
    if all(call.neuron is None for call in tape.calls):
        best.problem("the network", "no module in it is a neuron that the compiler knows",
                     "describe neuron modules of your own with snncompile.neuron_module")
    return best
