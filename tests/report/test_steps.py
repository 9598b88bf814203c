"""The lines that tell what a step of a compilation did."""

from __future__ import annotations

import pytest

from snncompile.mapping.chip import CoreUse
from snncompile.report.steps import on_cores


def use(chips: int) -> CoreUse:
    return CoreUse(12, chips, 10, "neurons", {}, {}, 4000, 250, None, None, ())


@pytest.mark.parametrize(("chips", "told"), [(1, "12 cores"), (2, "12 cores on 2 chips"), (3, "12 cores on 3 chips")])
def test_chips_are_told_where_there_are_several(chips, told):
    (step,) = on_cores(use(chips))
    assert step.result == told
    assert ("250 of them to another chip" in step.detail) == (chips > 1)
    assert "lower bound 10 (neurons)" in step.detail
