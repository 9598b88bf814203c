"""What torch is asked to compute, call by call.

Tensors are known by identity; what a call was given is kept as references to the calls that made it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from torch.overrides import TorchFunctionMode

import torch
from snncompile.diagnostics import fail, shorten
from snncompile.frontends.torch.source import OURS
from snncompile.frontends.torch.tape import (
    Call,
    Const,
    Lost,
    Ref,
    Report,
    Tape,
    Where,
    references,
    replaced,
    tensors_in,
)
from snncompile.frontends.torch.values import closure
from torch import Tensor, nn

TORCH = str(Path(torch.__file__).parent)
MAX_CALLS = 500_000
INTERNAL = frozenset(vars(nn.Module())) - {"_parameters", "_buffers"}
Held: TypeAlias = dict[tuple[int, str, str], tuple[Any, int]]

# Calls whose results say nothing about the numbers in a tensor.
METADATA = frozenset((
    "size", "dim", "ndimension", "numel", "nelement", "stride", "storage_offset", "len", "format", "is_floating_point",
    "is_complex", "is_contiguous", "is_tensor", "get_device", "element_size", "data_ptr", "untyped_storage", "repr",
    "hash", "is_same_size", "is_shared", "is_pinned", "has_names", "is_inference", "result_type", "can_cast", "type",
    "requires_grad", "is_signed", "broadcast_shapes",
))


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
        self.held: dict[Where, Held] = {}

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
        if _writes(func, kwargs):
            self._keep(next(iter(given), None))
        result = func(*args, **kwargs)
        if getattr(func, "__name__", "") == "__set__" and func.__self__.__name__ == "data":
            self.origin[id(args[0])] = Lost(f"its data were replaced in {self.path[-1]}")
        written = [t for t, version in zip(given, before, strict=True) if _version(t) != version]
        self._overwritten(written, name)
        results = list(tensors_in(result)) or written
        if results:
            self._note(_narrowed(name, given, results), refs, results)
        elif result is not None and self._follows(refs):
            self.report(str(self.path[-1]), f"{name} turns a tensor into a Python value, on which the network may "
                        "depend", "decide by shapes or settings of the module; values of the data are not known here")
        return result

    def _note(self, name: str, refs: Any, results: list[Tensor]) -> None:
        if name == "detach":  # the same tensor, to everything but gradients
            self.origin[id(results[0])] = refs[0][0]
            self._own(results[0])
            return
        self.add(Call(name, self.path[-1], refs[0], refs[1], _line()), results)

    def _follows(self, refs: Any) -> bool:
        """Whether something in these arguments may depend on the input."""
        sources = Tape(self.calls, None).sources
        reached = closure((r.call for r in references(refs)), sources.__getitem__)
        return any(self.calls[at].name in ("input", "neuron") for at in reached)

    def _keep(self, target: Tensor | None) -> None:
        """Before a tensor is written to: earlier calls were given what it and its views hold now."""
        for tensor in self.storages.get(target.untyped_storage().data_ptr(), ()) if target is not None else ():
            origin = self.origin.get(id(tensor))
            if isinstance(origin, Ref):
                self.calls[origin.call].results[origin.slot] = tensor.clone()

    def _overwritten(self, written: list[Tensor], by: str) -> None:
        """Every other tensor that shares memory with one that was written to is lost."""
        for tensor in written:
            for other in self.storages.get(tensor.untyped_storage().data_ptr(), ()):
                if other is not tensor:
                    self.origin[id(other)] = Lost(f"it was written to in place by {by} in {self.path[-1]}")

    # --- modules ---------------------------------------------------------------------------------------------

    def watch(self, module: nn.Module, where: Where, neuron: bool) -> tuple[Any, Any]:
        """Follow the calls of a module. Returns handles whose `remove` ends that."""
        parts = [vars(part) for part in module.modules()]

        def enter(_: nn.Module, args: Any, kwargs: Any) -> None:
            self.path.append(where)
            if neuron:
                self.pause()
                self._undisturbed(parts, where)
                versions = [(t, _version(t)) for t in tensors_in((args, kwargs))]
                self.given.append((replaced((args, kwargs), self.refer), versions))

        def leave(_: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            if neuron:
                before, self.held[where] = self.held[where], _held(parts)
                self._fired(module, where, result, not _alike(before, self.held[where]))
                self.resume()
            self.path.pop()

        return (module.register_forward_pre_hook(enter, with_kwargs=True),
                module.register_forward_hook(leave, with_kwargs=True))

    def _undisturbed(self, parts: Sequence[Mapping[str, Any]], where: Where) -> None:
        """Between two of its calls a neuron stays as it is: nobody resets it or changes its parameters."""
        before, now = self.held.get(where), _held(parts)
        self.held[where] = now
        if before is not None and not _alike(before, now):
            self.report(str(where), "its state or parameters change between two of its calls", "reset neurons before "
                        "the loop over time, and leave their attributes alone in it")

    def _fired(self, module: nn.Module, where: Where, result: Any, keeps: bool) -> None:
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
        self.add(Call("neuron", where, args, kwargs, _line(), neuron=module, keeps=keeps, top=tuple(top)), results)


def _held(parts: Sequence[Mapping[str, Any]]) -> Held:
    """What a module holds, by part, attribute and key: tensors with their versions, and numbers."""
    held: Held = {}
    for i, part in enumerate(parts):
        for name, value in part.items():
            if name in INTERNAL:
                continue
            for key, one in value.items() if isinstance(value, dict) else (("", value),):
                if isinstance(one, Tensor):
                    held[i, name, key] = one, _version(one)
                elif one is None or isinstance(one, (int, float, str)):
                    held[i, name, key] = one, 0
    return held


def _alike(before: Held, now: Held) -> bool:
    return before.keys() == now.keys() and all(
        (a is b or (type(a) is type(b) and not isinstance(a, Tensor) and a == b)) and version == later
        for (a, version), (b, later) in zip(before.values(), now.values(), strict=True))


def _line() -> tuple[str, int, int]:
    """Where the nearest code that is neither torch's nor ours stands: its file, line, and instruction."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((TORCH, OURS)):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno, frame.f_lasti


def _narrowed(name: str, given: Sequence[Tensor], results: Sequence[Tensor]) -> str:
    """The name of a call; a cast that rounds to 16 bits has a name of its own."""
    half = results[0].dtype in (torch.float16, torch.bfloat16) and len(given) > 0
    return f"{name} {results[0].dtype}" if half and given[0].dtype != results[0].dtype else name


def _writes(function: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether a function may write to its first argument, by its name: `add_`, `__iadd__`, `__setitem__`."""
    name = str(getattr(function, "__name__", ""))
    return bool(kwargs.get("inplace")) or name.startswith("__i") or name == "__setitem__" or (
        name.endswith("_") and not name.endswith("__"))


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _state(name: str) -> str:
    return f"what an earlier call of the module left in its attribute {shorten(name)}: a state of a module that is " \
           "no neuron known to the compiler"
