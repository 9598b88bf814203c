"""`SpikeProduct`: sums of products of two tensors that both change from tick to tick, as attention has them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from snncompile.ir.exact import batched
from snncompile.ir.op import Op, expect
from snncompile.ir.types import Array, Shape
from snncompile.ir.windows import Window


class Factors(NamedTuple):
    """The two tensors that are multiplied, `[n, heads, channels, tokens]` each."""

    left: Array
    right: Array


@dataclass(frozen=True, eq=False)
class SpikeProduct(Op):
    """Products of two tensors `[channels, tokens]` with each other, head by head.

    Both arrive as one tensor: the first `left` channels are those of the left tensor, the others those of the right
    one. (A graph puts them together as it concatenates, by `Pad` and a sum.) The channels of each are divided into
    heads of equal size. Of a head with the left part `l` and the right part `r`:

        over "channels":  y[i, j] = sum_c l[c, i] r[c, j]     for tokens i and j, `terms` channels c in a head
        over "tokens":    y[i, j] = sum_t l[i, t] r[j, t]     for channels i and j, `terms` tokens t
        over "nothing":   y[c, t] = l[c, t] r[c, t]           for channels c and tokens t; `terms` and `heads` are 1

    The attention of a spiking transformer (Zhou et al., "Spikformer", ICLR 2023, eq. 6) of queries, keys and values is
    both, one after the other: products of queries with keys over channels, and of values with these over tokens. In
    that order the result has the channels and tokens of the values.

    One head with 2 channels and 2 tokens, first of queries and keys, then of values and what came out:

    >>> q, k, v = ([[1, 0], [1, 1]], [[1, 1], [0, 1]], [[0, 1], [1, 0]])
    >>> match = SpikeProduct(left=2, terms=2, over="channels").apply(np.array([q + k]))
    >>> match.tolist()
    [[[1, 2], [0, 1]]]
    >>> SpikeProduct(left=2, terms=2, over="tokens").apply(np.array([v + match[0].tolist()])).tolist()
    [[[2, 1], [1, 0]]]

    Networks with it have shapes, parameters and costs, and the interpreter runs them. No target has such a product:
    synapses have weights that do not change.

    Attributes:
        left: the channels of the left tensor.
        terms: how many products each output adds up.
        over: the axis along which they are added up; "nothing" multiplies element by element.
        heads: the number of groups of channels.
    """

    linear: ClassVar[bool] = False
    left: int
    terms: int
    over: Literal["channels", "tokens", "nothing"]
    heads: int = 1

    def infer(self, shape: Shape) -> Shape:
        channels, tokens = shape if len(shape) == 2 else (0, 0)
        right = channels - self.left
        if self.over != "tokens":
            expect(tokens > 0 and right == self.left, f"expects [{2 * self.left}, tokens]")
            return (self.heads * tokens if self.over == "channels" else self.left, tokens)
        expect(tokens == self.terms and right > 0 and right % self.heads == 0,
               f"expects [{self.left} and the right tensor's channels, a multiple of {self.heads}, {self.terms}]")
        return (self.left, right // self.heads)

    def factors(self, x: Array) -> Factors:
        """The two tensors in one, which is `[n, channels, tokens]`."""
        n, channels, tokens = x.shape
        left = x[:, :self.left].reshape(n, self.heads, self.left // self.heads, tokens)
        return Factors(left, x[:, self.left:].reshape(n, self.heads, (channels - self.left) // self.heads, tokens))

    def apply(self, x: Array) -> Array:
        left, right = self.factors(x)
        if self.over == "nothing":
            y = left * right if x.dtype.kind == "f" else left.astype(np.int64) * right.astype(np.int64)
        else:
            y = batched(*(left.swapaxes(2, 3), right) if self.over == "channels" else (left, right.swapaxes(2, 3)))
        return np.asarray(y).reshape(len(x), *self.infer(x.shape[1:]))

    def synapses(self, shape: Shape) -> int:
        """The pairs of elements that are multiplied with each other."""
        return math.prod(self.infer(shape)) * self.terms

    def windows(self, shape: Shape) -> tuple[Window, ...]:
        """All of each axis: which elements an output reads differs from axis to axis, and is not told here."""
        return tuple(Window.groups(n, m) for n, m in zip(shape, self.infer(shape), strict=True))

    def bounds(self, low: int, high: int) -> tuple[int, int]:
        products = low * low, low * high, high * high
        return self.terms * min(products), self.terms * max(products)
