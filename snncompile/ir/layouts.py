"""The order of the leading axes of data over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snncompile.diagnostics import expect_known, fail

LAYOUTS = ("sample-first", "time-first")


def sample_first(x: Any, layout: str) -> Any:
    """Data `[sample, tick, ...]`, or a mapping of such data, from data in a layout: `[tick, sample, ...]` time-first.

    Raises:
        CompileError: SNN404 for a layout of another name, SNN501 for data without both axes.
    """
    expect_known(layout, LAYOUTS, "option layout")
    if layout == "sample-first":
        return x
    if isinstance(x, Mapping):
        return {n: sample_first(v, layout) for n, v in x.items()}
    value = np.asarray(x)
    if value.ndim < 2:
        fail("SNN501", "input data", f"shape {list(value.shape)}", "[tick, sample, ...], as layout says")
    return value.swapaxes(0, 1)
