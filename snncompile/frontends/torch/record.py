"""A forward pass, recorded: every call that torch sees, and every neuron module as one call.

The pass runs for real, so the user's control flow, containers, parametrizations and hooks need no code here.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping

import numpy as np

import torch
from snncompile.diagnostics import fail, shorten
from snncompile.frontends.torch.recorder import Recorder
from snncompile.frontends.torch.source import UsersCode
from snncompile.frontends.torch.tape import Const, Report, Tape, Where, replaced, tensors_in
from torch import Tensor, nn


def record(module: nn.Module, inputs: Mapping[str, Tensor], neurons: Mapping[str, nn.Module], report: Report) -> Tape:
    """Run a module's forward pass and record it.

    Where the pass leaves tensors in attributes of the module, a second one shows whether it also reads them.

    Args:
        module: a copy that nobody else uses.
        inputs: what `forward` is given, in order, by name.
        neurons: the modules that are recorded as one call, by path.

    Raises:
        CompileError: SNN109 for whatever the module's code raises.
    """
    tape, left = _pass(module, inputs, neurons, {}, report)
    return _pass(module, inputs, neurons, left, report)[0] if left else tape


def _pass(module: nn.Module, inputs: Mapping[str, Tensor], neurons: Mapping[str, nn.Module],
          states: Mapping[str, Tensor], report: Report) -> tuple[Tape, dict[str, Tensor]]:
    code = UsersCode(lambda: str(recorder.path[-1]),
                     "an example input is what one call of the module takes, its batch included")
    recorder = Recorder(report)
    recorder.path.append(_where("", module))
    with code:
        for neuron in neurons.values():
            _restart(neuron)
    recorder.knows(_attributes(module).values(), states)
    handles = [h for path, part in _visible(module, neurons) for h in recorder.watch(part, _where(path, part),
                                                                                     path in neurons)]
    with code, _quiet(), torch.no_grad():
        for name, tensor in inputs.items():
            recorder.input(tensor, name)
        with recorder:
            returned = module(*inputs.values())
    for handle in handles:
        handle.remove()
    own = {p for p in neurons if p}
    left = {name: t for name, t in _attributes(module).items() if not isinstance(recorder.refer(t), Const)
            and not any(name.startswith(f"{p}.") for p in own)}
    return Tape(recorder.calls, replaced(returned, recorder.refer)), left


def _visible(module: nn.Module, neurons: Mapping[str, nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """The modules to follow: all but those inside of neurons."""
    inner = {id(part) for neuron in neurons.values() for part in neuron.modules() if part is not neuron}
    for path, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            fail("SNN104", f"module {shorten(path)}", "a compiled TorchScript module", "Python code",
                 "give the module that it was made from")
        if id(part) not in inner:
            yield path, part


def _where(path: str, module: nn.Module) -> Where:
    return Where(path, type(module).__name__, next(module.children(), None) is None)


def _restart(neuron: nn.Module) -> None:
    """Forget the states of whatever a neuron saw before, in the words of the frameworks."""
    for word in ("reset", "reset_mem", "reset_states"):
        method = getattr(neuron, word, None)
        if callable(method):
            method()


def _attributes(module: nn.Module) -> dict[str, Tensor]:
    """Parameters, buffers, and tensors that are plain attributes of a module, or in a list or dict that is."""
    found = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, tensor in found.items():
        if nn.parameter.is_lazy(tensor):
            fail("SNN203", f"parameter {shorten(name)}", "no numbers yet", "weights", "call the module once before")
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if not name.startswith(("_parameters", "_buffers", "_modules")):
                whole = f"{path}.{name}" if path else name
                found |= {whole + (f".{i}" if i else ""): t for i, t in enumerate(tensors_in(value))}
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Random numbers that are drawn meanwhile change nothing afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
