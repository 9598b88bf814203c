"""Axes after a reshape: if it is accepted, every axis holds what its letter names."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from snncompile.frontends.torch.values import reshaped_axes

EXTENT = {"T": 3, "B": 2}
LEADING = [("B",), ("T", "B"), ("B", "T"), ("TB",), ("BT",)]


def sizes(axes, features):
    rest = iter(features)
    return tuple(next(rest) if a == "F" else math.prod(EXTENT[c] for c in a) for a in axes)


def numbered(axes, features):
    """For every entry of a tensor its tick, its sample, and the index of its feature."""
    shape = sizes(axes, features)
    parts = {"T": np.zeros(shape, int), "B": np.zeros(shape, int), "F": np.zeros(shape, int)}
    for i, axis in enumerate(axes):
        index = np.indices(shape)[i]
        if axis == "F":
            parts["F"] = parts["F"] * shape[i] + index
        for letter, part in zip(axis, np.unravel_index(index, [EXTENT[c] for c in axis]) if axis != "F" else (),
                                strict=False):
            parts[letter] = part
    return parts


@st.composite
def reshapes(draw):
    leading = draw(st.sampled_from(LEADING))
    features = draw(st.lists(st.integers(1, 4), max_size=3))
    axes = (*leading, *("F",) * len(features))
    left, new = math.prod(sizes(axes, features)), []
    while left > 1 or draw(st.booleans()):
        new.append(draw(st.sampled_from([d for d in range(1, left + 1) if left % d == 0])))
        left //= new[-1]
        if len(new) > 5:
            break
    return axes, features, (*new, left)


@settings(max_examples=300, deadline=None)
@given(reshapes())
def test_every_axis_holds_what_its_letter_names(case):
    axes, features, new = case
    new_axes = reshaped_axes(axes, sizes(axes, features), new, EXTENT)
    if new_axes is None:
        return
    kept = [n for a, n in zip(new_axes, new, strict=True) if a == "F"]
    assert sizes(new_axes, kept) == new
    before, after = numbered(axes, features), numbered(new_axes, kept)
    for letter in "TBF":
        assert (before[letter].reshape(new) == after[letter]).all()


@pytest.mark.parametrize(("axes", "old", "new", "new_axes"), [
    (("T", "B", "F"), (3, 2, 4), (6, 4), ("TB", "F")), (("TB", "F"), (6, 4), (3, 2, 4), ("T", "B", "F")),
    (("T", "B", "F"), (3, 1, 10), (3, 10), ("TB", "F")), (("B", "F", "F"), (2, 3, 4), (2, 12), ("B", "F")),
    (("B", "F"), (2, 12), (24,), None), (("B", "F", "F"), (2, 3, 4), (6, 4), None), (("B",), (2,), (2, 1), ("B", "F")),
])
def test_usual_reshapes(axes, old, new, new_axes):
    extent = {"T": 3, "B": 1 if old[:2] == (3, 1) else 2}
    assert reshaped_axes(axes, old, new, extent) == new_axes
