"""Optuna 5: a trial picks a candidate, and learns from the verdict on it, whether it can run or not.

    def objective(trial):
        verdict = sc.check(space.graph(**suggest(trial, space)), "loihi1", budget={"cores": 64})
        worst = apply(trial, verdict, worst=(0.0, 1e9))
        return worst or (accuracy_of(trial), verdict.cost.total_pj)

    sampler = optuna.samplers.TPESampler(multivariate=False, gamma=quarter)
    optuna.create_study(sampler=sampler, directions=["maximize", "minimize"])

A trial that is pruned teaches constrained samplers nothing, so that infeasible candidates are not pruned: they get the
worst objectives, and their constraints.

Where few candidates can run, the settings of this sampler decide how many of those that it suggests can. TPE looks for
what the best trials have in common. As it comes, these are at most 25, which lie at the limits of the hardware if
larger networks are better, and around them it varies all choices at once: most of what it suggests is beyond a limit.
`benchmarks/README.md` has the figures. Optuna warns that `gamma` will be gone in its version 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snncompile.search.space import Pick, Space
from snncompile.targets.verdict import Verdict


def suggest(trial: Any, space: Space) -> Pick:
    """A candidate of a space. Choices of increasing numbers are suggested as an order, others as categories."""
    pick: Pick = {}
    for name, values in space.choices.items():
        place = trial.suggest_int(name, 0, len(values) - 1) if _ordered(values) else trial.suggest_categorical(
            name, range(len(values)))
        pick[name] = values[place]
    return pick


def apply(trial: Any, verdict: Verdict, worst: Sequence[float]) -> tuple[float, ...] | None:
    """Give a trial the constraints of a verdict. Optuna takes a trial for feasible if all are at most 0.

    Returns:
        The worst objectives for a candidate that cannot run, which the trial should return at once; None for one that
        can, which is worth its training.
    """
    for name, value in verdict.constraints.items():
        trial.set_constraint(name, float(value))
    return None if verdict.ok else tuple(worst)


def quarter(trials: int) -> int:
    """How many of the trials so far a sampler is to take for good ones, as its argument `gamma`."""
    return trials // 4 + 1


def _ordered(values: Sequence[Any]) -> bool:
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    return numbers and list(values) == sorted(values)
