"""Ray Tune: a trial picks a candidate, and only one that can run is trained.

    def train(pick, verdict):
        return {"accuracy": accuracy_of(pick), "energy_pj": verdict.cost.total_pj}

    worst = {"accuracy": 0.0, "energy_pj": 1e12}
    tune.Tuner(trainable_of(space, "loihi2", train, worst, budget={"cores": 64}), param_space=choices_of(space),
               tune_config=tune.TuneConfig(metric="accuracy", mode="max", num_samples=100)).fit()

Ray knows no constraints. A search within it learns from the worst metrics of candidates that cannot run; constraints
are reported beside them, as `rule cores` and so on. Where a search should use these, `adapters.optuna` with a storage
that several processes share is the better choice. Whole spaces are judged by `screen_files(..., engine="ray")`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from snncompile.checker import check
from snncompile.search.space import Pick, Space
from snncompile.targets.target import Target
from snncompile.targets.verdict import Verdict


def choices_of(space: Space) -> dict[str, Any]:
    """The `param_space` of a tuner: for each choice of a space, the place of its value."""
    from ray import tune

    return {name: tune.choice(list(range(len(values)))) for name, values in space.choices.items()}


def trainable_of(space: Space, target: str | Path | Target, train: Callable[[Pick, Verdict], Mapping[str, float]],
                 worst: Mapping[str, float], **options: Any) -> Callable[[Mapping[str, int]], None]:
    """A function for `tune.Tuner`, which judges a candidate, trains it if it can run, and reports its metrics.

    Args:
        train: of a candidate that can run and the verdict on it, gives its metrics.
        worst: the metrics of a candidate that cannot.
        options: those of `check`, such as `budget`.
    """
    def trainable(config: Mapping[str, int]) -> None:
        from ray import tune

        pick = {name: values[config[name]] for name, values in space.choices.items()}
        verdict = check(space.graph(**pick), target, **options)
        metrics = train(pick, verdict) if verdict.ok else worst
        rules = {f"rule {name}": float(value) for name, value in verdict.constraints.items()}
        tune.report({**metrics, **rules, "feasible": verdict.ok})

    return trainable
