"""A forward pass, recorded: every call that torch sees, and every neuron module as one call.

The pass runs for real, so the user's control flow, containers, parametrizations and hooks need no code here. Tensors
are known by identity; what a call was given is kept as references to the calls that made it.
"""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from torch.overrides import TorchFunctionMode

import torch
from snncompile.diagnostics import fail, shorten
from snncompile.frontends.torch.source import OURS, UsersCode
from snncompile.frontends.torch.values import closure
from torch import Tensor, nn

TORCH = str(Path(torch.__file__).parent)
MAX_CALLS = 500_000
MAX_NESTING = 32
Report: TypeAlias = Callable[[str, str, str], None]

# Calls whose results say nothing about the numbers in a tensor.
METADATA = frozenset((
    "size", "dim", "ndimension", "numel", "nelement", "stride", "storage_offset", "len", "get", "is_floating_point",
    "is_complex", "is_contiguous", "is_tensor", "get_device", "element_size", "data_ptr", "untyped_storage", "repr",
    "hash", "is_same_size", "is_shared", "is_pinned", "has_names", "is_inference", "result_type", "can_cast", "type",
    "requires_grad", "is_signed", "broadcast_shapes",
))


@dataclass(frozen=True)
class Ref:
    """The result `slot` of the call at position `call`."""

    call: int
    slot: int = 0


@dataclass(frozen=True, eq=False)
class Const:
    """A tensor that was there before the pass."""

    value: Tensor


@dataclass(frozen=True)
class Lost:
    """A tensor that cannot be followed, and why."""

    why: str


@dataclass(frozen=True)
class Where:
    """A module: its path from the top, its class, and whether it holds no others."""

    path: str
    kind: str
    single: bool

    def __str__(self) -> str:
        return f"module {shorten(self.path)} ({self.kind})" if self.path else f"the network ({self.kind})"


@dataclass(eq=False)
class Call:
    """One call.

    Attributes:
        name: of the torch function, without underscores; `neuron` for a neuron module, `input` for an input.
        args, kwargs: with `Ref`, `Const` or `Lost` for tensors.
        line: the file, line and instruction of the code outside torch that made it.
        results: the tensors it gave, in order.
        neuron: the neuron module.
        top: for a neuron, which result belongs to which entry of what `forward` returned.
    """

    name: str
    where: Where
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    line: tuple[str, int, int] = ("", 0, 0)
    results: list[Tensor] = field(default_factory=list)
    neuron: nn.Module | None = None
    top: tuple[int, ...] = ()

    @property
    def place(self) -> str:
        """The module, and the line where it stands in a file of the user's."""
        file, line, _ = self.line
        known = (self.where.single and self.where.path) or not file
        return str(self.where) if known else f"{self.where}, {Path(file).name} line {line}"


@dataclass(frozen=True)
class Tape:
    """A recorded pass: its calls, and what `forward` returned, with references for tensors."""

    calls: list[Call]
    returned: Any

    @cached_property
    def sources(self) -> list[tuple[int, ...]]:
        """For every call, the calls whose results it was given."""
        return [tuple(r.call for r in references((call.args, call.kwargs))) for call in self.calls]


def tensors_in(value: Any, depth: int = 0) -> Iterator[Tensor]:
    """The tensors in nested lists, tuples and dicts, in order."""
    if isinstance(value, Tensor):
        yield value
    elif depth < MAX_NESTING and isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from tensors_in(item, depth + 1)


def replaced(value: Any, swap: Callable[[Any], Any], depth: int = 0) -> Any:
    """Nested data with every leaf replaced; named tuples become tuples."""
    if not isinstance(value, (list, tuple, dict)) or depth >= MAX_NESTING:
        return swap(value)
    if isinstance(value, dict):
        return {k: replaced(v, swap, depth + 1) for k, v in value.items()}
    items = [replaced(v, swap, depth + 1) for v in value]
    return items if isinstance(value, list) else tuple(items)


def references(value: Any) -> list[Ref]:
    """The references in nested data."""
    found: list[Any] = []
    replaced(value, found.append)
    return [r for r in found if isinstance(r, Ref)]


def plain(function: Any) -> str:
    """`add` for `__iadd__`, `add_` and `add`; for a property, its own name."""
    name = str(getattr(function, "__name__", function))
    if name == "__get__":
        return str(getattr(function.__self__, "__name__", name))
    if name.startswith("__") and name.endswith("__"):
        name = name[2:-2]
        return name[1:] if name in ("iadd", "isub", "imul", "itruediv") else name
    return name.strip("_")


