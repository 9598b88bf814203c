"""Filling cores by patterns: how many tiles of each layer lie together on a core, and how many cores are filled so.

This is the cutting stock problem (Gilmore and Gomory, "A linear programming approach to the cutting-stock problem",
Operations Research 9(6), 1961) with several resources: cores are the rolls, tiles the pieces. A linear programme says
how often each pattern is used. Its dual values say what a tile of each layer is worth, and the pattern that is worth
most by them is added, until none is worth more than a core.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from snncompile.ir.types import Array
from snncompile.mapping.fill_cores import Resource, TileTooLarge
from snncompile.targets.reach import Volume
from snncompile.targets.sections import Limits

MAX_PATTERNS = 400
"""How many patterns are looked for. The best of them are found first."""
WORTH = 1e-3
"""By how much a pattern has to be worth more than one core to be added."""
PATTERN_GAP, CORES_GAP = 0.01, 0.0005
"""By which share the worth of a pattern, and the number of cores, may miss the best one."""
HALF = 0.5
"""By which limits are moved away from whole numbers, so that rounding errors of the solver do not matter."""
MAX_NODES = 20_000
"""The most nodes of the tree in which the solver looks for whole numbers."""


def fill_by_patterns(queues: Sequence[Array], resources: tuple[Resource, ...]) -> Array:
    """Give tiles to cores, `core[tile]`, by patterns in which layers that use up different resources share cores.

    Tiles are taken to use all that they use alone, also where tiles of a core share things.

    Of the first layer, with 4 tiles of 1 neuron and 3 axons, two fill a core of 8 neurons and 6 axons; of the second,
    with 4 tiles of 3 neurons and no axons, there is room for two beside them:

    >>> neurons, axons = np.array([1] * 4 + [3] * 4), np.array([3] * 4 + [0] * 4)
    >>> cores = fill_by_patterns([np.arange(4), np.arange(4, 8)],
    ...                          (Resource("neurons", 8, neurons), Resource("axons", 6, axons)))
    >>> cores.tolist()
    [0, 0, 1, 1, 0, 0, 1, 1]

    Args:
        queues: the tiles of each layer, in the order in which cores take them.

    Raises:
        TileTooLarge: a tile is too much for a core of its own.
    """
    limited = [r for r in resources if r.limit is not None]
    alone = np.stack([_alone(r) for r in limited])
    limits = np.array([r.limit for r in limited])
    for worst in np.flatnonzero((alone > limits[:, None]).any(0))[:1]:
        at = int(np.argmax(alone[:, worst] / limits))
        raise TileTooLarge(int(worst), limited[at], int(alone[at, worst]))
    waiting = [queue for queue in queues if len(queue)]
    patterns = _patterns(np.stack([alone[:, queue].max(1) for queue in waiting], 1), limits,
                         np.array([len(queue) for queue in waiting]))
    core, start = np.empty(alone.shape[1], np.int64), np.zeros(len(waiting), np.int64)
    for number, pattern in enumerate(patterns):
        for line, (queue, count) in enumerate(zip(waiting, pattern, strict=True)):
            core[queue[start[line]:start[line] + count]] = number
            start[line] += count
    return np.asarray(np.unique(core, return_inverse=True)[1])


def _alone(resource: Resource) -> Array:
    """What each tile uses of a resource if it is alone on a core, `[tile]`."""
    tiles = len(resource.own)
    return resource.used(np.arange(tiles), tiles)


def fewest_cores(options: Mapping[int, Mapping[Volume, Array]], shapes: Sequence[Volume], limits: Limits
                 ) -> dict[int, Volume]:
    """The boxes into which layers are cut so that all together take the fewest cores, by row of the layer table.

    All boxes are offered at once, and a layer may be cut into boxes of several kinds in parts. The kind into which most
    of it is cut is chosen.

    Args:
        options: for each layer, the boxes and what each uses of neurons, in-axons and synapse memory.
        shapes: of the layers.
        limits: of the target.
    """
    rows = list(options)
    kinds = [(i, box, used) for i, row in enumerate(rows) for box, used in options[row].items()]
    most = (limits.neurons_per_core, limits.in_axons_per_core, limits.synapse_bits_per_core)
    limited = [i for i, n in enumerate(most) if n is not None]
    used = np.stack([used[limited] for _, _, used in kinds], 1)
    count = np.array([math.prod(-(-n // side) for n, side in zip(shapes[rows[i]], box, strict=True))
                      for i, box, _ in kinds])
    cover = (np.array([i for i, _, _ in kinds]) == np.arange(len(rows))[:, None]) / count
    columns, times = _columns(used, np.array([most[i] for i in limited]), count, cover, np.ones(len(rows)))
    best = (cover * (columns @ times)).argmax(1)
    return {row: kinds[kind][1] for row, kind in zip(rows, best.tolist(), strict=True)}


def _patterns(used: Array, limits: Array, tiles: Array) -> list[list[int]]:
    """A pattern for each core: how many tiles of each layer lie on it.

    Args:
        used: `[resource, layer]`, what a tile of each layer uses.
        limits: `[resource]`, what a core has.
        tiles: `[layer]`, how many tiles there are.
    """
    from scipy.optimize import LinearConstraint, milp

    columns, relaxed = _columns(used, limits, tiles, np.eye(len(tiles)), tiles)
    with _quiet():
        whole = milp(np.ones(len(relaxed)), constraints=LinearConstraint(columns, lb=tiles - HALF),
                     integrality=np.ones(len(relaxed), np.int64),
                     options={"mip_rel_gap": CORES_GAP, "node_limit": MAX_NODES})
    times = np.rint(whole.x) if whole.x is not None else np.ceil(relaxed)
    return [column.tolist() for column, many in zip(columns.T, times.astype(int).tolist(), strict=True)
            for _ in range(many)]


def _columns(used: Array, limits: Array, most: Array, cover: Array, demand: Array) -> tuple[Array, Array]:
    """Patterns `[item, pattern]`, and how often each is used, `[pattern]`, so that the fewest cores meet the demand.

    Args:
        used: `[resource, item]`, what a tile of each kind uses.
        limits: `[resource]`, what a core has.
        most: `[item]`, how many tiles of a kind a core may have.
        cover, demand: `[layer, item]` and `[layer]`; the sum of `cover` over all tiles must reach the demand.
    """
    from scipy.optimize import Bounds, LinearConstraint, linprog, milp

    unit = np.maximum(np.gcd.reduce(used, axis=1), 1)  # smaller numbers, for the solver's sake
    used, limits = used // unit[:, None], limits // unit
    fits = np.minimum(np.where(used > 0, limits[:, None] // np.maximum(used, 1), most).min(0), most)
    found = list(np.diag(fits))
    while True:
        columns = np.stack(found, 1)
        relaxed = linprog(np.ones(len(found)), A_ub=-cover @ columns, b_ub=-demand, method="highs")
        worth = -relaxed.ineqlin.marginals @ cover
        with _quiet():
            best = milp(-worth, constraints=LinearConstraint(used, ub=limits + HALF), bounds=Bounds(0, most),
                        integrality=np.ones(len(most), np.int64),
                        options={"mip_rel_gap": PATTERN_GAP, "node_limit": MAX_NODES})
        if len(found) == MAX_PATTERNS or best.x is None or -best.fun <= 1 + WORTH:
            return columns, np.asarray(relaxed.x)
        found.append(np.rint(best.x).astype(np.int64))


@contextmanager
def _quiet() -> Iterator[None]:
    """Discard what the solver prints. HiGHS prints a line where it cannot improve a solution, whatever its options say,
    and that line would end up in the output of a command."""
    try:
        kept = os.dup(1)
    except OSError:  # a process without standard output
        yield
        return
    if sys.stdout:
        sys.stdout.flush()
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
