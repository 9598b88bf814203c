"""The digits and their split, for training and for the demo alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

TICKS = 8


@dataclass(frozen=True)
class Split:
    """Frames `[sample, 1, 8, 8]` with intensities from 0 to 1, and labels `[sample]`."""

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.int64]

    def over_time(self, ticks: int = TICKS) -> npt.NDArray[np.float32]:
        """Direct encoding: each frame shown at every tick, `[sample, tick, 1, 8, 8]`."""
        return np.repeat(self.x[:, None], ticks, axis=1)


def digits() -> tuple[Split, Split]:
    """The training part and the held-out part of scikit-learn's digits: every fifth sample is held out."""
    images, labels = load_digits(return_X_y=True)
    x = (images.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    y = labels.astype(np.int64)
    held_out = np.arange(len(y)) % 5 == 4
    return Split(x[~held_out], y[~held_out]), Split(x[held_out], y[held_out])
