"""Hardware in the search: a target with several values of its figures, and targets that papers restrict themselves to.

ANAS, ANCoEF, SpikeX, ASNPC and TNAS-ER search figures of the hardware beside the network, such as cores, memory or the
widths of weights. Such a choice is a figure of a target:

    screen(space, variants("loihi1", cores=(32, 64, 128), weight_bits=(4, 8)))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from snncompile.diagnostics import fail
from snncompile.targets.load import load_target
from snncompile.targets.target import Target

MAX_VARIANTS = 1 << 16


def variants(target: str | Path | Target, **figures: Sequence[Any]) -> list[Target]:
    """The target with each combination of values of its figures, named after them; the last figure changes fastest.

    >>> [variant.name for variant in variants("loihi1", cores=(64, 128))]
    ['loihi1 cores=64', 'loihi1 cores=128']

    Args:
        figures: values by the name of the figure, as `Target.with_` takes them; None removes a limit.

    Raises:
        CompileError: SNN404 for more variants than MAX_VARIANTS; SNN102 for a figure that targets do not have, or a
            value that it cannot have.
    """
    base, count = load_target(target), math.prod(map(len, figures.values()))
    if not 1 <= count <= MAX_VARIANTS:
        fail("SNN404", f"variants of {base.name}", f"{count:,}", f"1 to {MAX_VARIANTS:,}")
    picks = (dict(zip(figures, values, strict=True)) for values in product(*figures.values()))
    return [replace(base.with_(**pick), name=" ".join([base.name, *(f"{n}={v}" for n, v in pick.items())]))
            for pick in picks]


def chain_only(target: Target) -> Target:
    """The target without shortcuts and loops, to which Liu and Yi (ISQED 2024) restrict their search for Loihi."""
    return target.with_(shortcuts=False, recurrence=False)
