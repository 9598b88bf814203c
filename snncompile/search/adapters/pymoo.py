"""pymoo: a problem over a space, in which a whole population of candidates is judged at once.

    def objectives(indices, judged):
        return np.column_stack([error_of(indices), judged.costs["energy_pj"]])

    problem = problem_of(space, "loihi1", objectives, 2)
    minimize(problem, NSGA2(sampling=IntegerRandomSampling(), crossover=TwoPointCrossover(),
                            mutation=PM(vtype=float, repair=RoundingRepair())), ("n_gen", 50))

There is one variable for each choice, the place of its value, so that integer operators search. Several targets, such
as `variants("loihi1", cores=(64, 128))`, are one more variable behind the others: the place of the target.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from snncompile.ir.types import Array
from snncompile.search.judged import Judged
from snncompile.search.screening import Screener, Targets, terms_of
from snncompile.search.space import Space

INVALID = 1e6
"""The constraints of a candidate that is no network."""


def problem_of(space: Space, targets: Targets, objectives: Callable[[Array, Judged], Array], count: int,
               **options: Any) -> Any:
    """A `pymoo.core.problem.Problem`, whose constraints are those of `check`.

    Args:
        targets: one, or several whose rules have the same names, as variants have.
        objectives: of the numbers of candidates `[candidate]` and the verdicts on them, gives what is minimized,
            `[candidate, objective]`.
        count: the number of objectives.
        options: those of `terms.Terms`, such as `budget`.
    """
    from pymoo.core.problem import Problem

    screener = Screener(space, terms_of(targets, **options))
    sizes = np.array([*space.sizes, *([len(screener.terms)] if len(screener.terms) > 1 else [])])
    rules = next(iter(screener.judge(np.zeros(1, np.int64)).values())).rules

    class SpaceProblem(Problem):  # type: ignore[misc]
        def _evaluate(self, x: Array, out: dict[str, Array], *args: Any, **kwargs: Any) -> None:
            places = x.astype(np.int64).T
            indices = np.asarray(np.ravel_multi_index(tuple(places[:len(space.sizes)]), space.sizes))
            target = places[len(space.sizes)] if len(places) > len(space.sizes) else 0
            everywhere = Judged.joined(list(screener.judge(indices).values()))
            judged = everywhere.take(target * len(indices) + np.arange(len(indices)))
            out["F"] = objectives(indices, judged)
            out["G"] = np.nan_to_num(np.asarray(judged.constraints), nan=INVALID)

    return SpaceProblem(n_var=len(sizes), n_obj=count, n_ieq_constr=len(rules), xl=np.zeros(len(sizes)), xu=sizes - 1,
                        vtype=int)
