"""How many candidates of two optimizers can run, on a space of which about 3 % can.

    python -m benchmarks.optimizers [--seeds 5] [--trials 400]

The space has four convolutions with a choice of width, kernel, bits, neurons and stride each, frames of 64 x 64 pixels,
and a first Loihi with 8 to 64 cores; a sample may take 400 uJ. Nothing is trained: the number of synapses, to be large,
stands for the accuracy. With one objective the best networks lie at the limits of the hardware; the second one, the
estimated energy, pulls away from them.
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import optuna
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.operators.crossover.pntx import TwoPointCrossover
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

import snncompile as sc
from snncompile.ir.ops import Input
from snncompile.ir.rules import Firing
from snncompile.search import Chain, Judged, Net, screen, variants
from snncompile.search.adapters.optuna import apply, quarter, suggest
from snncompile.search.adapters.pymoo import problem_of

FIRING = Firing(">", "value")
BUDGET = {"energy_uj": 400.0}
LAST, POPULATION, SETTLED = 100, 40, 4
"""The last trials that count; candidates of a generation, and generations that do not count."""
WORST = (1e12, 1e12)


def layer(net: Net, width: Any = (8, 16, 32, 64, 128), kernel: Any = (3, 5), bits: Any = (2, 4, 8),
          neuron: Any = ("if", "lif"), stride: Any = (1, 2)) -> None:
    net.conv(width, kernel, bits=bits, stride=stride).norm().neuron(neuron, firing=FIRING)


def head(net: Net, bits: Any = (2, 4, 8)) -> None:
    net.linear(10, bits=bits).neuron("if", firing=FIRING)


SPACE = Chain(Input((2, 64, 64)), [layer] * 4, head, ticks=20)
CHIPS = variants("loihi1", cores=(8, 16, 32, 64))


def share() -> float:
    """The share of the space that can run, of a random sample."""
    found = screen(SPACE, CHIPS, sample=5000, budget=BUDGET, checked=5).targets
    return float(np.mean([judged.ok.mean() for judged in found.values()]))


class Outcome(NamedTuple):
    """The share of the candidates that count which can run, and the most synapses of any that can, in millions."""

    share: float
    best: float


def by_optuna(seed: int, objectives: int, trials: int, pruned: bool = False, **options: Any) -> Outcome:
    """Of the last trials."""
    feasible, synapses = [], [0]

    def objective(trial: optuna.Trial) -> Any:
        graph = SPACE.graph(**suggest(trial, SPACE))
        verdict = sc.check(graph, CHIPS[trial.suggest_int("chip", 0, len(CHIPS) - 1)], budget=BUDGET)
        feasible.append(verdict.ok)
        synapses.append(verdict.cost.synapses * verdict.ok)
        if pruned and not verdict.ok:
            raise optuna.TrialPruned
        worst = apply(trial, verdict, WORST[:objectives])
        return worst or (-verdict.cost.synapses, verdict.cost.total_pj)[:objectives]

    sampler = optuna.samplers.TPESampler(seed=seed, **options)
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)
    study.optimize(objective, n_trials=trials)
    return Outcome(float(np.mean(feasible[-LAST:])), max(synapses) / 1e6)


def by_pymoo(seed: int, objectives: int, trials: int) -> Outcome:
    """Of the candidates from the fifth generation on."""
    shares: list[float] = []
    synapses: list[int] = []

    def of(_: Any, judged: Judged) -> Any:
        shares.append(float(judged.ok.mean()))
        synapses.append(int((judged.costs["synapses"] * judged.ok).max()))
        return np.column_stack([-judged.costs["synapses"], judged.costs["energy_pj"]]).astype(float)[:, :objectives]

    algorithm = NSGA2(pop_size=POPULATION, sampling=IntegerRandomSampling(), crossover=TwoPointCrossover(),
                      mutation=PM(vtype=float, repair=RoundingRepair()))
    minimize(problem_of(SPACE, CHIPS, of, objectives, budget=BUDGET), algorithm,
             ("n_gen", max(trials // POPULATION, SETTLED + 1)), seed=seed)
    return Outcome(float(np.mean(shares[SETTLED:])), max(synapses) / 1e6)


SETTINGS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "joint": {"multivariate": True},
    "independent": {"multivariate": False},
    "independent, a quarter good": {"multivariate": False, "gamma": quarter},
    "as it comes, but pruned": {"pruned": True},
}


def row(words: str, run: Callable[[int], Outcome], seeds: int) -> None:
    found = [run(seed) for seed in range(seeds)]
    shares = [outcome.share for outcome in found]
    print(f"{words:<40}{statistics.median(shares):6.0%}   {f'{min(shares):.0%} to {max(shares):.0%}':<14}"
          f"{statistics.median(outcome.best for outcome in found):8.1f} M", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=400)
    options = parser.parse_args()
    seeds, trials = options.seeds, options.trials
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"{SPACE.size * len(CHIPS):,} candidates, {share():.1%} of them can run; median and range of {seeds} seeds\n")
    for count, words in ((1, "synapses alone"), (2, "synapses and energy")):
        print(f"{words + ', which can run':<40}median   range         most synapses")
        row("pymoo, NSGA-II", lambda seed: by_pymoo(seed, count, trials), seeds)
        for name, settings in SETTINGS.items():
            row(f"Optuna, TPE, {name}", lambda seed: by_optuna(seed, count, trials, **settings), seeds)


if __name__ == "__main__":
    main()
