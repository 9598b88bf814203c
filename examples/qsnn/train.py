"""Train a Q-SNN on scikit-learn's digits, compile it, and compare the integers with PyTorch, spike by spike.

    python examples/qsnn/train.py [--weight-bits 1] [--membrane-bits 2] [--form code] [--epochs 15]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch
from qsnn import network, regulation
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

import snncompile as sc
from snncompile.model import CompiledModel
from snncompile.training import over_time

TICKS, BATCH, REGULATION, GAIN = 4, 64, 0.1, 3.0
BRIGHTEST, RATE = 16, 2e-3


@dataclass(frozen=True)
class Split:
    """Frames `[sample, 1, 8, 8]` of whole numbers from 0 to 16, and classes."""

    x: Tensor
    y: Tensor


def digits() -> tuple[Split, Split]:
    """Every fifth sample is held out."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images.reshape(-1, 1, 8, 8)), torch.tensor(labels)
    held_out = torch.arange(len(y)) % 5 == 4
    return Split(x[~held_out], y[~held_out]), Split(x[held_out], y[held_out])


def trained(net: nn.Sequential, training: Split, epochs: int) -> nn.Sequential:
    """The network in float64, so that equal sums are equal wherever they are computed."""
    with torch.no_grad():  # PyTorch's first weights are too small to make a neuron with a threshold of 1 fire
        for layer in (net[0], net[2], net[5], net[8]):
            layer.weight *= GAIN / BRIGHTEST if layer is net[0] else GAIN
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for part in torch.randperm(len(training.x)).split(BATCH):
            spikes = over_time(net, [training.x[part].float()] * TICKS)
            loss = functional.cross_entropy(spikes.sum(1), training.y[part]) + REGULATION * regulation(net)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return net.double().eval()


def compiled(net: nn.Sequential) -> CompiledModel:
    """The network as integer C: weights as they were trained, codes and all. The tanh of the code's form becomes a
    table with a cell for each integer."""
    graph = sc.load(net, example_input=torch.full((1, 1, 8, 8), float(BRIGHTEST)), values="spike")
    return sc.compile(graph, "c99", table_bits=16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weight-bits", type=int, default=1)
    parser.add_argument("--membrane-bits", type=int, default=2)
    parser.add_argument("--form", choices=["paper", "code"], default="paper")
    parser.add_argument("--epochs", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    training, held_out = digits()
    start = time.perf_counter()
    torch.manual_seed(0)
    net = trained(network(options.membrane_bits, options.weight_bits, options.form), training, options.epochs)
    print(f"trained in {time.perf_counter() - start:.0f} s, weights of {options.weight_bits} bits, membranes of "
          f"{options.membrane_bits} bits, in the form of the {options.form}")
    with torch.no_grad():
        wanted = over_time(net, [held_out.x] * TICKS).numpy()
    model = compiled(net)
    print(*(note.found for note in model.notes if note.code == "SNN406"), sep="\n")
    got = model.run(np.repeat(held_out.x.numpy()[:, None], TICKS, 1)).outputs
    labels = held_out.y.numpy()
    for what, spikes in (("PyTorch", wanted), ("integers in C", got)):
        right = int((spikes.sum(1).argmax(1) == labels).sum())
        print(f"{what}: {right} of {len(labels)} held-out digits, {int(spikes.sum())} spikes")
    print(f"spikes that differ: {int((wanted != got).sum())} of {wanted.size}")


if __name__ == "__main__":
    main()
