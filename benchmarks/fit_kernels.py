"""Fit the times of `host_time.py` to kernels that were measured on random layers.

    python benchmarks/kernels.py --rates 0.01 0.03 0.1 0.3 --json layers.json
    python benchmarks/random_networks.py --choices --layers 60 --json random.json
    python benchmarks/fit_kernels.py layers.json random.json [--test 0.25]

The time of a kernel is a sum of counts of what it does, times what each takes. Random steps look for such times, near
those that `host_time.py` has now, with which the chosen kernels take the least time beside the best ones. Some random
layers are left out of the fit, and tell how good its choices are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from kernels import SITES, graph_of
from random_networks import NEAR, random_site

from snncompile.backends.plan import projections
from snncompile.backends.plan.kernels import host_time
from snncompile.backends.plan.kernels.kernel import Site, Weighted
from snncompile.backends.plan.kernels.table import WEIGHTED, choose
from snncompile.backends.plan.plan import plan
from snncompile.ir.types import Array

NAMES = tuple(name for name, value in vars(host_time).items()
              if name.isupper() and isinstance(value, float) and name != "UNPAIRED")
NEAR_BY, OWN = 0.02, 3.0
"""What it costs that logarithms of times differ by 1 from those before, and how much more the layers of `kernels.py`
weigh than random ones."""


@dataclass(frozen=True)
class Measured:
    """A layer at a rate: the kernels that compute it and whose times are estimated, and what each took.

    Attributes:
        weight: how much it counts.
        held_out: whether it is left out of the fit.
    """

    site: Site
    kinds: tuple[type[Weighted], ...]
    us: Mapping[str, float]
    weight: float
    held_out: bool

    @classmethod
    def of(cls, row: Mapping[str, Any], test: float) -> Measured:
        site = site_of(row)
        kinds = tuple(k for k in WEIGHTED if k.applies(site) and k.name in row["us"] and k.cycles(site) is not None)
        ours = "seed" not in row
        return cls(site, kinds, row["us"], OWN if ours else 1.0, not ours and row["seed"] % round(1 / test) == 0)

    @property
    def ratio(self) -> float:
        """How much more time the kernel takes that is chosen than the best one."""
        chosen = min(self.kinds, key=lambda kind: kind.cycles(self.site) or 0.0)
        return self.us[chosen.name] / min(self.us.values())


def main() -> None:
    options = _options()
    rows = [Measured.of(row, options.test) for file in options.files for row in json.loads(file.read_text())["rows"]]
    train = [row for row in rows if not row.held_out]
    start = np.log([getattr(host_time, n) for n in NAMES])
    print("before:", near(rows))

    found = chosen_well(start, train)
    take(found)
    print("after:", near(rows))
    for name, value in zip(NAMES, np.exp(found), strict=True):
        print(f"{name} = {value:.3g}")


def chosen_well(guess: Array, rows: list[Measured], tries: int = 2500) -> Array:
    """Logarithms of times near these, with which the chosen kernels take the least time beside the best ones."""
    rng, start = np.random.default_rng(0), guess
    weights = [row.weight for row in rows]

    def lost(times: Array) -> float:
        take(times)
        regret = np.minimum(np.log([row.ratio for row in rows]), 1.0)
        return float(np.average(regret, weights=weights) + NEAR_BY * np.abs(times - start).mean())

    least = lost(guess)
    for _ in range(tries):
        step = rng.normal(0, 0.3, len(guess)) * (rng.random(len(guess)) < 0.15)
        tried = lost(guess + step)
        if tried < least:
            guess, least = guess + step, tried
    return guess


def site_of(row: Mapping[str, Any]) -> Site:
    """The layer of a row, as the kernels of a plan are chosen for it."""
    layer = random_site(row["seed"]) if "seed" in row else next(s for s in SITES if s.name == row["layer"])
    seen: list[Site] = []

    def noting(site: Site, costs: Mapping[str, float]) -> object:
        seen.append(site)
        return choose(site, costs)

    with patch.object(projections, "choose", noting):
        plan(graph_of(layer), {"x": row["rate"]}, {})
    return seen[0]


def take(guess: Array) -> None:
    """Let the kernels compute with these times."""
    for name, value in zip(NAMES, np.exp(guess), strict=True):
        setattr(host_time, name, float(value))


def near(rows: list[Measured]) -> str:
    """On how many layers and rates the chosen kernel is near the best one."""
    parts = {"held out": [r.ratio for r in rows if r.held_out], "others": [r.ratio for r in rows if not r.held_out]}
    return ", ".join(f"{sum(ratio <= NEAR for ratio in ratios)} of {len(ratios)} {name} (on average "
                     f"{np.mean(ratios):.3f})" for name, ratios in parts.items())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="what random_networks.py --choices has measured")
    parser.add_argument("--test", type=float, default=0.25, help="the share of the layers that is left out")
    return parser.parse_args()


if __name__ == "__main__":
    main()
