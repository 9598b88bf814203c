"""Fit the times of `host_time.py` to kernels that were measured on random layers.

    python benchmarks/random_networks.py --choices --layers 60 --json kernels.json
    python benchmarks/fit_kernels.py kernels.json [--clock-ghz 3.2] [--test 0.25]

Every time is a sum of counts of what a kernel does, times what each takes, and of what a network takes beside the
kernel: for an input, for a neuron, and for a tick. These are found by least squares of the logarithms; kernels that are
far from the best of their layer weigh less. Some layers are left out of the fit, and tell how good its choices are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

import numpy as np
from kernels import graph_of
from random_networks import NEAR, random_site
from scipy.optimize import least_squares

from snncompile.backends.plan import projections
from snncompile.backends.plan.kernels import host_time
from snncompile.backends.plan.kernels.kernel import Site
from snncompile.backends.plan.kernels.table import WEIGHTED, choose
from snncompile.backends.plan.plan import plan
from snncompile.ir.types import Array

NAMES = tuple(name for name, value in vars(host_time).items() if name.isupper() and isinstance(value, float))
BESIDE = {"input": 0.5, "neuron": 1.0, "tick": 50.0}
"""First guesses of the cycles that a network takes beside its kernel."""
KINDS = {kind.name: kind for kind in WEIGHTED}


def main() -> None:
    options = _options()
    rows = json.loads(options.file.read_text())["rows"]
    sites = [site_of(row["seed"], row["rate"]) for row in rows]
    held_out = np.array([row["seed"] % round(1 / options.test) == 0 for row in rows])
    train = [i for i in range(len(rows)) if not held_out[i]]
    start = np.log([*(getattr(host_time, n) for n in NAMES), *BESIDE.values()])
    print("before:", share_near(rows, sites, held_out), "of the layers held out,", share_near(rows, sites, ~held_out),
          "of the others")

    def residuals(guess: Array) -> Array:
        take(guess)
        return np.concatenate([_of(rows[i], sites[i], guess, options.clock_ghz) for i in train])

    found = least_squares(residuals, start, loss="soft_l1", bounds=(start - 3, start + 3)).x
    take(found)
    print("after:", share_near(rows, sites, held_out), "of the layers held out,", share_near(rows, sites, ~held_out),
          "of the others")
    for name, value in zip((*NAMES, *BESIDE), np.exp(found), strict=True):
        print(f"{name} = {value:.3g}")


def site_of(seed: int, rate: float) -> Site:
    """The layer of a seed, as the kernels of a plan are chosen for it."""
    seen: list[Site] = []

    def noting(site: Site, costs: Mapping[str, float]) -> object:
        seen.append(site)
        return choose(site, costs)

    with patch.object(projections, "choose", noting):
        plan(graph_of(random_site(seed)), {"x": rate}, {})
    return seen[0]


def take(guess: Array) -> None:
    """Let the kernels compute with these times."""
    for name, value in zip(NAMES, np.exp(guess), strict=False):
        setattr(host_time, name, float(value))


def _of(row: Mapping[str, object], site: Site, guess: Array, clock_ghz: float) -> Array:
    """How far the times of the kernels of a layer are off, weighed by how near each is to the best."""
    us: Mapping[str, float] = row["us"]  # type: ignore[assignment]
    per_input, per_neuron, per_tick = np.exp(guess[len(NAMES):])
    beside = per_input * site.source.buffer.size + per_neuron * site.dst.size + per_tick
    least = min(us.values())
    return np.array([(np.log((KINDS[name].cycles(site) or 0.0) + beside) - np.log(t * clock_ghz * 1e3)) * least / t
                     for name, t in us.items() if KINDS[name].cycles(site) is not None])


def share_near(rows: list[dict[str, object]], sites: list[Site], which: Array) -> str:
    """On how many layers and rates the chosen kernel is near the best one."""
    near = count = 0
    for row, site, counted in zip(rows, sites, which, strict=True):
        if counted:
            us: Mapping[str, float] = row["us"]  # type: ignore[assignment]
            count += 1
            near += us[choose(site, {}).name] <= NEAR * min(us.values())
    return f"{near} of {count}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="what random_networks.py --choices has measured")
    parser.add_argument("--clock-ghz", type=float, default=3.2)
    parser.add_argument("--test", type=float, default=0.25, help="the share of the layers that is left out")
    return parser.parse_args()


if __name__ == "__main__":
    main()
