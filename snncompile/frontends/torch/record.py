"""Runs the forward pass of a module and records it: torch functions one by one, each neuron module as one call.

The module's own code is executed, so control flow, containers, parametrizations and hooks of the user need no support
here.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping

import numpy as np

import torch
from snncompile.diagnostics import fail, shorten
from snncompile.frontends.torch.bare import META, MixedDevices, has_bare_tensors
from snncompile.frontends.torch.recorder import Recorder
from snncompile.frontends.torch.source import UserCode
from snncompile.frontends.torch.tape import Const, ModulePlace, Report, Tape, map_leaves, tensors_in
from torch import Tensor, nn


def record(module: nn.Module, inputs: Mapping[str, Tensor], neurons: Mapping[str, nn.Module], report: Report) -> Tape:
    """Run a module's forward pass and record it.

    If the module has parameters without numbers, no numbers are computed, and results have shapes only.

    If the pass leaves results in attributes of the module, a second pass shows whether the module also reads them.
    Before it, containers of SpikingJelly that the pass calls in every tick are reset, as they are before a sample.

    Args:
        module: a copy that nothing else uses.
        inputs: the arguments of `forward`, in order, by the names of the graph's inputs.
        neurons: the neuron modules, by path.
        report: called for what cannot be followed.

    Raises:
        CompileError: SNN109 for whatever the module's code raises, SNN104 for TorchScript modules, SNN203 for
            parameters without numbers.
    """
    if has_bare_tensors(module):
        inputs = {name: tensor.to(META) for name, tensor in inputs.items()}
    tape, left_behind, called_often = _record_pass(module, inputs, neurons, {}, report)
    if not left_behind:
        return tape
    resettable = [path for path, part in module.named_modules() if path in called_often and _keeps_memories(part)]
    for path in resettable:
        _reset_states(module.get_submodule(path))
    kept = {name: t for name, t in left_behind.items() if not name.startswith(tuple(f"{p}." for p in resettable))}
    return _record_pass(module, inputs, neurons, kept, report)[0]


def _record_pass(module: nn.Module, inputs: Mapping[str, Tensor], neurons: Mapping[str, nn.Module],
                 states: Mapping[str, Tensor], report: Report) -> tuple[Tape, dict[str, Tensor], set[str]]:
    """Record one pass.

    Args:
        states: what an earlier pass left in attributes of the module, by the names of the attributes.

    Returns:
        The tape, the results that this pass left in attributes outside of neuron modules, and the paths of the modules
        that were called more than once.
    """
    user_code = UserCode(lambda: str(recorder.path[-1]),
                         "an example input is what one call of the module takes, its batch included")
    recorder = Recorder(report)
    recorder.path.append(_place_of("", module))
    with user_code:
        for neuron in neurons.values():
            _reset_states(neuron)
    recorder.set_known(_module_tensors(module).values(), states)
    handles = [h for path, part in _followed_modules(module, neurons)
               for h in recorder.add_hooks(part, _place_of(path, part), path in neurons)]
    bare = any(tensor.is_meta for tensor in inputs.values())
    mixed = MixedDevices(lambda: recorder.paused) if bare else contextlib.nullcontext()
    with user_code, _preserved_random_state(report), _without_compiling(), torch.no_grad(), mixed:
        for name, tensor in inputs.items():
            recorder.add_input(tensor, name)
        with recorder:
            returned = module(*inputs.values())
    for handle in handles:
        handle.remove()
    neuron_paths = {p for p in neurons if p}
    left_behind = {name: t for name, t in _module_tensors(module).items()
                   if not isinstance(recorder.reference_to(t), Const)
                   and not any(name.startswith(f"{p}.") for p in neuron_paths)}
    often = {where.path for where, count in recorder.entered.items() if count > 1}
    return Tape(recorder.calls, map_leaves(returned, recorder.reference_to)), left_behind, often


def _followed_modules(module: nn.Module, neurons: Mapping[str, nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """The modules whose calls are followed, by path: all except the submodules of neuron modules."""
    inner = {id(part) for neuron in neurons.values() for part in neuron.modules() if part is not neuron}
    for path, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            fail("SNN104", f"module {shorten(path)}", "a compiled TorchScript module", "Python code",
                 "give the module that it was made from")
        if id(part) not in inner:
            yield path, part


def _place_of(path: str, module: nn.Module) -> ModulePlace:
    return ModulePlace(path, type(module).__name__, next(module.children(), None) is None)


def _keeps_memories(part: nn.Module) -> bool:
    """Whether a module is a container of SpikingJelly that is reset before a sample, as its neurons are.

    Only in a loop that calls it in every tick is its memory part of the recorded pass.
    """
    return any(f"{c.__module__}.{c.__qualname__}" == "spikingjelly.activation_based.base.MemoryModule"
               for c in type(part).__mro__)


def _reset_states(neuron: nn.Module) -> None:
    """Reset a neuron module, by whichever method its framework has for that."""
    for name in ("reset", "reset_mem", "reset_states"):
        method = getattr(neuron, name, None)
        if callable(method):
            method()


def _module_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a module by name: parameters, buffers, attributes, and those in lists or dicts in attributes.

    Raises:
        CompileError: SNN203 for a parameter that has no numbers before the first call of the module.
    """
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, tensor in tensors.items():
        if nn.parameter.is_lazy(tensor):
            fail("SNN203", f"parameter {shorten(name)}", "no numbers yet", "weights",
                 "call the module once before you load it")
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if not name.startswith(("_parameters", "_buffers", "_modules")):
                whole = f"{path}.{name}" if path else name
                tensors |= {whole + (f".{i}" if i else ""): t for i, t in enumerate(tensors_in(value))}
    return tensors


@contextlib.contextmanager
def _without_compiling() -> Iterator[None]:
    """Let functions that are decorated with torch.compile run as they are written."""
    set_stance = getattr(torch.compiler, "set_stance", None)  # from torch 2.6 on
    with set_stance("force_eager") if set_stance else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _preserved_random_state(report: Report) -> Iterator[None]:
    """Restore the random generators of torch, Python and NumPy afterwards.

    Numbers that Python or NumPy drew are not seen in the recorded calls, so that they are reported here.
    """
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
        after = np.random.get_state()
        same = all(np.array_equal(a, b) for a, b in zip(numpy, after, strict=True))
        if random.getstate() != python or not same:
            report("the network", "its forward pass draws random numbers with Python's random or numpy.random",
                   "draw them once, before forward is called: a graph computes the same in every run")
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
