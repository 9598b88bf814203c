"""Tiles as a hypergraph, which Mt-KaHyPar cuts into cores where it is installed (the extra `partition`).

An axon is a hyperedge over its own tile and the tiles that read it. The packets between cores are then the
connectivity of the cut, which Mt-KaHyPar minimises (its objective km1). Axons of the same tiles are one hyperedge with
a weight, so that a network of 100,000 neurons has some thousand hyperedges.
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
"""How many times the given number of cores a cut may use: without spare room there is no balanced cut."""


def available() -> bool:
    """Whether Mt-KaHyPar is installed."""
    return find_spec("mtkahypar") is not None


def cut_hypergraph(axons: Axons, neurons: Array, cores: int, most: int) -> Array | None:
    """Cores for tiles, `core[tile]`, of at most `most` neurons each; None where no such cut is tried.

    None is returned if there would be one core, if no core could be larger than the mean, or if no axon is read by
    another tile.

    Args:
        neurons: `[tile]`.
        cores: how many cores to use, before `ROOM` is added.
        most: neurons that a core has.
    """
    import mtkahypar

    parts = int(np.ceil(cores * ROOM))
    imbalance = most / np.ceil(neurons.sum() / parts) - 1 - 1e-6
    if imbalance <= 0 or parts < 2:
        return None
    edges, weights = _hyperedges(axons)
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
    """The library, which can be set up only once in a process."""
    import mtkahypar

    return mtkahypar.initialize(os.cpu_count() or 1)


def _hyperedges(axons: Axons) -> tuple[list[list[int]], list[int]]:
    """The hyperedges as lists of tiles, and for each how many axons have these tiles."""
    placed = np.flatnonzero(axons.tile >= 0)
    row, tile = np.concatenate([axons.row, placed]), np.concatenate([axons.reader, axons.tile[placed]])
    row, tile = (part[axons.tile[row] >= 0] for part in (row, tile))
    count = int(tile.max(initial=0)) + 1
    row, tile = np.divmod(distinct(row * count + tile), count)
    joined: dict[tuple[int, ...], int] = {}
    for i, pins in zip(row[np.flatnonzero(np.diff(row, prepend=-1))].tolist(),
                       np.split(tile, np.flatnonzero(np.diff(row)) + 1), strict=True):
        if len(pins) > 1:
            key = tuple(pins.tolist())
            joined[key] = joined.get(key, 0) + int(axons.neurons[i])
    return [list(key) for key in joined], list(joined.values())
