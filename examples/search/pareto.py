"""Search a network and its chip together with Optuna, plot what was found, and compile the best network to C.

    python examples/search/pareto.py [--trials 60] [--epochs 2] [--more 8] [--output build/pareto]

A candidate is a width, a kernel, bits of weights and a neuron for each of three layers, and how many cores a first
Loihi has. Accuracy is to be high; energy and cores are to be few. `check` judges every candidate before it is
trained, and Optuna learns from those that cannot run too. The network with the best accuracy is trained for longer.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from digits import TICKS, Part, frames
from finish import Trained, compiled, say, trained

import snncompile as sc
from snncompile.ir.graph import Graph
from snncompile.ir.ops import Input
from snncompile.ir.rules import Firing
from snncompile.search import Chain, Net, variants
from snncompile.search.adapters.optuna import apply, suggest

FIRING = Firing(">", "value")
"""That of the first Loihi: a spike above the threshold, and a reset to 0."""
CORES = (1, 2, 4)
CHIPS = variants("loihi1", cores=CORES)
BUDGET = {"energy_uj": 1.0}
WORST = (0.0, 1e3, 1e3)
"""Accuracy, energy and cores of a candidate that cannot run."""


def layer(net: Net, width: Any = (4, 8, 16, 32), kernel: Any = (1, 3, 5), bits: Any = (2, 4, 8),
          neuron: Any = ("if", "lif")) -> None:
    net.conv(width, kernel, bits=bits).norm().neuron(neuron, firing=FIRING)


def smaller(net: Net, width: Any = (8, 16, 32, 64), kernel: Any = (3, 5), bits: Any = (2, 4, 8),
            neuron: Any = ("if", "lif")) -> None:
    net.conv(width, kernel, stride=2, bits=bits).norm().neuron(neuron, firing=FIRING)


def head(net: Net, bits: Any = (2, 4, 8)) -> None:
    net.linear(10, bits=bits).norm().neuron("if", firing=FIRING)


SPACE = Chain(Input((1, 8, 8)), [layer, smaller, smaller], head, name="digits", ticks=TICKS)


class Found(NamedTuple):
    """A candidate that was trained, and what it costs on its chip."""

    one: Trained
    graph: Graph
    accuracy: float
    energy_uj: float
    cores: int


class Search:
    """The objective of the trials, and what they found."""

    def __init__(self, training: Part, validation: Part, epochs: int, seed: int):
        self.training, self.validation, self.epochs, self.seed = training, validation, epochs, seed
        self.found: dict[int, Found] = {}
        self.reasons: Counter[str] = Counter()
        self.seconds = 0.0

    def __call__(self, trial: optuna.Trial) -> tuple[float, ...]:
        graph = SPACE.graph(**suggest(trial, SPACE))
        chip = trial.suggest_int("chip", 0, len(CHIPS) - 1)
        start = time.perf_counter()
        verdict = sc.check(graph, CHIPS[chip], budget=BUDGET)
        self.seconds += time.perf_counter() - start
        self.reasons.update({violation.rule for violation in verdict.violations})
        worst = apply(trial, verdict, WORST)
        if worst:
            return worst
        one = trained(graph, self.training, self.validation, self.epochs, self.seed)
        accuracy = one.right / len(self.validation.y)
        self.found[trial.number] = Found(one, graph, accuracy, verdict.cost.total_pj / 1e6, CORES[chip])
        return self.found[trial.number][2:]


def plot(search: Search, best: set[int], path: Path) -> None:
    """The accuracy and the energy of all candidates that were trained; those that no other one beats stand out."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 4.2), layout="constrained")
    colours = dict(zip(CORES, ("#4477aa", "#228833", "#ee6677"), strict=True))
    for cores, colour in colours.items():
        for chosen, size, alpha in ((False, 28, 0.35), (True, 70, 1.0)):
            points = [(f.energy_uj, 100 * f.accuracy) for number, f in search.found.items()
                      if f.cores == cores and (number in best) is chosen]
            label = f"{cores} core{'s' * (cores > 1)}" if chosen else None
            axes.scatter(*zip(*points or [(float("nan"),) * 2], strict=True), s=size, alpha=alpha, color=colour,
                         edgecolors="black" if chosen else "none", linewidths=0.8, label=label, zorder=2 + chosen)
    axes.set(xlabel="estimated energy of a digit (uJ)", ylabel="accuracy after a short training (%)")
    axes.set_title(f"{len(search.found)} candidates that run; no other beats those with a rim", fontsize=10)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.legend(title="a Loihi with", frameon=False, loc="upper left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    options = _options()
    training, validation, held_out = frames("spike")
    search = Search(training, validation, options.epochs, options.seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=options.seed),
                                directions=["maximize", "minimize", "minimize"])
    study.optimize(search, n_trials=options.trials)
    rejected, seconds = options.trials - len(search.found), [f.one.seconds for f in search.found.values()]
    say("space", f"{SPACE.size * len(CORES):,} candidates", f"{options.trials} of them tried")
    say("rejected", f"{rejected} of {options.trials}", f"by check, in {search.seconds:.1f} s")
    for reason, count in search.reasons.most_common():
        say("", reason, f"{count} candidates")
    if not search.found:
        say("trained", "none", "more trials, or a larger budget")
        return
    each = sum(seconds) / len(seconds)
    say("trained", f"{len(seconds)} candidates", f"{each:.1f} s each; the {rejected} rejected ones would have taken "
        f"{rejected * each:.0f} s")
    best = {trial.number for trial in study.best_trials} & search.found.keys()
    plot(search, best, options.output.with_suffix(".png"))
    say("plot", f"{len(best)} are not beaten", str(options.output.with_suffix(".png")))
    winner = max((search.found[number] for number in sorted(best)), key=lambda found: found.accuracy)
    say("winner", f"{winner.accuracy:.1%} after {options.epochs} epochs", f"{winner.energy_uj:.2f} uJ a digit, a chip "
        f"with {winner.cores} core{'s' * (winner.cores > 1)}")
    final = trained(winner.graph, training, validation, options.more, options.seed)
    compiled(final, training, held_out, options.output)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=2, help="of a candidate's training")
    parser.add_argument("--more", type=int, default=8, help="epochs of the winner's training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("build/pareto"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
