"""Spaces of a user's file: what their functions raise is told from faults of the compiler."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from snncompile.diagnostics import CompileError
from snncompile.frontends.torch.source import UserCode
from snncompile.ir.graph import Graph
from snncompile.search.chain import Chain
from snncompile.search.space import Space


class SpaceError(Exception):
    """Code of a space raised an error, which is no verdict on a candidate. Holds the diagnostic, SNN109."""

    def __init__(self, error: CompileError):
        super().__init__(error)
        self.error = error

    def __reduce__(self) -> Any:
        return SpaceError, (self.error,)


def guarded(space: Space) -> Space:
    """The same space, whose functions raise `SpaceError` for whatever they raise but a CompileError."""
    if not isinstance(space, Chain):
        return dataclasses.replace(space, graph=_Guarded(space.graph, Graph))
    chain = copy.copy(space)
    object.__setattr__(chain, "layers", tuple(_Guarded(layer, object) for layer in space.layers))
    object.__setattr__(chain, "graph", chain._graph)
    return chain


class _Guarded:
    """A function of the user with the same arguments.

    Attributes:
        function: the user's.
        returned: the type of what it has to return.
    """

    def __init__(self, function: Callable[..., Any], returned: type):
        functools.update_wrapper(self, function, updated=())
        self.function, self.returned = function, returned

    def __call__(self, *args: Any, **pick: Any) -> Any:
        try:
            return self._called(*args, **pick)
        except CompileError as e:
            if e.diagnostics[0].code == "SNN109":
                raise SpaceError(e) from None
            raise

    def _called(self, *args: Any, **pick: Any) -> Any:
        """What the function returns. Raises SNN109 for whatever it raises but a CompileError."""
        with UserCode(lambda: "space, a function of it"):
            found = self.function(*args, **pick)
            if not isinstance(found, self.returned):
                raise TypeError(f"it returned {type(found).__name__}, and not a {self.returned.__name__}")
        return found
