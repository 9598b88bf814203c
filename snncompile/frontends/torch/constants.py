"""Finds the recorded calls that compute constants, such as a normalised weight, and replaces references to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from snncompile.frontends.torch.grids import given_step, rounds
from snncompile.frontends.torch.tape import Const, RecordedCall, Ref, Tape, Untracked, leaves_of, map_leaves
from torch import Tensor

# Functions whose results are refused, since they would be other numbers in every call of the network. The names are
# needed for tensors without numbers, and for generators of the user; other calls are known by `RecordedCall.random`.
RANDOM_FUNCTIONS = frozenset((
    "rand", "randn", "randint", "rand_like", "randn_like", "randint_like", "bernoulli", "normal", "poisson", "uniform",
    "exponential", "randperm", "multinomial", "random", "cauchy", "log_normal", "geometric", "binomial"))
# Functions whose results are constants even where their first argument depends on the input.
CONSTANT_FUNCTIONS = frozenset((
    "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "new_tensor"))
# Functions that take only the type or the shape from their other arguments.
LIKE_FUNCTIONS = frozenset(("to", "type_as", "view_as", "reshape_as", "expand_as"))
LAYERS = frozenset(("linear", "conv1d", "conv2d", "batch_norm"))
"""Layers of a network, which read a constant only where it stands for the first tick of a recurrence."""


def signature(call: RecordedCall) -> tuple[Any, ...]:
    """What the calls of different ticks have in common: function, module, and the place in the user's code."""
    return call.name, call.where, id(call.neuron), call.line


def with_constants(tape: Tape) -> Tape:
    """The tape with a `Const` in place of every reference to a call that depends on no input and no neuron.

    So a weight that is computed in every tick, as weight norm does, is one constant: calls of the same function with
    the same arguments and equal results share the first of these results. A call that another tick makes with a result
    of the network, such as the recurrent layer that is given zeros in the first tick, is no constant.
    """
    varying = _varying_calls(tape)
    constants: dict[Ref, Const] = {}
    rounded: dict[int, Tensor | None] = {}
    known: dict[Any, list[Tensor]] = {}

    def replaced(leaf: Any) -> Any:
        return constants.get(leaf, leaf) if isinstance(leaf, Ref) else leaf

    calls = []
    for at, call in enumerate(tape.calls):
        args, kwargs = map_leaves((call.args, call.kwargs), replaced)
        call = dataclasses.replace(call, args=args, kwargs=kwargs)
        calls.append(call)
        if at not in varying:
            key = call.name, call.where, repr(map_leaves((args, kwargs), _by_identity))
            first = known.setdefault(key, call.results)
            results = first if _equal(first, call.results) else call.results
            constants |= {Ref(at, slot): Const(tensor) for slot, tensor in enumerate(results)}
            if rounds(call) or any(isinstance(c, Const) and id(c.value) in rounded for c in leaves_of((args, kwargs))):
                rounded |= {id(tensor): given_step(call) for tensor in results}
    return Tape(calls, map_leaves(tape.returned, replaced), rounded)


def _varying_calls(tape: Tape) -> set[int]:
    """The positions of the calls that may give other results for other inputs, in other ticks, or at random."""
    alike: dict[Any, list[int]] = {}
    for at, call in enumerate(tape.calls):
        alike.setdefault(signature(call), []).append(at)
    users: dict[int, list[int]] = {}
    for at, call in enumerate(tape.calls):
        for source in _sources(call):
            users.setdefault(source, []).append(at)
    varying: set[int] = set()
    todo = [at for at, call in enumerate(tape.calls) if _varies(call)]
    while todo:
        at = todo.pop()
        if at not in varying:
            varying.add(at)
            todo += [*users.get(at, ()), *alike[signature(tape.calls[at])]]
    return varying


def _varies(call: RecordedCall) -> bool:
    """Whether the results of a call are no constants, whatever its arguments are."""
    return (call.neuron is not None or call.name == "input" or call.name in RANDOM_FUNCTIONS or call.random
            or call.name in LAYERS or any(isinstance(leaf, Untracked) for leaf in _read(call)))


def _read(call: RecordedCall) -> list[Any]:
    """The arguments on whose numbers the results of a call depend."""
    if call.name in LIKE_FUNCTIONS:
        return leaves_of(call.args[:1])
    return leaves_of((call.args[call.name in CONSTANT_FUNCTIONS:], call.kwargs))


def _sources(call: RecordedCall) -> Iterator[int]:
    """The positions of the calls on whose results those of a call depend."""
    return (leaf.call for leaf in _read(call) if isinstance(leaf, Ref))


def _by_identity(leaf: Any) -> Any:
    return id(leaf.value) if isinstance(leaf, Const) else leaf


def _equal(first: list[Tensor], results: list[Tensor]) -> bool:
    """Whether two lists of tensors are equal; tensors without numbers are, if they have the same shape and type."""
    return len(first) == len(results) and all(
        same_numbers(a, b) or (a.is_meta and b.is_meta and (a.shape, a.dtype) == (b.shape, b.dtype))
        for a, b in zip(first, results, strict=True))


def same_numbers(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same numbers; NaN is the same as NaN. Of tensors without numbers, only itself."""
    if a is b or a.is_meta or b.is_meta:
        return a is b
    return a.shape == b.shape and a.dtype == b.dtype and bool(((a == b) | ((a != a) & (b != b))).all())
