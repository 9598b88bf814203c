"""pymoo: a problem over a space, in which a whole population of candidates is judged at once.

    def objectives(indices, judged):
        return np.column_stack([error_of(indices), judged.costs["energy_pj"]])

    problem = problem_of(space, "loihi1", objectives, 2)
    minimize(problem, NSGA2(sampling=IntegerRandomSampling(), crossover=TwoPointCrossover(),
                            mutation=PM(vtype=float, repair=RoundingRepair())), ("n_gen", 50))

There is one variable for each choice, the place of its value, so that integer operators search.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from snncompile.ir.types import Array
from snncompile.search.judged import Judged
from snncompile.search.screening import Screener, terms_of
from snncompile.search.space import Space
from snncompile.targets.target import Target

INVALID = 1e6
"""The constraints of a candidate that is no network."""


def problem_of(space: Space, target: str | Path | Target, objectives: Callable[[Array, Judged], Array], count: int,
               **options: Any) -> Any:
    """A `pymoo.core.problem.Problem`, whose constraints are those of `check`.

    Args:
        objectives: of the numbers of candidates `[candidate]` and the verdicts on them, gives what is minimized,
            `[candidate, objective]`.
        count: the number of objectives.
        options: those of `terms.Terms`, such as `budget`.
    """
    from pymoo.core.problem import Problem

    screener = Screener(space, terms_of(target, **options))
    sizes = np.array(space.sizes)
    rules = next(iter(screener.judge(np.zeros(1, np.int64)).values())).rules

    class SpaceProblem(Problem):  # type: ignore[misc]
        def _evaluate(self, x: Array, out: dict[str, Array], *args: Any, **kwargs: Any) -> None:
            indices = np.asarray(np.ravel_multi_index(tuple(x.astype(np.int64).T), space.sizes))
            [judged] = screener.judge(indices).values()
            out["F"] = objectives(indices, judged)
            out["G"] = np.nan_to_num(np.asarray(judged.constraints), nan=INVALID)

    return SpaceProblem(n_var=len(sizes), n_obj=count, n_ieq_constr=len(rules), xl=np.zeros(len(sizes)), xu=sizes - 1,
                        vtype=int)
