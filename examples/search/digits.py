"""scikit-learn's digits in three parts, over a few ticks."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from sklearn.datasets import load_digits

TICKS = 4
GREYS = 16


class Part(NamedTuple):
    """Frames `[sample, tick, 1, 8, 8]` and classes `[sample]`."""

    x: np.ndarray
    y: np.ndarray


def frames(values: Literal["real", "spike"]) -> tuple[Part, Part, Part]:
    """The digits to train on, those that choose among trained networks, and those held out: 1,079, 359 and 359.

    Args:
        values: "real" shows the intensities, from 0 to 1, in every tick; "spike" as many spikes as a neuron without
            leak would fire that receives them.
    """
    images, labels = load_digits(return_X_y=True)
    image = images.reshape(-1, 1, 1, 8, 8) / GREYS
    tick = np.arange(TICKS).reshape(1, -1, 1, 1, 1)
    shown = image.repeat(TICKS, 1) if values == "real" else np.floor((tick + 1) * image) - np.floor(tick * image)
    part = np.arange(len(labels)) % 5
    chosen = (part < 3, part == 3, part == 4)
    return tuple(Part(shown[rows].astype(np.float32), labels[rows].astype(np.int64)) for rows in chosen)
