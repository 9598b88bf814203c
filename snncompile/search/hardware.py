"""Hardware in the search: variants of a target by named choices, and targets that papers restrict themselves to.

ANAS, ANCoEF, SpikeX, ASNPC and TNAS-ER search figures of the hardware beside the network, such as cores, memory or the
widths of weights. Such a choice is a figure of a target:

    for pick, target in variants(load_target("loihi1"), cores=(32, 64, 128), weight_bits=(4, 8)):
        sc.check(graph, target)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from snncompile.diagnostics import fail
from snncompile.targets.target import Target

MAX_VARIANTS = 1 << 16


def variants(target: Target, **choices: Sequence[Any]) -> Iterator[tuple[dict[str, Any], Target]]:
    """Each pick of one value of each figure, and the target with these figures; the last choice changes fastest.

    Args:
        choices: values of figures, by name, as `Target.with_` takes them; None removes a limit.

    Raises:
        CompileError: SNN404 for more variants than MAX_VARIANTS; SNN102 for a figure that targets do not have.
    """
    count = math.prod(map(len, choices.values()))
    if not 1 <= count <= MAX_VARIANTS:
        fail("SNN404", f"variants of {target.name}", f"{count:,}", f"1 to {MAX_VARIANTS:,}")
    return _variants(target, choices)


def _variants(target: Target, choices: dict[str, Sequence[Any]]) -> Iterator[tuple[dict[str, Any], Target]]:
    for values in product(*choices.values()):
        pick = dict(zip(choices, values, strict=True))
        yield pick, target.with_(**pick)


def chain_only(target: Target) -> Target:
    """The target without shortcuts and loops, to which Liu and Yi (ISQED 2024) restrict their search for Loihi."""
    return target.with_(shortcuts=False, recurrence=False)
