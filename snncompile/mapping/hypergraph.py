"""Tiles as a hypergraph, cut by Mt-KaHyPar where it is installed (the extra `partition`).

An axon is a hyperedge over its own tile and those that read it, and the packets that cross cores are the connectivity
of the cut (km1). Axons of the same tiles are one hyperedge, so that a network of 100,000 neurons has some thousand.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from snncompile.ir.types import Array
from snncompile.mapping.fill_cores import distinct
from snncompile.mapping.traffic import Axons

ROOM = 1.03
"""How many more cores than the least: no room, no balanced cut."""


def available() -> bool:
    return find_spec("mtkahypar") is not None


def cut_hypergraph(found: Axons, neurons: Array, cores: int, most: int) -> Array | None:
    """Cores for tiles, `core[tile]`, with at most so many neurons each; None where the tiles are too large for that.

    Args:
        neurons: `[tile]`.
        cores: how many there are, before room for balance is added.
        most: neurons of a core.
    """
    import mtkahypar

    parts = int(np.ceil(cores * ROOM))
    imbalance = most / np.ceil(neurons.sum() / parts) - 1 - 1e-6
    if imbalance <= 0 or parts < 2:
        return None
    edges, weights = _hyperedges(found)
    if not edges:
        return None
    mtkahypar.set_seed(0)
    context = _library().context_from_preset(mtkahypar.PresetType.DETERMINISTIC_QUALITY)
    context.set_partitioning_parameters(parts, float(imbalance), mtkahypar.Objective.KM1)
    context.logging = False
    whole = _library().create_hypergraph(context, len(neurons), len(edges), edges, neurons.tolist(), weights)
    core = np.asarray(whole.partition(context).get_partition())
    return np.asarray(np.unique(core, return_inverse=True)[1])


@cache
def _library() -> Any:
    """The library, which can be set up once in a process."""
    import mtkahypar

    return mtkahypar.initialize(os.cpu_count() or 1)


def _hyperedges(found: Axons) -> tuple[list[list[int]], list[int]]:
    """Tiles that axons join, and how many join the same."""
    placed = np.flatnonzero(found.tile >= 0)
    row, tile = np.concatenate([found.row, placed]), np.concatenate([found.reader, found.tile[placed]])
    row, tile = (part[found.tile[row] >= 0] for part in (row, tile))
    count = int(tile.max(initial=0)) + 1
    row, tile = np.divmod(distinct(row * count + tile), count)
    joined: dict[tuple[int, ...], int] = {}
    for i, pins in zip(row[np.flatnonzero(np.diff(row, prepend=-1))].tolist(),
                       np.split(tile, np.flatnonzero(np.diff(row)) + 1), strict=True):
        if len(pins) > 1:
            key = tuple(pins.tolist())
            joined[key] = joined.get(key, 0) + int(found.neurons[i])
    return [list(key) for key in joined], list(joined.values())
