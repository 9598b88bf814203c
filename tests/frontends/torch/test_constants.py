"""Tensors that hold the same numbers are the same constant."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from snncompile.frontends.torch.constants import same_numbers  # noqa: E402

NAN = float("nan")


@pytest.mark.parametrize(("a", "b", "same"), [
    ([1.0, 2.0], [1.0, 2.0], True),
    ([1.0, 2.0], [1.0, 3.0], False),
    ([NAN, 2.0], [NAN, 2.0], True),
    ([NAN, 2.0], [2.0, NAN], False),
    ([NAN, 2.0], [1.0, 2.0], False),
    ([1.0, 2.0], [NAN, 2.0], False),
    ([1.0], [1.0, 1.0], False),
])
def test_nan_is_the_same_as_nan_and_as_nothing_else(a, b, same):
    assert same_numbers(torch.tensor(a), torch.tensor(b)) == same


def test_types_differ_and_tensors_without_numbers_are_only_themselves():
    bare = torch.empty(2, device="meta")
    assert not same_numbers(torch.ones(2), torch.ones(2, dtype=torch.float64))
    assert same_numbers(bare, bare)
    assert not same_numbers(bare, torch.empty(2, device="meta"))
    assert not same_numbers(bare, torch.ones(2))
