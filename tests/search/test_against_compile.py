"""A slice of `tests.long_compile`: what `check` refuses cannot be placed, and what it packs compiles."""

from __future__ import annotations

import numpy as np
import pytest

from snncompile.ir.ops import Linear
from snncompile.ir.types import ShapeOnly
from snncompile.search.net import Net
from snncompile.search.numbers import with_random_numbers
from tests.against_compile import case

FOUND = (100, 159, 499, 579, 1671)
"""Candidates on which `check` and `compile` once differed: a step behind integer weights on a target without scales,
narrow weights that became wide ones, weights whose zeros lay elsewhere, and a mesh of fewer cores than the target."""


@pytest.mark.parametrize("seed", [*range(24), *FOUND])
def test_no_refusal_is_wrong_and_no_packing_is_refused(seed):
    assert not case(seed).faults


@pytest.mark.parametrize("density", [0.05, 0.1, 0.24, 0.45])
def test_outputs_of_a_sparse_layer_have_as_many_weights_as_its_density_says(density):
    """Bare shapes and random numbers agree in each output, and no places of the weights reach more inputs."""
    bare = ShapeOnly((12, 40), density=density)
    assumed = Linear(bare).kept_taps()
    full = with_random_numbers(Net((40,)).linear(12, density=density).lif(0.5).graph(), 3)
    (drawn,) = (np.asarray(op.weight) != 0 for op in full.nodes.values() if isinstance(op, Linear))
    assert np.array_equal(assumed.sum(1), drawn.sum(1))
    for first in range(12):
        for last in range(first + 1, 13):
            assert assumed[first:last].any(0).sum() >= drawn[first:last].any(0).sum()