class Recorder(TorchFunctionMode):
    """Records the calls made while it is entered.

    Args:
        report: called with a place, what was found and a help for what cannot be followed.
    """

    def __init__(self, report: Report):
        super().__init__()
        self.report = report
        self.calls: list[Call] = []
        self.origin: dict[int, Ref | Const | Lost] = {}
        self.kept: list[Tensor] = []
        self.storages: dict[int, list[Tensor]] = {}
        self.path: list[Where] = []
        self.paused = False
        self.given: list[tuple[Any, list[tuple[Tensor, int]]]] = []

    def pause(self) -> None:
        """Stop recording, until `resume`: what goes on inside of a neuron is the neuron's."""
        self.paused = True
        super().__exit__(None, None, None)

    def resume(self) -> None:
        super().__enter__()
        self.paused = False

    def __exit__(self, *error: Any) -> None:
        if not self.paused:
            super().__exit__(*error)

    # --- values ---------------------------------------------------------------------------------------------

    def knows(self, constants: Iterable[Tensor], states: Mapping[str, Tensor]) -> None:
        """Name the tensors that are constants, and by their attributes those that an earlier pass left behind."""
        for tensor in constants:
            self.origin[id(tensor)] = Const(tensor)
            self._own(tensor)
        for name, tensor in states.items():
            self.origin[id(tensor)] = Lost(_state(name))

    def _own(self, tensor: Tensor) -> None:
        self.kept.append(tensor)
        if tensor.layout == torch.strided and tensor.numel():
            self.storages.setdefault(tensor.untyped_storage().data_ptr(), []).append(tensor)

    def refer(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return self.origin.get(id(value), Lost(
            "a tensor of unknown origin (a global, or made by code that torch's Python layer does not see)"))

    def add(self, call: Call, results: list[Tensor]) -> None:
        if len(self.calls) >= MAX_CALLS:
            fail("SNN103", str(call.where), f"more than {MAX_CALLS} calls in one forward pass",
                 help="give an example input of fewer ticks")
        call.results = results
        self.calls.append(call)
        for slot, tensor in reversed(list(enumerate(results))):  # of a tensor that stands twice, the first counts
            self.origin[id(tensor)] = Ref(len(self.calls) - 1, slot)
            self._own(tensor)

    def input(self, tensor: Tensor, name: str) -> None:
        self.add(Call("input", Where(name, "input", True)), [tensor])

    # --- torch functions -------------------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = plain(func)
        if getattr(func, "__name__", "") == "__get__" or name in METADATA:
            result = func(*args, **kwargs)
            if isinstance(result, Tensor):
                self._note(name, replaced((args, kwargs), self.refer), [result])
            return result
        given = list(tensors_in((args, kwargs)))
        before = [_version(t) for t in given]
        refs = replaced((args, kwargs), self.refer)
        result = func(*args, **kwargs)
        written = [t for t, version in zip(given, before, strict=True) if _version(t) != version]
        self._overwritten(written, name)
        results = list(tensors_in(result)) or written
        if results:
            self._note(name, refs, results)
        elif result is not None and self._follows(refs):
            self.report(str(self.path[-1]), f"{name} turns a tensor into a Python value, on which the network may "
                        "depend", "decide by shapes or settings of the module; values of the data are not known here")
        return result

    def _note(self, name: str, refs: Any, results: list[Tensor]) -> None:
        self.add(Call(name, self.path[-1], refs[0], refs[1], _line()), results)

    def _follows(self, refs: Any) -> bool:
        """Whether something in these arguments may depend on the input."""
        sources = Tape(self.calls, None).sources
        reached = closure((r.call for r in references(refs)), sources.__getitem__)
        return any(self.calls[at].name in ("input", "neuron") for at in reached)

    def _overwritten(self, written: list[Tensor], by: str) -> None:
        """Every other tensor that shares memory with one that was written to is lost."""
        for tensor in written:
            for other in self.storages.get(tensor.untyped_storage().data_ptr(), ()):
                if other is not tensor:
                    self.origin[id(other)] = Lost(f"it was written to in place by {by} in {self.path[-1]}")

    # --- modules ---------------------------------------------------------------------------------------------

    def watch(self, module: nn.Module, where: Where, neuron: bool) -> tuple[Any, Any]:
        """Follow the calls of a module. Returns handles whose `remove` ends that."""
        def enter(_: nn.Module, args: Any, kwargs: Any) -> None:
            self.path.append(where)
            if neuron:
                self.pause()
                versions = [(t, _version(t)) for t in tensors_in((args, kwargs))]
                self.given.append((replaced((args, kwargs), self.refer), versions))

        def leave(_: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            if neuron:
                self._fired(module, where, result)
                self.resume()
            self.path.pop()

        return (module.register_forward_pre_hook(enter, with_kwargs=True),
                module.register_forward_hook(leave, with_kwargs=True))

    def _fired(self, module: nn.Module, where: Where, result: Any) -> None:
        entries = result if isinstance(result, (tuple, list)) else (result,)
        results, top = [], []
        for i, entry in enumerate(entries):
            for tensor in tensors_in(entry):
                results.append(tensor)
                top.append(i)
        (args, kwargs), versions = self.given.pop()
        written = [t for t, version in versions if _version(t) != version]
        self._overwritten(written, "a neuron")
        for tensor in written:
            self.origin[id(tensor)] = Lost(f"it was written to in place by {where}")
        self.add(Call("neuron", where, args, kwargs, _line(), neuron=module, top=tuple(top)), results)


def _line() -> tuple[str, int, int]:
    """Where the nearest code that is neither torch's nor ours stands: its file, line, and instruction."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((TORCH, OURS)):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno, frame.f_lasti


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _state(name: str) -> str:
    return f"what an earlier call of the module left in its attribute {shorten(name)}: a state of a module that is " \
           "no neuron known to the compiler"


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
