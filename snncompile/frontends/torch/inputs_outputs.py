"""The inputs and outputs of the graph: from the example input, and from what `forward` returned."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import torch
from snncompile.diagnostics import Diagnostic, fail, shorten
from snncompile.frontends.torch.build import GraphBuilder
from snncompile.frontends.torch.tape import tensors_in
from snncompile.frontends.torch.values import Decode, Value
from snncompile.ir.ops import Input, Output
from torch import Tensor, nn

MAX_VALUES = 1 << 28


def example_inputs(module: nn.Module, example: Any) -> dict[str, Tensor]:
    """The arguments of `forward` as tensors in the precision of the module, by the names of the graph's inputs.

    Args:
        example: a tensor, an array, a shape, also as a text like "16,1,34,34", or a tuple or list of these for several
            inputs.

    Raises:
        CompileError: SNN404 where the example is missing, or is nothing of this kind.
    """
    if example is None:
        fail("SNN404", "option example_input", "nothing", "a tensor that one call of the module takes, its batch "
             "included, or the shape of such a tensor", "the shapes of a PyTorch network are known only when it runs; "
             "give --example-input 16,1,700 (example_input=...) for 16 ticks, 1 sample and 700 inputs, or what the "
             "network takes; or let build() return (module, example_input)")
    if isinstance(example, str):
        example = _sizes(example)
    several = isinstance(example, (tuple, list)) and not _are_sizes(example)
    tensors = [_tensor(e, module) for e in (example if several else [example])]
    names = _input_names(module, len(tensors))
    return dict(zip(names, tensors, strict=True))


def _sizes(text: str) -> tuple[int, ...]:
    """The sizes of a shape that is given as a text. Raises SNN404 for another text."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        fail("SNN404", "option example_input", shorten(text), "the sizes of a shape, such as 16,1,700")
    return tuple(map(int, parts))


def _are_sizes(example: Sequence[Any]) -> bool:
    return all(isinstance(n, int) and not isinstance(n, bool) for n in example)


def _input_names(module: nn.Module, count: int) -> list[str]:
    """`input` for a single input; otherwise the names of the parameters of `forward`."""
    if count == 1:
        return ["input"]
    named = [n for n, p in inspect.signature(module.forward).parameters.items() if p.kind < p.VAR_POSITIONAL]
    return named[:count] if len(named) >= count else [f"input_{i}" for i in range(count)]


def _tensor(example: Any, module: nn.Module) -> Tensor:
    own = next((p.dtype for p in tensors_in([*module.parameters(), *module.buffers()]) if p.is_floating_point()), None)
    dtype = own or torch.get_default_dtype()
    if isinstance(example, (tuple, list)) and example and _are_sizes(example):
        if min(example) < 1 or np.prod(example, dtype=object) > MAX_VALUES:
            fail("SNN404", "option example_input", str(tuple(example)[:8]), f"sizes of 1 or more, at most {MAX_VALUES} "
                 "values")
        return torch.zeros(example, dtype=dtype)
    if isinstance(example, np.ndarray) and example.dtype.kind in "biuf":
        example = torch.from_numpy(np.array(example))
    if not isinstance(example, Tensor) or not 0 < example.dim() <= 8 or not example.numel():
        fail("SNN404", "option example_input", f"an object of type {shorten(type(example).__name__)}",
             "a tensor, an array, a shape, or a tuple of tensors")
    if example.is_meta:  # its shape is all that it has
        example = torch.zeros_like(example, device="cpu")
    if example.layout != torch.strided or example.is_quantized or example.is_complex():
        fail("SNN404", "option example_input", f"a tensor of {example.layout} and {example.dtype} on {example.device}",
             "a dense tensor of real numbers")
    if not bool(torch.isfinite(example).all()):
        fail("SNN404", "option example_input", "values that are NaN or infinite", "finite numbers")
    keep_dtype = own is None and example.is_floating_point()
    return example.detach().to("cpu", example.dtype if keep_dtype else dtype, copy=True)


