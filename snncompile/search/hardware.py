"""Hardware in the space: a target with several values of its figures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from snncompile.targets.load import load_target
from snncompile.targets.target import Target


def variants(target: str | Path | Target, **figures: Sequence[Any]) -> list[Target]:
    """The target with all combinations of values of its figures, named after them.

    >>> [variant.name for variant in variants("loihi1", cores=(64, 128))]
    ['loihi1 cores=64', 'loihi1 cores=128']

    Args:
        figures: values by the name of the figure; see `Target.with_`.

    Raises:
        CompileError: SNN102 for a figure that targets do not have, or a value that it cannot have.
    """
    base = load_target(target)
    picks = (dict(zip(figures, values, strict=True)) for values in itertools.product(*figures.values()))
    return [replace(base.with_(**pick), name=" ".join([base.name, *(f"{n}={v}" for n, v in pick.items())]))
            for pick in picks]
