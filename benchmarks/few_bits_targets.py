"""What rounding weights together brings on the grids of hardware: `python -m benchmarks.few_bits_targets`.

A trained network that is legal there is quantized for each target in its own arithmetic, on some samples, and compared
with the float network on others. Two networks are trained here, in seconds, on scikit-learn's digits; their figures are
means over several trainings.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import snncompile as sc
from benchmarks.few_bits import ROOT, digits, nmnist
from snncompile.comparison import compare
from snncompile.ir.graph import Graph
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array, Shape
from snncompile.lowering import Order, Samples, calibrated
from snncompile.observer import Observer
from snncompile.training import QuantLIF, fire, over_time

TICKS, EPOCHS, BATCH, CALIBRATED = 16, 30, 64, 200
Case: TypeAlias = tuple[Graph, Array, Array]
"""A trained network, samples for a calibration, and samples held out."""


class CurrentLIF(nn.Module):
    """A neuron with a synaptic current: `i' = decay_syn i + x`, `v' = decay v + i'`, the threshold 1 subtracted."""

    DECAY, DECAY_SYN = 0.875, 0.75

    def reset(self) -> None:
        self.v: Tensor | float = 0.0
        self.i: Tensor | float = 0.0

    def forward(self, x: Tensor) -> Tensor:
        self.i = self.DECAY_SYN * self.i + x
        v = self.DECAY * self.v + self.i
        spikes = fire(v >= 1, v - 1)
        self.v = v - spikes
        return spikes


@sc.neuron_module(CurrentLIF)
def current_lif(module: CurrentLIF, shape: Shape) -> Neuron:
    return Neuron.of("cubalif", Firing(">=", "subtract"), {"filter": "decay-first"}, decay=module.DECAY,
                     decay_syn=module.DECAY_SYN)


def small_digits(pooled: bool, classes: int) -> tuple[Tensor, Tensor]:
    """Spikes `[sample, tick, pixel]`, with the probability of each pixel's brightness, and classes."""
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images[labels < classes] / 16).float().reshape(-1, 1, 8, 8)
    x = nn.functional.avg_pool2d(x, 2) if pooled else x
    x = x.flatten(1)[:, None]
    return (torch.rand(len(x), TICKS, x.shape[2], generator=torch.Generator().manual_seed(0)) < x).float(), \
        torch.tensor(labels[labels < classes])


def trained(net: nn.Sequential, x: Tensor, y: Tensor) -> nn.Sequential:
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(EPOCHS):
        for part in torch.randperm(len(x)).split(BATCH):
            reset(net)
            loss = nn.functional.cross_entropy(over_time(net, x[part]).sum(1), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.double().eval()


def reset(net: nn.Sequential) -> None:
    for layer in net:
        if isinstance(layer, CurrentLIF):
            layer.reset()


def on_loihi1(seed: int) -> Case:
    torch.manual_seed(seed)
    x, y = small_digits(pooled=False, classes=10)
    net = trained(nn.Sequential(nn.Linear(64, 96, False), QuantLIF(decay=0.875, form="code"), nn.Linear(96, 10, False),
                                QuantLIF(decay=0.875, form="code")), x[400:], y[400:])
    return _loaded(net, x)


def on_xylo(seed: int) -> Case:
    torch.manual_seed(seed)
    x, y = small_digits(pooled=True, classes=8)
    net = trained(nn.Sequential(nn.Linear(16, 64, False), CurrentLIF(), nn.Linear(64, 8, False), CurrentLIF()),
                  x[400:], y[400:])
    reset(net)
    return _loaded(net, x)


def _loaded(net: nn.Sequential, x: Tensor) -> Case:
    graph = sc.load(net, example_input=x[:1, 0].double(), values="spike")
    return graph, x[400:400 + CALIBRATED].double().numpy(), x[:400].double().numpy()


def cases(data: Path, trainings: int) -> dict[str, Callable[[], Iterator[Case]]]:
    """For each target, what gives its networks."""
    def given(network: Callable[[Path], tuple[Graph, list[Any]]]) -> Iterator[Case]:
        graph, folds = network(data)
        yield graph, folds[0].calibration, folds[0].x

    return {"loihi1": lambda: map(on_loihi1, range(trainings)), "loihi2": lambda: given(digits),
            "xylo-a2": lambda: map(on_xylo, range(trainings)), "speck2f": lambda: given(nmnist)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SNNC_SHARED_DATA", ROOT / "../shared/data")))
    parser.add_argument("--only", help="one target")
    parser.add_argument("--trainings", type=int, default=5)
    options = parser.parse_args()
    for target, networks in cases(options.data, options.trainings).items():
        if options.only in (None, target):
            _compare(target, list(networks()))


def _compare(target: str, networks: list[Case]) -> None:
    for bits in (None, 4, 2):
        for rounding in ("nearest", "calibrated"):
            found = [_agreement(target, case, {"weight_bits": bits, "weight_rounding": rounding}) for case in networks]
            *layers, counts, decisions = np.mean(found, axis=0) * 100
            print(f"{target}, {bits or 'its own'} bits, {rounding}: spikes shared "
                  f"{', '.join(f'{layer:.1f}' for layer in layers)} %, counts {counts:.1f} %, decisions "
                  f"{decisions:.1f} %, {len(networks)} trainings", flush=True)


def _agreement(target: str, case: Case, arithmetic: dict[str, Any]) -> list[float]:
    """The shares of spikes of each population, of counts, and of decisions that float and integer network have alike.
    """
    graph, calibration, held_out = case
    found = calibrated(graph, Order.of(sc.load_target(target), arithmetic, calibration=Samples(calibration)),
                       Observer())
    integer, x = found.quantize.run(found.legal), {next(iter(graph.inputs)): held_out}
    agreement = compare(found.legal, integer, x)
    return [*(agreement.shared(name) for name in agreement.fired), agreement.counts_shared, agreement.decisions or 0.0]


if __name__ == "__main__":
    main()
