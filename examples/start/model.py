"""A network in snnTorch, as you may have one, and samples for it: `python model.py samples.npz`."""

from __future__ import annotations

import sys

import numpy as np
import snntorch as snn
import torch
from torch import nn

TICKS, SAMPLES = 16, 32


def build() -> tuple[nn.Module, torch.Tensor]:
    """The module and an example of what one call of it takes. Load your trained weights here."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 8, 3), snn.Leaky(beta=0.9, init_hidden=True), nn.MaxPool2d(2), nn.Flatten(),
                        nn.Linear(8 * 7 * 7, 10), snn.Leaky(beta=0.9, init_hidden=True))
    return net, torch.zeros(1, 2, 16, 16)


def samples() -> np.ndarray:
    """Events of a camera, as they may look, `[sample, tick, channel, y, x]`; yours are some of your training data."""
    return (np.random.default_rng(0).random((SAMPLES, TICKS, 2, 16, 16)) < 0.2).astype(np.float32)


if __name__ == "__main__":
    np.savez_compressed(sys.argv[1], x=samples())
