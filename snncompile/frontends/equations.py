"""The equations of `einsum`, as PyTorch and ONNX write them."""

from __future__ import annotations

import string
from collections.abc import Sequence


def axis_labels(equation: str, axes: Sequence[int | None]) -> tuple[list[str], str] | None:
    """The labels of each operand's axes and of the result's, each axis of an ellipsis with a label of its own.

    >>> axis_labels("...i,oi->...o", [3, 2])
    (['ABi', 'oi'], 'ABo')
    >>> axis_labels("ij,jk", [2, 2])
    (['ij', 'jk'], 'ik')

    Args:
        axes: the number of axes of each operand; None for as many as the equation names.

    Returns:
        None for an equation that does not fit the operands, or whose result has a label twice, none, or an unknown one.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(axes):
        return None
    named = [len(term.replace("...", "")) for term in terms]
    counts = [k if n is None else n for n, k in zip(axes, named, strict=True)]
    free = [n - k if "..." in term else 0 for term, n, k in zip(terms, counts, named, strict=True)]
    spare = "".join(c for c in string.ascii_uppercase if c not in equation)
    if min(free) < 0 or max(free) > len(spare):
        return None
    shared = spare[:max(free)]
    full = [term.replace("...", shared[len(shared) - n:]) for term, n in zip(terms, free, strict=True)]
    every = "".join(terms).replace(".", "")
    once = "".join(sorted(c for c in set(every) if every.count(c) == 1))
    result = right.replace("...", shared) if arrow else shared + once
    fits = all(len(t) == n and "." not in t for t, n in zip(full, counts, strict=True))
    known = result and len(set(result)) == len(result) and set(result) <= set("".join(full))
    return (full, result) if fits and known else None