def input_node(tensor: Tensor, values: str | None) -> Input:
    """An Input for an example, its shape still open.

    Args:
        values: `spike` or `real`. None decides by the example: spikes if it holds only whole numbers from 0 to 255.
    """
    counts = bool((tensor == tensor.round()).all()) and float(tensor.min()) >= 0 and float(tensor.max()) < 256
    spikes = counts if values is None else values == "spike"
    high = max(1.0, float(tensor.max())) if spikes and counts else 1.0
    if spikes:
        return Input((1,), "spike", 0, int(high))
    return Input((1,), "real", min(0.0, float(tensor.min())), max(1.0, float(tensor.max())))


def notes_on_half_precision(module: nn.Module) -> tuple[Diagnostic, ...]:
    """A note for each 16-bit type of the weights: there torch rounds after every operation, and the graph does not."""
    kinds = {str(p.dtype) for p in tensors_in([*module.parameters(), *module.buffers()])
             if p.is_floating_point() and p.dtype.itemsize == 2}
    return tuple(Diagnostic(
        "SNN105", "the network", f"weights in {kind}: torch rounds every result to 16 bits, the graph does not",
        "a graph computes in 64 bits", "compare with module.float()", "note") for kind in sorted(kinds))


def notes_on_assumed_values(input_nodes: Mapping[str, Input], examples: Mapping[str, Tensor]
                            ) -> tuple[Diagnostic, ...]:
    """A note for every input that carries real values because its example does, or spikes because of an example whose
    elements are all equal, which may stand for anything.
    """
    notes = []
    for name, node in input_nodes.items():
        if node.values == "real":
            found = (f"the example input holds other values than spikes: real values from {node.low:g} to "
                     f"{node.high:g} were assumed")
        elif bool((examples[name] == examples[name].flatten()[:1]).all()):
            found = f"all elements of the example input are {float(examples[name].flatten()[0]):g}: spikes were assumed"
        else:
            continue
        notes.append(Diagnostic("SNN105", f"input {shorten(name)}", found, "the module does not define the values of "
                                "its input", "--values (values=...) sets it: spike | real", "note"))
    return tuple(notes)


def add_outputs(builder: GraphBuilder, outputs: Sequence[tuple[str, Value]],
                decode: Decode | None) -> tuple[Diagnostic, ...]:
    """Add an Output node for everything that the network returned, except states of neuron modules.

    Values that are equal as outputs, such as the sum and the mean of the same spikes, share one Output node.

    Args:
        outputs: values, by the names that the structure of the result gives them.
        decode: of every output; None takes what the network does with the ticks, `rate` where it returns all of them.

    Returns:
        Notes on what was left out: functions at the end, and states.

    Raises:
        CompileError: SNN110 where no output is left.
    """
    outputs = [(name, replace(v, shape=v.classes) if v.left_out else v) for name, v in outputs]
    states = list(dict.fromkeys(v.state for _, v in outputs if v.state))
    kept: dict[Any, tuple[str, Value]] = {}
    for name, value in outputs:
        if not value.state:
            kept.setdefault((value.node, value.shape, decode or value.decode or "rate"), (name, value))
    if not kept:
        returned = (f"only states of {', '.join(map(shorten, states))}" if states
                    else "no tensor that depends on its input")
        fail("SNN110", "the network's result", returned, "spikes, or sums of spikes",
             "let forward return what the last neurons emit")
    for name, value in kept.values():
        builder.add("output" if len(kept) == 1 else name, Output(decode or value.decode or "rate"),
                    [builder.node_of(value)])
    notes = tuple(_note_on_end(name, value.left_out) for name, value in outputs if value.left_out)
    if not states:
        return notes
    return (*notes, Diagnostic(
        "SNN105", f"modules {', '.join(map(shorten, states[:6]))}", "the network also returns their states, which "
        "were left out", "a graph's outputs are what its nodes emit", "model.trace shows membranes", "note"),)


def _note_on_end(name: str, function: str) -> Diagnostic:
    return Diagnostic(
        "SNN105", f"output {shorten(name)}", f"{function} at the end of the network was left out: the graph's output "
        f"is what {function} is given", "a graph's outputs are what its nodes emit",
        "the decisions of a result are the positions of the largest outputs, as argmax has them", "note")
