"""Modules on torch's `meta` device, whose parameters have shapes and no numbers (`torch.device("meta")`).

Torch computes the shapes of all results on that device, without memory and in no time. But it refuses to compute with
a tensor that has numbers and one that has none. So while such a module runs,

- a neuron module has all its tensors moved to `meta`; its parameters are read from a copy that keeps their numbers;
- outside of neuron modules, tensors with numbers keep them, until they meet a tensor without numbers (`MixedDevices`).

For example, in `lif(fc(x) * mask)` with `fc.weight` on `meta` and `mask` in memory, the product has no numbers, and
`mask` still has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode

import torch
from snncompile.frontends.torch.tape import map_leaves, tensors_in
from torch import Tensor, nn

META = torch.device("meta")
MOVES = frozenset(("to", "cpu", "cuda"))
# Functions that make tensors whose numbers are known from their arguments.
FILLING = frozenset((
    "zeros", "ones", "full", "tensor", "arange", "linspace", "eye", "zeros_like", "ones_like", "full_like", "new_zeros",
    "new_ones", "new_full", "new_tensor"))


def has_bare_tensors(module: nn.Module) -> bool:
    """Whether a parameter, buffer or attribute of a module or of its submodules has no numbers."""
    return any(t.is_meta for part in module.modules() for t in tensors_in(vars(part)))


def to_memory(module: nn.Module) -> nn.Module:
    """Move a module to the CPU, except for the tensors without numbers. Changes the module, and returns it."""
    return module._apply(lambda t: t if t.is_meta else t.cpu()) if has_bare_tensors(module) else module.to("cpu")


def in_whole_floats(module: nn.Module) -> nn.Module:
    """Move 16-bit floats to float32, in which the graph computes. Changes the module, and returns it."""
    return module._apply(lambda t: t.float() if t.dtype in (torch.bfloat16, torch.float16) else t)


class MixedDevices(TorchFunctionMode):
    """While entered, tensors with and without numbers may be arguments of one torch function.

    The results of such a call have no numbers. A tensor that is written to with values without numbers becomes NaN, so
    that its former numbers are not taken for its own. Functions that fill a tensor with known numbers keep them in
    memory, and no function moves a tensor between devices.

    Args:
        inside_neuron: tells whether a neuron module is running. All its tensors are without numbers, and those that it
            makes are too.
    """

    def __init__(self, inside_neuron: Callable[[], bool] = lambda: False):
        super().__init__()
        self.inside_neuron = inside_neuron

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = str(getattr(func, "__name__", func))
        if name in FILLING and not self.inside_neuron() and not _copies_bare(name, args, kwargs):
            return func(*args, **{**kwargs, "device": "cpu"})
        if name in MOVES and not self.inside_neuron():
            args, kwargs = _without_devices(args, kwargs)
            return args[0].to(*args[1:], **kwargs) if len(args) + len(kwargs) > 1 else args[0]
        given = list(tensors_in((args, kwargs)))
        if name == "__get__" or not any(t.is_meta for t in given) or all(t.is_meta for t in given):
            return func(*args, **kwargs)
        return _mixed_call(func, args, kwargs, {id(t): t for t in given if not t.is_meta})


def _copies_bare(name: str, args: Any, kwargs: Any) -> bool:
    """Whether a function of FILLING takes its numbers from a tensor that has none."""
    own = args[1:] if name.endswith("_like") or name.startswith("new_") else args
    return any(t.is_meta for t in tensors_in((own, kwargs)))


def _mixed_call(func: Any, args: Any, kwargs: Any, known: Mapping[int, Tensor]) -> Any:
    """Call a function with tensors of `meta` in place of those with numbers, which are given by their `id`."""
    moved = {key: tensor.to(META) for key, tensor in known.items()}
    versions = {key: tensor._version for key, tensor in moved.items()}
    swapped = map_leaves((args, kwargs), lambda v: moved.get(id(v), v))
    result = func(*swapped[0], **swapped[1])
    originals = {id(tensor): known[key] for key, tensor in moved.items()}
    for key, tensor in moved.items():
        if tensor._version != versions[key]:
            known[key].fill_(torch.nan if known[key].is_floating_point() else 0)
    return originals.get(id(result), result)


def _without_devices(args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The arguments of `tensor.to(...)` without devices; of another tensor only its type is kept."""
    types = (a.dtype if isinstance(a, Tensor) else a for a in args[1:])
    kept = tuple(a for a in types if not isinstance(a, (torch.device, str)))
    return (args[0], *kept), {n: v for n, v in kwargs.items() if n != "device"}
