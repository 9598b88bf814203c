"""Records every call of a torch function or of a neuron module during a forward pass.

Tensors are recognised by their identity. The arguments of a call are kept as references to the calls that made them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from torch.overrides import TorchFunctionMode

import torch
from snncompile.diagnostics import fail, shorten
from snncompile.frontends.torch.source import PACKAGE_FOLDER
from snncompile.frontends.torch.tape import (
    Const,
    ModulePlace,
    RecordedCall,
    Ref,
    Report,
    Tape,
    Untracked,
    map_leaves,
    references,
    tensors_in,
)
from snncompile.frontends.torch.values import reachable
from torch import Tensor, nn

TORCH_FOLDER = str(Path(torch.__file__).parent)
MAX_CALLS = 500_000
INTERNAL_ATTRIBUTES = frozenset(vars(nn.Module())) - {"_parameters", "_buffers"}
STATE_ATTRIBUTES = ("v", "v_seq", "mem")
"""Attributes in which neuron modules keep their membrane, where a network may read it."""
ModuleState: TypeAlias = dict[tuple[int, str, str], tuple[Any, int]]
"""What a module and its submodules hold: a tensor with its version, or a number, None or a string with version 0.

The key is the position of the submodule, the name of the attribute, and the key inside the attribute if that is a dict.
"""

# Calls whose results do not depend on the numbers in a tensor.
METADATA = frozenset((
    "size", "dim", "ndimension", "numel", "nelement", "stride", "storage_offset", "len", "format", "is_floating_point",
    "is_complex", "is_contiguous", "is_tensor", "get_device", "element_size", "data_ptr", "untyped_storage", "repr",
    "hash", "is_same_size", "is_shared", "is_pinned", "has_names", "is_inference", "result_type", "can_cast", "type",
    "requires_grad", "is_signed", "broadcast_shapes",
))


# Calls that read the numbers in a tensor.
PYTHON_VALUES = frozenset((
    "bool", "int", "float", "complex", "index", "item", "tolist", "numpy", "array", "equal", "allclose", "is_nonzero",
    "nonzero", "contains", "iter"))


def function_name(function: Any) -> str:
    """The name of a torch function without underscores: `add` for `__iadd__`, `add_` and `add`.

    For the getter of a property, the name of the property.
    """
    name = str(getattr(function, "__name__", function))
    if name == "__get__":
        return str(getattr(function.__self__, "__name__", name))
    if name.startswith("__") and name.endswith("__"):
        name = name[2:-2]
        return name[1:] if name in ("iadd", "isub", "imul", "itruediv") else name
    return name.strip("_")


class Recorder(TorchFunctionMode):
    """Records the calls that are made while it is entered as a context manager.

    Args:
        report: called for what cannot be followed.

    Attributes:
        calls: the recorded calls.
        origins: where each known tensor comes from, by the `id` of the tensor.
        alive: all known tensors; they are kept so that their ids are not reused.
        storages: the known tensors that share a memory block, by `_memory_block`.
        path: the modules whose `forward` is running, outermost first.
        paused: whether recording is paused, inside of a neuron module.
        neuron_arguments: for the neuron modules that are running, their arguments as references, and their argument
            tensors with versions.
        neuron_states: what each neuron module held after its last call.
        entered: how often each module was called.
    """

    def __init__(self, report: Report):
        super().__init__()
        self.report = report
        self.calls: list[RecordedCall] = []
        self.origins: dict[int, Ref | Const | Untracked] = {}
        self.alive: list[Tensor] = []
        self.storages: dict[int, list[Tensor]] = {}
        self.path: list[ModulePlace] = []
        self.paused = False
        self.neuron_arguments: list[tuple[Any, list[tuple[Tensor, int]]]] = []
        self.neuron_states: dict[ModulePlace, ModuleState] = {}
        self.entered: Counter[ModulePlace] = Counter()

    def pause(self) -> None:
        """Stop recording until `resume`: what a neuron module computes inside is described by its neuron rule."""
        self.paused = True
        super().__exit__(None, None, None)

    def resume(self) -> None:
        super().__enter__()
        self.paused = False

    def __exit__(self, *error: Any) -> None:
        if not self.paused:
            super().__exit__(*error)

    # --- tensors ---------------------------------------------------------------------------------------------

    def set_known(self, constants: Iterable[Tensor], states: Mapping[str, Tensor]) -> None:
        """Register the tensors that exist before the pass.

        Args:
            constants: parameters, buffers and attributes.
            states: attributes in which an earlier pass left a result, by their names. A network that reads one of
                them keeps a state outside of its neuron modules.
        """
        for tensor in constants:
            self.origins[id(tensor)] = Const(tensor)
            self._keep_alive(tensor)
        for name, tensor in states.items():
            self.origins[id(tensor)] = Untracked(
                f"what an earlier call of the module left in its attribute {shorten(name)}: a state of a module that "
                "is not a known neuron module")

    def _keep_alive(self, tensor: Tensor) -> None:
        self.alive.append(tensor)
        if tensor.layout == torch.strided and tensor.numel():
            self.storages.setdefault(_memory_block(tensor), []).append(tensor)

    def reference_to(self, value: Any) -> Any:
        """A reference in place of a tensor; every other value itself."""
        if not isinstance(value, Tensor):
            return value
        return self.origins.get(id(value), Untracked(
            "a tensor of unknown origin (a global, or made by code that torch's Python layer does not see)"))

    def add(self, call: RecordedCall, results: list[Tensor]) -> None:
        """Append a call to the tape."""
        if len(self.calls) >= MAX_CALLS:
            fail("SNN103", str(call.where), f"more than {MAX_CALLS} calls in one forward pass",
                 help="give an example input of fewer ticks")
        call.results = results
        self.calls.append(call)
        for slot, tensor in reversed(list(enumerate(results))):  # a tensor that appears twice has its first slot
            self.origins[id(tensor)] = Ref(len(self.calls) - 1, slot)
            self._keep_alive(tensor)

    def add_input(self, tensor: Tensor, name: str) -> None:
        """Record an input of the network as a call without arguments."""
        self.add(RecordedCall("input", ModulePlace(name, "input", True)), [tensor])

    # --- torch functions -------------------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = function_name(func)
        if getattr(func, "__name__", "") == "__get__" or name in METADATA:
            result = func(*args, **kwargs)
            if isinstance(result, Tensor):
                self._add_call(name, map_leaves((args, kwargs), self.reference_to), [result])
            return result
        given = list(tensors_in((args, kwargs)))
        before = [_version(t) for t in given]
        refs = map_leaves((args, kwargs), self.reference_to)
        if _may_write(func, kwargs):
            self._save_before_write(next(iter(given), None))
        generator = torch.get_rng_state()
        result = self._call(func, name, given, args, kwargs)
        if getattr(func, "__name__", "") == "__set__" and func.__self__.__name__ == "data":
            self.origins[id(args[0])] = Untracked(f"a tensor whose data were replaced in {self.path[-1]}")
        written = [t for t, version in zip(given, before, strict=True) if _version(t) != version]
        self._untrack_views(written, name)
        results = list(tensors_in(result)) or written
        if results and not written and all(isinstance(self.origins.get(id(t)), Const) for t in results):
            return result  # constants themselves, such as the flattened form of a matrix
        if results:
            self._add_call(_call_name(name, given, results), refs, results,
                           random=not torch.equal(generator, torch.get_rng_state()))
        elif result is not None and self._depends_on_input(refs):
            self.report(str(self.path[-1]), f"{name} turns a tensor into a Python value, on which the network may "
                        "depend", "decide by shapes or settings of the module; the values of the data are not known "
                        "at compile time")
        return result

    def _call(self, func: Any, name: str, given: list[Tensor], args: Any, kwargs: Any) -> Any:
        """Call a torch function. Raises SNN110 where it needs the numbers of a tensor that has none."""
        try:
            return func(*args, **kwargs)
        except RuntimeError:
            if name in PYTHON_VALUES and any(t.is_meta for t in given):
                fail("SNN110", str(self.path[-1]), f"{name} of a tensor without numbers",
                     help="tensors on torch's meta device have shapes only, and so have all results that are computed "
                     "from them; decide by shapes or settings of the module, or give the parameters numbers")
            raise

    def _add_call(self, name: str, refs: Any, results: list[Tensor], random: bool = False) -> None:
        if name == "detach":  # only gradients tell it from the tensor itself
            self.origins[id(results[0])] = refs[0][0]
            self._keep_alive(results[0])
            return
        self.add(RecordedCall(name, self.path[-1], refs[0], refs[1], _user_line(), random=random), results)

    def _depends_on_input(self, refs: Any) -> bool:
        """Whether the arguments may depend on an input of the network, or on a neuron module."""
        sources = Tape(self.calls, None).sources
        reached = reachable((r.call for r in references(refs)), sources.__getitem__)
        return any(self.calls[at].name in ("input", "neuron") for at in reached)

    def _save_before_write(self, target: Tensor | None) -> None:
        """Copy the recorded results that share memory with a tensor that is about to be written to.

        Constants are taken from the recorded results, so these must keep the numbers of the time of their call.
        """
        for tensor in self.storages.get(_memory_block(target), ()) if target is not None else ():
            origin = self.origins.get(id(tensor))
            if isinstance(origin, Ref):
                self.calls[origin.call].results[origin.slot] = tensor.clone()

    def _untrack_views(self, written: list[Tensor], by: str) -> None:
        """Mark every other tensor that shares memory with a written one: its origin no longer gives its numbers."""
        for tensor in written:
            for other in self.storages.get(_memory_block(tensor), ()):
                if other is not tensor:
                    self.origins[id(other)] = Untracked(
                        f"a tensor that was written to in place by {by} in {self.path[-1]}")

    # --- modules ---------------------------------------------------------------------------------------------

    def add_hooks(self, module: nn.Module, where: ModulePlace, is_neuron: bool) -> tuple[Any, Any]:
        """Follow the calls of a module's `forward`. A neuron module is recorded as one call.

        Returns:
            Two handles; their `remove` takes the hooks away.
        """
        parts = [vars(part) for part in module.modules()]

        def enter(_: nn.Module, args: Any, kwargs: Any) -> None:
            self.path.append(where)
            self.entered[where] += 1
            if is_neuron:
                self.pause()
                self._check_unchanged(parts, where)
                versions = [(t, _version(t)) for t in tensors_in((args, kwargs))]
                self.neuron_arguments.append((map_leaves((args, kwargs), self.reference_to), versions))

        def leave(_: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            if is_neuron:
                before, self.neuron_states[where] = self.neuron_states[where], _state_of(parts)
                keeps_state = not _same_state(before, self.neuron_states[where])
                self._add_neuron_call(module, where, result, keeps_state)
                self.resume()
            self.path.pop()

        return (module.register_forward_pre_hook(enter, with_kwargs=True),
                module.register_forward_hook(leave, with_kwargs=True))

    def _check_unchanged(self, parts: Sequence[Mapping[str, Any]], where: ModulePlace) -> None:
        """Report a neuron module whose state or parameters were changed since its last call."""
        before, now = self.neuron_states.get(where), _state_of(parts)
        self.neuron_states[where] = now
        if before is not None and not _same_state(before, now):
            self.report(str(where), "its state or parameters change between two of its calls", "reset neurons before "
                        "the loop over time, and do not change their attributes inside of it")

    def _add_neuron_call(self, module: nn.Module, where: ModulePlace, returned: Any, keeps_state: bool) -> None:
        results, entries = [], []
        for i, entry in enumerate(returned if isinstance(returned, (tuple, list)) else (returned,)):
            for tensor in tensors_in(entry):
                results.append(tensor)
                entries.append(i)
        kept = {name: tensor for name in STATE_ATTRIBUTES if isinstance(tensor := getattr(module, name, None), Tensor)
                and all(tensor is not returned for returned in results)}
        (args, kwargs), versions = self.neuron_arguments.pop()
        written = [t for t, version in versions if _version(t) != version]
        self._untrack_views(written, "a neuron")
        for tensor in written:
            self.origins[id(tensor)] = Untracked(f"a tensor that was written to in place by {where}")
        self.add(RecordedCall("neuron", where, args, kwargs, _user_line(), neuron=module, keeps_state=keeps_state,
                              entries=tuple(entries), kept=tuple(kept)), [*results, *kept.values()])


def _state_of(parts: Sequence[Mapping[str, Any]]) -> ModuleState:
    """What a module holds, given the attributes of the module and of all its submodules."""
    state: ModuleState = {}
    for i, part in enumerate(parts):
        for name, attribute in part.items():
            if name in INTERNAL_ATTRIBUTES:
                continue
            for key, value in attribute.items() if isinstance(attribute, dict) else (("", attribute),):
                if isinstance(value, Tensor):
                    state[i, name, key] = value, _version(value)
                elif value is None or isinstance(value, (int, float, str)):
                    state[i, name, key] = value, 0
    return state


def _same_state(before: ModuleState, now: ModuleState) -> bool:
    """Whether a module holds the same tensors, not written to meanwhile, and equal numbers."""
    return before.keys() == now.keys() and all(
        (a is b or (type(a) is type(b) and not isinstance(a, Tensor) and a == b)) and version == later
        for (a, version), (b, later) in zip(before.values(), now.values(), strict=True))


def _user_line() -> tuple[str, int, int]:
    """File, line and bytecode offset of the innermost code on the call stack outside torch and this package."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((TORCH_FOLDER, PACKAGE_FOLDER)):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno, frame.f_lasti


def _call_name(name: str, given: Sequence[Tensor], results: Sequence[Tensor]) -> str:
    """The name of a call. A cast to 16 bits also names the type: it rounds, so no function of the graph replaces it."""
    half = results[0].dtype in (torch.float16, torch.bfloat16) and len(given) > 0
    return f"{name} {results[0].dtype}" if half and given[0].dtype != results[0].dtype else name


def _may_write(function: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether a function may write to its first argument, by its name: `add_`, `__iadd__`, `__setitem__`."""
    name = str(getattr(function, "__name__", ""))
    return bool(kwargs.get("inplace")) or name.startswith("__i") or name == "__setitem__" or (
        name.endswith("_") and not name.endswith("__"))


def _memory_block(tensor: Tensor) -> int:
    """A key for the memory block of a tensor: its address; for a tensor without numbers, that of its description."""
    storage = tensor.untyped_storage()
    return storage.data_ptr() or int(storage._cdata)


def _version(tensor: Tensor) -> int:
    """A counter that torch increments whenever the tensor is written to; 0 for inference tensors, which have none."""
    return 0 if tensor.is_inference() else tensor._version
