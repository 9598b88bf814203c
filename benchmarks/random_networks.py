"""Emitted C of random networks, beside that of another checkout of the compiler, and its choice of kernels.

    python benchmarks/random_networks.py --other CHECKOUT [--networks 40] [--rates 0.01 0.03 0.1 0.3] [--rounds 15]
    python benchmarks/random_networks.py --choices [--layers 40] [--rates 0.01 0.03 0.1 0.3]

With `--other`, both compilers take the same integer graphs and the same samples. Their programs take turns in one
process, and their outputs must be equal. A figure is the median over the rounds; what is printed is how much more time
the program of this checkout takes than that of the other.

With `--choices`, random layers run with every kernel that computes them, as in `kernels.py`. What is printed is how
much more time the chosen kernel takes than the best one.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import networks
import numpy as np
from inference import machine, pin_to_one_core, time_all
from kernels import Site, conv, graph_of, linear, measured
from networks import Network
from ours import c_calls

import snncompile as sc
from snncompile.backends.c.host import Host, build
from snncompile.backends.network_ticks import NetworkTicks
from snncompile.backends.plan.plan import plan
from snncompile.ir.op import Op
from snncompile.ir.ops import Reshape

ALLOWED, NEAR = 1.05, 1.10
"""How much more time a program may take than that of the other checkout, and a kernel than the best one."""
EMIT = """
import sys, numpy as np, snncompile as sc
from pathlib import Path
folder = Path(sys.argv[1])
model = sc.compile(sc.load(folder / "graph.snn"), "c99", calibration=np.load(folder / "x.npy"))
model.save(folder / "other")
"""


def main() -> None:
    options = _options()
    pin_to_one_core()
    print(machine(), flush=True)
    rows = choices(options) if options.choices else against(options)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1))


def against(options: argparse.Namespace) -> list[dict[str, object]]:
    """Both compilers on the same networks."""
    rows: list[dict[str, object]] = []
    for rate, seed in itertools.product(options.rates, range(options.first, options.first + options.networks)):
        networks.RATE = rate
        network = random_network(seed)
        ours, other = _medians(network, options.other, options.rounds)
        rows.append({"network": network.name, "rate": rate, "ours_ms": ours, "other_ms": other, "ratio": ours / other})
        print(f"{rate:>5.0%} {ours / other:>6.2f}  {ours:.4f} ms beside {other:.4f}  {network.name}", flush=True)
    for rate in options.rates:
        found = np.array([row["ratio"] for row in rows if row["rate"] == rate], float)
        print(f"at {rate:.0%}: median {np.median(found):.2f}, worst {found.max():.2f}, "
              f"{int((found > ALLOWED).sum())} of {len(found)} above {ALLOWED}")
    return rows


def _medians(network: Network, other: Path, rounds: int) -> tuple[float, float]:
    """Milliseconds of a sample in the program of this checkout and in that of the other."""
    x = network.spikes(4)
    given = sc.compile(network.graph, "c99", calibration=network.spikes(4, 2), weight_bits=8, weight_rounding="nearest")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "net"
        given.save(folder)
        np.save(folder / "x.npy", network.spikes(4, 2))
        model = sc.compile(sc.load(folder / "graph.snn"), "c99", calibration=network.spikes(4, 2))
        subprocess.run([sys.executable, "-c", EMIT, str(folder)], check=True, cwd=other,
                       env={**os.environ, "PYTHONPATH": str(other)})
        files = {p.name: p.read_bytes() for p in (folder / "other" / "c").iterdir()}
        their = sc.compile(sc.load(folder / "graph.snn"), "c99", calibration=network.spikes(4, 2))
        their.__dict__["host"] = NetworkTicks(Host.load(their.mapped, build(files)), their.graph, their.mapped)
    calls = {"ours": c_calls(model, x), "other": c_calls(their, x)}
    for one, two in zip(calls["ours"], calls["other"], strict=True):
        assert np.array_equal(one(), two()), network.name
    times = time_all(calls, rounds)
    return float(np.median(times["ours"])), float(np.median(times["other"]))


def random_network(seed: int) -> Network:
    """Fully connected or convolutional layers of random sizes, scaled so that populations fire at the rate."""
    rng = np.random.default_rng(seed)
    if seed % 2:
        widths = [int(2 ** rng.uniform(3, 11)) for _ in range(rng.integers(2, 5))]
        layers = [op for pair in itertools.pairwise([*widths, 10]) for op in networks.fully_connected(*pair)]
        shape: tuple[int, ...] = (widths[0],)
        name = "-".join(map(str, [*widths, 10]))
    else:
        shape, layers, name = _random_convolutions(rng)
    return networks.chain(name, layers, shape, int(rng.integers(4, 17)))


def _random_convolutions(rng: np.random.Generator) -> tuple[tuple[int, ...], list[Op], str]:
    side, channels = int(rng.choice([16, 24, 28, 32, 40])), int(rng.choice([1, 2, 3, 8]))
    shape, layers, name = (channels, side, side), list[Op](), f"{channels}x{side}x{side}"
    for _ in range(rng.integers(1, 4)):
        filters, kernel = int(2 ** rng.uniform(2, 7.5)), int(rng.choice([1, 3, 3, 5]))
        layers += networks.convolution(channels, filters, kernel)
        channels, name = filters, f"{name} {filters}c{kernel}"
        if side % 2 == 0 and side > 4 and rng.random() < 0.6:
            layers.append(networks.pool())
            side, name = side // 2, f"{name} P"
    size = channels * side * side
    return shape, [*layers, Reshape((size,)), *networks.fully_connected(size, 10)], f"{name} 10"


@dataclass(frozen=True)
class Choice:
    """What was chosen for a layer, and how much more time it takes than the best kernel."""

    layer: str
    seed: int
    rate: float
    chosen: str
    best: str
    ratio: float
    us: dict[str, float]


def choices(options: argparse.Namespace) -> list[dict[str, object]]:
    """The chosen kernel of random layers beside all others."""
    found: list[Choice] = []
    for seed, rate in itertools.product(range(options.first, options.first + options.layers), options.rates):
        site = random_site(seed)
        times = measured(site, rate, options.rounds, [])
        chosen = plan(graph_of(site), {"x": rate}, {}).populations[0].projections[0].kernels[0].name
        best = min(times, key=times.__getitem__)
        found.append(Choice(site.name, seed, rate, chosen, best, times[chosen] / times[best], times))
        print(f"{rate:>5.0%} {found[-1].ratio:>6.2f}  {site.name}: {chosen}, best {best}", flush=True)
    near = sum(c.ratio <= NEAR for c in found)
    print(f"{near} of {len(found)} within {NEAR} of the best")
    return [vars(c) for c in found]


def random_site(seed: int) -> Site:
    """A layer of random size, on spikes or on sums of four."""
    rng = np.random.default_rng(seed)
    most = int(rng.choice([1, 1, 4]))
    if seed % 2:
        return linear(int(2 ** rng.uniform(3, 11)), int(2 ** rng.uniform(3, 10)), most)
    channels, filters = (int(2 ** rng.uniform(0, 7)) for _ in range(2))
    return conv(channels, filters, int(rng.choice([4, 8, 16, 28])), int(rng.choice([1, 3, 3, 5])),
                int(rng.choice([1, 1, 2])), most=most)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", type=Path, help="a checkout of the compiler")
    parser.add_argument("--choices", action="store_true")
    parser.add_argument("--networks", type=int, default=40)
    parser.add_argument("--layers", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--rates", nargs="+", type=float, default=[0.01, 0.03, 0.1, 0.3])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if options.choices == bool(options.other):
        parser.error("one of --other and --choices is needed")
    return options


if __name__ == "__main__":
    main()
