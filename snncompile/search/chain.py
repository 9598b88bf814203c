"""`Chain`: a space of networks whose layers follow each other, which is judged a million candidates a second.

    def layer(net, width=(16, 32, 64), kernel=(3, 5), bits=(2, 4, 8)):
        net.conv(width, kernel, bits=bits).norm().lif(decay=0.5)

    def head(net):
        net.global_pool().linear(10).lif(decay=0.5)

    space = Chain(Input((2, 32, 32)), [layer] * 8, head)       # 18**8 candidates

A layer sees the net, and with it the shape that enters, and the values of its own choices: the defaults of its
arguments, as tuples. What it adds to a network is worked out once for each value of its choices and each state that can
enter (`blocks`), and a verdict is a look-up a layer and a sum.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from snncompile.diagnostics import fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.ops import Input
from snncompile.search.blocks import Layer
from snncompile.search.net import Net
from snncompile.search.shared import whole
from snncompile.search.space import Space


@dataclass(frozen=True, init=False)
class Chain(Space):
    """Candidates in layers. The choices of the first layer are named `1.width` and so on, those of the head `head.x`.

    Attributes:
        entry: the input of the networks.
        layers: the functions of the layers, in order, the head among them.
        own: the names of the choices of each layer, as the function knows them.
        ticks: of a sample; None where a cost is estimated for as many as `screen` says.

    Raises:
        CompileError: SNN404 for a function whose arguments are not choices, or ticks that are no number of ticks.
    """

    entry: Input
    layers: tuple[Layer, ...]
    own: tuple[tuple[str, ...], ...]
    ticks: int | None

    def __init__(self, entry: Input, layers: Sequence[Layer], head: Layer | None = None, *, name: str = "chain",
                 ticks: int | None = None, numbered: bool = True):
        """A chain of layers, and a head behind them.

        Args:
            numbered: whether the names of choices begin with those of their layers. Without it they have to differ.
        """
        if not isinstance(entry, Input):
            fail("SNN404", f"space {shorten(name)}, entry", shorten(entry), "an Input")
        functions = (*layers, *(() if head is None else (head,)))
        if not functions:
            fail("SNN404", f"space {shorten(name)}, layers", "none", "one layer or more")
        labels = [*map(str, range(1, len(layers) + 1)), "head"]
        found = [_choices_of(name, label, function) for label, function in zip(labels, functions, strict=False)]
        choices = {f"{label}.{choice}" if numbered else choice: values
                   for label, own in zip(labels, found, strict=False) for choice, values in own.items()}
        if len(choices) < sum(map(len, found)):
            fail("SNN404", f"space {shorten(name)}", "two choices of one name", "names that differ, or numbered=True")
        for field, value in (("entry", entry), ("layers", functions), ("own", tuple(map(tuple, found))),
                             ("ticks", None if ticks is None else whole("ticks", ticks))):
            object.__setattr__(self, field, value)
        super().__init__(name, choices, self._graph)

    def _graph(self, **pick: Any) -> Graph:
        """The network of a candidate, layer by layer."""
        net = Net(self.entry.shape, values=self.entry.values, low=self.entry.low, high=self.entry.high,
                  name=self.name, ticks=self.ticks)
        values = iter(pick[name] for name in self.choices)
        for layer, own in zip(self.layers, self.own, strict=True):
            layer(net, **{name: next(values) for name in own})
        return net.graph()

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """How many combinations of its choices each layer has."""
        sizes = iter(self.sizes)
        return tuple(math.prod(next(sizes) for _ in own) for own in self.own)

    def layer_picks(self, position: int) -> list[dict[str, Any]]:
        """All combinations of the choices of a layer, in the order of their numbers."""
        first = sum(map(len, self.own[:position]))
        names = self.own[position]
        values = list(self.choices.values())[first:first + len(names)]
        return list(Space("", dict(zip(names, values, strict=True)), self.graph))


def _choices_of(space: str, label: str, function: Layer) -> dict[str, tuple[Any, ...]]:
    """The choices of a layer: the arguments of its function behind the first one, whose defaults are their values."""
    _, *others = inspect.signature(function).parameters.values()
    choices = {}
    for argument in others:
        if not isinstance(argument.default, (tuple, list, range)):
            fail("SNN404", f"space {shorten(space)}, layer {label}, argument {shorten(argument.name)}",
                 "a default that is no tuple" if argument.default is not argument.empty else "no default",
                 "a tuple of the values to choose from")
        choices[argument.name] = tuple(argument.default)
    return choices
