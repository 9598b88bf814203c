"""`Net`: a network that is built layer by layer, without weights, as searches build their candidates.

    net = Net((3, 32, 32))
    net.conv(32, 3).norm().lif(decay=0.5)
    entry = net.tap()
    net.conv(32, 3, bits=4).norm().add(entry).lif(decay=0.5)
    net.pool(8).linear(10).lif(decay=0.5)
    sc.check(net.graph(), "loihi2")

Every method that adds an operator puts it behind the place where the net stands, moves there, and returns the net.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any, Literal, NamedTuple

from snncompile.diagnostics import CompileError, Diagnostic, expect_known, fail, shorten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.ops import Identity, Output
from snncompile.ir.rules import Firing
from snncompile.ir.types import Json, Shape
from snncompile.ir.verify import expect_attributes
from snncompile.search.shared import (
    MAX_SIZE,
    conv_of,
    identity_of,
    input_of,
    linear_of,
    neuron_of,
    norm_of,
    output_of,
    pad_of,
    pool_of,
    product_of,
    rectify_of,
    reshape_of,
    scale_of,
    token_mix_of,
    upsample_of,
    whole,
)

INPUT = "input"
"""The name of an input that is not given another one."""


_NUMBERS = count(1)


class Tap(NamedTuple):
    """A place in a net: the tensor behind a node, and its shape in a tick.

    Attributes:
        net: the number of the net, which no other net of this process has; 0 for a net that has a node of this name.
    """

    name: str
    shape: Shape
    net: int = 0


class OtherNetError(CompileError):
    """A place of another net was named."""


class Net:
    """A network while it grows. Its weights are bare shapes, and it is a FLOAT graph in the end.

    Operators are named by their kind and a number, as in `conv2`, unless a name is given.
    """

    def __init__(self, shape: Iterable[int], *, values: Literal["spike", "real"] = "spike", low: float = 0,
                 high: float = 1, name: str = "net", input: str = INPUT, ticks: int | None = None):
        """A net with one input.

        Args:
            shape: of the input in one tick: channels, or channels, rows and columns.
            values, low, high: what the input holds; see `ops.Input`.
            name, input: the names of the network and of its input.
            ticks: of a sample; with it, costs are estimated for so many ticks.

        Raises:
            CompileError: SNN404 for a shape with an axis of no elements.
        """
        self.name = name
        self.meta: dict[str, Json] = {} if ticks is None else {"ticks": whole("ticks", ticks)}
        self._nodes: dict[str, Op] = {}
        self._edges: list[Edge] = []
        self._shapes: dict[str, Shape] = {}
        self._counts: Counter[str] = Counter()
        self._numbered: set[str] = set()
        self._number = next(_NUMBERS)
        self._sums: dict[str, str] = {}  # by node, the sum behind it that backward links lead to
        entering = tuple(whole("shape", n) for n in shape)
        self._last = self._new(input_of(entering, values, low, high), input, entering)

    @property
    def shape(self) -> Shape:
        """The shape, in one tick, of the tensor where the net stands."""
        return self._shapes[self._last]

    def shape_of(self, name: str) -> Shape:
        """The shape, in one tick, of the tensor behind a node."""
        return self._shapes[name]

    @property
    def nodes(self) -> Mapping[str, Op]:
        """The operators so far, by name."""
        return self._nodes

    @property
    def edges(self) -> Sequence[Edge]:
        """The connections so far."""
        return self._edges

    @property
    def kinds(self) -> frozenset[str]:
        """The words of which names were made so far, each with a number behind it."""
        return frozenset(self._counts)

    @property
    def given_names(self) -> frozenset[str]:
        """The names of nodes that were given, and not made of a word and a number."""
        return frozenset(self._nodes).difference(self._numbered)

    @property
    def _axes(self) -> int:
        """How many axes lie behind the channels; 1 for an operator that needs one where there is none."""
        return max(len(self.shape) - 1, 1)

    # --- layers ---

    def conv(self, channels: int, kernel: int, *, stride: int = 1, padding: int | None = None, groups: int = 1,
             dilation: int = 1, bias: bool = False, bits: int | None = None, density: float | None = None,
             name: str = "") -> Net:
        """A convolution over the axes behind the channels.

        Args:
            channels: of its output.
            kernel, stride, dilation: the same along all axes.
            padding: zeros on each side; None for as many as keep the size at a stride of 1.
            bits, density: of its weights; see `types.ShapeOnly`.

        Raises:
            CompileError: SNN404 for a number that it cannot have, SNN202 where it does not fit.
        """
        shape = self.shape
        return self.op(conv_of(shape[0], max(len(shape) - 1, 1), channels, kernel, stride, padding, groups, dilation,
                               bias, bits, density), name)

    def linear(self, outputs: int, *, bias: bool = False, bits: int | None = None, density: float | None = None,
               name: str = "") -> Net:
        """A fully connected layer. A tensor of several axes is flattened before it. Arguments as for `conv`."""
        self.flatten()
        return self.op(linear_of(self.shape[0], outputs, bias, bits, density), name)

    def token_mix(self, outputs: int | None = None, *, heads: int = 1, bias: bool = False, bits: int | None = None,
                  density: float | None = None, name: str = "") -> Net:
        """A linear map along the last axis of `[channels, tokens]`, the same for all channels of a head.

        An image becomes tokens by `tokens`.

        Args:
            outputs: tokens behind it; None for as many as before it.
            heads: groups of channels with weights of their own.
            bits, density: of its weights; see `types.ShapeOnly`.

        Raises:
            CompileError: SNN404 for a number that it cannot have, SNN202 where it does not fit.
        """
        tokens = self.shape[-1]
        return self.op(token_mix_of(tokens, tokens if outputs is None else outputs, heads, bias, bits, density), name)

    def tokens(self, *, name: str = "") -> Net:
        """The axes behind the channels as one: the pixels of an image `[channels, height, width]` in their order."""
        channels, *rest = self.shape
        return self if len(rest) == 1 else self.op(reshape_of((channels, math.prod(rest))), name)

    def norm(self, *, name: str = "") -> Net:
        """A batch norm: a factor and a bias for each channel, which `check` and `compile` fold into the layers."""
        return self.op(norm_of(self.shape[0], len(self.shape)), name or self._free("norm"))

    def pool(self, side: int, *, kind: str = "avg", stride: int | None = None, padding: int = 0, name: str = "") -> Net:
        """A pool over the axes behind the channels.

        Args:
            kind: "avg", "max" or "sum".
            stride: None for the side of the pool.
        """
        step = side if stride is None else stride
        return self.op(pool_of(kind, (side,) * self._axes, (step,) * self._axes, padding), name)

    def global_pool(self, *, kind: str = "avg", name: str = "") -> Net:
        """A pool over all that lies behind the channels."""
        sides = self.shape[1:] or (1,)
        return self.op(pool_of(kind, sides, sides, 0), name)

    def upsample(self, factor: int, *, name: str = "") -> Net:
        """Each element repeated along each axis behind the channels."""
        return self.op(upsample_of(factor, self._axes), name)

    def flatten(self, *, name: str = "") -> Net:
        """The same elements along one axis; nothing where the tensor has one."""
        return self if len(self.shape) == 1 else self.op(reshape_of((math.prod(self.shape),)), name)

    def scale(self, factor: float, *, name: str = "") -> Net:
        """All elements times a number."""
        return self.op(scale_of(factor), name)

    def rectify(self, sign: Literal[1, -1] = 1, *, name: str = "") -> Net:
        """The positive part of each element, or with a sign of -1 the negative part."""
        return self.op(rectify_of(sign), name)

    # --- neurons ---

    def lif(self, decay: float, threshold: float = 1.0, **more: Any) -> Net:
        """Leaky integrate-and-fire neurons; `more` are arguments of `neuron`."""
        return self.neuron("lif", decay=decay, threshold=threshold, **more)

    def neuron(self, rule: str, *, firing: Firing = Firing(), options: dict[str, str] | None = None, name: str = "",
               **params: Any) -> Net:
        """A population.

        Args:
            rule: the name of a rule of the library.
            firing: comparison, reset and spikes in a tick.
            options, params: those of the rule; a parameter is a number, an array, or a `ShapeOnly` where it is learned.

        Raises:
            CompileError: SNN404 for a rule or a parameter that does not exist.
        """
        return self.op(neuron_of(rule, firing, options or {}, params), name or self._free(rule))

    # --- links ---

    def tap(self) -> Tap:
        """The place where the net stands, for `at`, `add`, `concat` and `back`."""
        return Tap(self._last, self.shape, self._number)

    def at(self, tap: Tap) -> Net:
        """Go on from another place."""
        self._last = self._known(tap)
        return self

    def add(self, *taps: Tap, delay: int = 0, name: str = "") -> Net:
        """The sum of the tensors here and at other places, the others late by `delay` ticks."""
        self.op(identity_of(), name or self._free("add"))
        for tap in taps:
            self._join(self._known(tap), self._last, delay)
        return self

    def concat(self, *taps: Tap, name: str = "") -> Net:
        """The channels of the tensor here, followed by those of the tensors at other places."""
        parts = [self.tap(), *(Tap(self._known(t), self._shapes[t.name]) for t in taps)]
        total, before, padded = sum(p.shape[0] for p in parts), 0, []
        for part in parts:
            behind = total - before - part.shape[0]
            self.at(part).op(pad_of(((before, behind), *((0, 0),) * (len(part.shape) - 1))))
            padded.append(self.tap())
            before += part.shape[0]
        return self.at(padded[0]).add(*padded[1:], name=name)

    def multiply(self, tap: Tap, over: Literal["channels", "tokens", "nothing"], *, heads: int = 1, name: str = ""
                 ) -> Net:
        """The products of the tensor here and the one at another place, both `[channels, tokens]`, head by head.

        With `l` here and `r` there, `y[i, j]` of a head is the sum of `l[c, i] r[c, j]` over its channels, or of
        `l[i, t] r[j, t]` over the tokens; over nothing, it is `l[i, j] r[i, j]`. See `ir.spike_product`. No hardware
        has them.

        Attention, from queries, keys and values:

            net.at(queries).multiply(keys, "channels", heads=8).scale(0.125)
            matches = net.tap()
            net.at(values).multiply(matches, "tokens", heads=8)

        Raises:
            CompileError: SNN404 for an axis or a number of heads that cannot be, SNN202 for shapes that do not fit.
        """
        expect_known(over, ("channels", "tokens", "nothing"), f"net {shorten(self.name)}, multiply")
        left, other = self.shape, self._shapes[self._known(tap)]
        if whole("heads", heads) > 1 and over == "nothing":
            fail("SNN404", f"net {shorten(self.name)}, multiply", f"{heads} heads", "1 head over nothing")
        fits = len(left) == len(other) == 2 and left[1] == other[1] and not left[0] % heads and not other[0] % heads
        if not fits or (over != "tokens" and left != other):
            fail("SNN202", f"net {shorten(self.name)}, multiply", f"{list(left)} and {list(other)}",
                 f"[channels, tokens] with equally many {'tokens' if over == 'tokens' else 'of both'}, and channels "
                 f"for each of {heads} heads")
        terms = {"channels": left[0] // heads, "tokens": left[1], "nothing": 1}[over]
        return self.concat(tap).op(product_of(left[0], terms, over, heads), name)

    def back(self, tap: Tap, delay: int = 1) -> Net:
        """Add the tensor here, late by `delay` ticks, to the tensor at an earlier place, for all that reads that.

        The net stands where it stood.
        """
        place = self._known(tap)
        if not isinstance(self._nodes[place], Identity):
            place = self._meeting(place)
        self._join(self._last, place, delay)
        return self

    def late(self, delay: int = 1, *, name: str = "") -> Net:
        """The tensor here, late by `delay` ticks: zeros in the first ones."""
        before = self._last
        self._last = self._new(identity_of(), name or self._free("late"), self.shape)
        self._join(before, self._last, delay)
        return self

    def place(self, shape: Shape, *, name: str = "") -> Tap:
        """A sum that nothing leads into yet, for links with `back` alone; the net stays where it is.

        A graph in which nothing leads into it in the end is refused.
        """
        added = self._new(identity_of(), name or self._free("add"), tuple(whole("shape", n) for n in shape))
        return Tap(added, self._shapes[added], self._number)

    def _meeting(self, place: str) -> str:
        """A sum between a node and all that reads it."""
        name = self._new(identity_of(), self._free("add"), self._shapes[place])
        self._edges = [Edge(name, e.dst, e.delay) if e.src == place else e for e in self._edges]
        self._edges.append(Edge(place, name))
        self._sums[place] = name
        if self._last == place:
            self._last = name
        return name

    def _join(self, source: str, target: str, delay: int) -> None:
        if self._shapes[source] != self._shapes[target]:
            fail("SNN202", f"node {shorten(target)}", f"{list(self._shapes[source])} from {shorten(source)}",
                 f"{list(self._shapes[target])}, since tensors are added")
        self._edges.append(Edge(source, target, whole("delay", delay, least=0)))

    # --- the graph ---

    def op(self, op: Op, name: str = "") -> Net:
        """Any operator, behind the place where the net stands.

        Raises:
            CompileError: SNN203 for wrong attributes, SNN202 where it does not fit, SNN404 for a name that the net has
                already.
        """
        expect_attributes(op, self.name)
        try:
            shape = op.shape_behind(self.shape)
        except ShapeError as e:
            fail("SNN202", f"net {shorten(self.name)}, {op.kind()}", f"{list(self.shape)} arrives", e.expected)
        before = self._last
        self._last = self._new(op, name or self._free(op.kind()), shape)
        self._edges.append(Edge(before, self._last))
        return self

    def output(self, decode: Literal["rate", "last", "max"] = "rate", name: str = "") -> Net:
        """An output of the network, behind the place where the net stands; the net stays where it is."""
        here = self.tap()
        return self.op(output_of(decode), name or ("output" if "output" not in self._nodes else "")).at(here)

    def graph(self) -> Graph:
        """The network as a FLOAT graph. A net without an output has one where it stands."""
        if not any(isinstance(op, Output) for op in self._nodes.values()):
            self.output()
        graph = Graph(self.name, self._nodes, tuple(self._edges), meta=self.meta)
        return graph.with_shapes(dict(self._shapes))

    def _new(self, op: Op, name: str, shape: Shape) -> str:
        if name in self._nodes:
            fail("SNN404", f"net {shorten(self.name)}, name", f"a second {shorten(name)}", "a name for each node")
        if math.prod(shape) > MAX_SIZE:
            fail("SNN205", f"net {shorten(self.name)}, {shorten(name)}", f"{math.prod(shape):,} elements",
                 f"at most {MAX_SIZE:,}")
        self._nodes[name], self._shapes[name] = op, shape
        return name

    def _free(self, kind: str) -> str:
        """A name that no node has: the kind and a number."""
        self._counts[kind] += 1
        while (name := f"{kind}{self._counts[kind]}") in self._nodes:
            self._counts[kind] += 1
        self._numbered.add(name)
        return name

    def _known(self, tap: Tap) -> str:
        if tap.net not in (0, self._number) or tap.name not in self._nodes:
            raise OtherNetError((Diagnostic("SNN404", f"net {shorten(self.name)}",
                                            f"a tap of another net, {shorten(tap.name)}", "a tap of this net"),))
        return self._sums.get(tap.name, tap.name)
