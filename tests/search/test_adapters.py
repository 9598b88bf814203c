import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.ops import Input
from snncompile.search import Chain, variants
from snncompile.search.adapters.optuna import apply, quarter, suggest


def layer(net, width=(2, 8, 32), neuron=("if", "lif")):
    net.conv(width, 3).neuron(neuron)


def head(net):
    net.linear(4).lif(0.5)


SPACE = Chain(Input((2, 8, 8)), [layer] * 2, head)
SMALL = sc.load_target("loihi2").with_(neurons=600)


def test_optuna_learns_from_candidates_that_cannot_run():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    verdicts = {}

    def objective(trial):
        verdict = sc.check(SPACE.graph(**suggest(trial, SPACE)), SMALL)
        verdicts[trial.number] = verdict
        return (apply(trial, verdict, (1e9,)) or (-verdict.cost.neurons,))[0]

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=30)
    assert {trial.state for trial in study.trials} == {optuna.trial.TrialState.COMPLETE}
    for trial in study.trials:
        verdict = verdicts[trial.number]
        assert dict(trial.constraints) == verdict.constraints
        assert (trial.value == 1e9) is (not verdict.ok)
    assert 0 < sum(v.ok for v in verdicts.values()) < 30
    assert verdicts[study.best_trial.number].ok


def test_a_population_of_pymoo_is_judged_at_once():
    pytest.importorskip("pymoo")
    from snncompile.search.adapters.pymoo import problem_of

    problem = problem_of(SPACE, SMALL, lambda indices, judged: -judged.costs["neurons"][:, None].astype(float), 1,
                         budget={"synapses": 1e5})
    x = np.array([SPACE.places(i) for i in range(SPACE.size)])
    found = problem.evaluate(x, return_as_dictionary=True)
    for index in range(SPACE.size):
        verdict = sc.check(SPACE.build(index), SMALL, budget={"synapses": 1e5})
        assert sorted(found["G"][index].tolist()) == sorted(verdict.constraints.values())
        assert found["F"][index, 0] == -verdict.cost.neurons


def test_the_target_is_one_more_variable_of_pymoo():
    pytest.importorskip("pymoo")
    from snncompile.search.adapters.pymoo import problem_of

    chips = variants(SMALL, neurons=(300, 1000))
    problem = problem_of(SPACE, chips, lambda indices, judged: judged.costs["neurons"][:, None].astype(float), 1)
    assert problem.xu.tolist() == [size - 1 for size in (*SPACE.sizes, 2)]
    x = np.array([(*SPACE.places(i), chip) for i in range(SPACE.size) for chip in (0, 1)])
    found = problem.evaluate(x, return_as_dictionary=True)
    feasible = (found["G"] <= 0).all(1).reshape(-1, 2)
    assert feasible.tolist() == [[sc.check(SPACE.build(i), chip).ok for chip in chips] for i in range(SPACE.size)]
    assert (feasible[:, 0] != feasible[:, 1]).any()


TIGHT = sc.load_target("loihi2").with_(neurons=300)
"""Of the 36 candidates, 4 can run on it."""


def test_optuna_suggests_what_can_run():
    """Seeded, and far from the limit: of the last 20 trials at random, 2 could run."""
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    feasible = []

    def objective(trial):
        verdict = sc.check(SPACE.graph(**suggest(trial, SPACE)), TIGHT)
        feasible.append(verdict.ok)
        return (apply(trial, verdict, (1e9,)) or (-verdict.cost.synapses,))[0]

    sampler = optuna.samplers.TPESampler(seed=0, multivariate=False, gamma=quarter)
    optuna.create_study(sampler=sampler).optimize(objective, n_trials=60)
    assert sum(feasible[-20:]) > 8


def test_pymoo_offspring_can_run():
    """Seeded, and far from the limit: of the first generation, at random, a tenth can run."""
    pytest.importorskip("pymoo")
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.operators.crossover.pntx import TwoPointCrossover
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    from snncompile.search.adapters.pymoo import problem_of

    generations = []

    def objectives(_, judged):
        generations.append(judged.ok)
        return -judged.costs["synapses"][:, None].astype(float)

    algorithm = NSGA2(pop_size=20, sampling=IntegerRandomSampling(), crossover=TwoPointCrossover(),
                      mutation=PM(vtype=float, repair=RoundingRepair()), eliminate_duplicates=False)
    minimize(problem_of(SPACE, TIGHT, objectives, 1), algorithm, ("n_gen", 8), seed=0)
    assert np.mean(np.concatenate(generations[-3:])) > 0.5


@pytest.mark.slow
def test_ray_trains_only_what_can_run(tmp_path):
    tune = pytest.importorskip("ray.tune", exc_type=ImportError)
    import ray

    from snncompile.search.adapters.ray import choices_of, trainable_of

    space, small, places = SPACE, SMALL, SPACE.sizes

    def train(pick, verdict):
        assert verdict.ok
        return {"neurons": verdict.cost.neurons}

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        tuner = tune.Tuner(trainable_of(space, small, train, {"neurons": 0}), param_space=choices_of(space),
                           tune_config=tune.TuneConfig(metric="neurons", mode="max", num_samples=3, reuse_actors=True),
                           run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0))
        results = list(tuner.fit())
    finally:
        ray.shutdown()
    assert len(results) == 3
    assert not any(result.error for result in results)
    for result in results:
        index = int(np.ravel_multi_index([result.config[name] for name in space.choices], places))
        verdict = sc.check(space.build(index), small)
        assert result.metrics["feasible"] == verdict.ok
        assert result.metrics["neurons"] == (verdict.cost.neurons if verdict.ok else 0)
        assert {f"rule {name}": value for name, value in verdict.constraints.items()}.items() <= result.metrics.items()
