"""Decisions: the class that a network's first output stands for."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from snncompile.ir.graph import Graph
from snncompile.ir.types import Array


def decide(graph: Graph, outputs: Mapping[str, Array]) -> Array:
    """The class for which each sample is decided.

    Args:
        outputs: `[sample, tick, *shape]` by output name.

    Returns:
        `[sample]`: the position, in the flattened first output, of the largest value, after the output was decoded over
        its ticks (their sum, the last one, or the largest). 0 where there are no ticks.
    """
    name, op = next(iter(graph.outputs.items()))
    values = outputs[name]
    flat = values.reshape(*values.shape[:2], math.prod(values.shape[2:])).astype(np.float64)
    if flat.shape[1] == 0:
        return np.zeros(len(flat), np.int64)
    score = flat.sum(1) if op.decode == "rate" else flat[:, -1] if op.decode == "last" else flat.max(1)
    return np.asarray(score.argmax(1))
