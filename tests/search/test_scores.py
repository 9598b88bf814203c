"""Training-free scores: against plain loops written from their formulas, and on a network in floats and in integers."""

from __future__ import annotations

import math

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.types import Array, Stage
from snncompile.search.scores import counts, e_score, log_det, n_score, record_spikes, sahd
from tests.nets import small, spikes, two_inputs

FORMS = ("paper", "snasnet")


def layers(samples: int = 5, ticks: int = 3, seed: int = 0) -> dict[str, Array]:
    """The spikes of two layers, `[sample, tick, *shape]`."""
    rng = np.random.default_rng(seed)
    return {"a": (rng.random((samples, ticks, 2, 3, 3)) < 0.3).astype(float),
            "b": (rng.random((samples, ticks, 7)) < 0.6).astype(float)}


def summed_kernel(spikes, form: str) -> tuple[Array, int]:
    """The kernels of all layers and ticks, pair by pair and neuron by neuron, and how many there are."""
    samples = len(next(iter(spikes.values())))
    total, calls = np.zeros((samples, samples)), 0
    for layer in spikes.values():
        neurons = layer[0, 0].size
        for t in range(layer.shape[1]):
            calls += 1
            for i in range(samples):
                for j in range(samples):
                    a, b = layer[i, t].ravel(), layer[j, t].ravel()
                    hamming = sum(abs(p - q) for p, q in zip(a, b, strict=True))
                    r, s = sum(a) / neurons, sum(b) / neurons
                    expected = r * (1 - s) + (1 - r) * s
                    if form == "snasnet":
                        expected *= neurons
                    total[i, j] += neurons - 0.5 * hamming / (expected + 1e-3)
    return total, calls


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_sahd_and_n_score_are_those_of_plain_loops(form, seed):
    given = layers(seed=seed)
    total, calls = summed_kernel(given, form)
    assert n_score(given, form) == pytest.approx(math.log(abs(np.linalg.det(total))), rel=1e-9)
    assert sahd(given, form) == pytest.approx(math.log(abs(np.linalg.det(total / calls))), rel=1e-9)


def test_the_form_of_the_paper_is_the_default_and_differs_from_that_of_the_repository():
    given = layers()
    assert sahd(given) == sahd(given, "paper") != pytest.approx(sahd(given, "snasnet"), abs=1)
    assert n_score(given) == n_score(given, "paper") != pytest.approx(n_score(given, "snasnet"), abs=1)


def test_both_scores_differ_by_the_number_of_kernels():
    given = layers(samples=4, ticks=5)
    assert n_score(given) - sahd(given) == pytest.approx(4 * math.log(10))


def test_two_samples_by_hand():
    """H = 2 of 4 neurons, rates 1/2: d = 0.5 * 2 / (0.5 + 0.001) in the paper's form; K = [[4, 4 - d], [4 - d, 4]]."""
    given = {"lif": np.array([[[1, 1, 0, 0]], [[1, 0, 1, 0]]])}
    d = 1 / 0.501
    assert sahd(given) == pytest.approx(math.log(16 - (4 - d) ** 2))
    d = 1 / 2.001
    assert sahd(given, "snasnet") == pytest.approx(math.log(16 - (4 - d) ** 2))


@pytest.mark.parametrize("form", FORMS)
def test_a_singular_kernel_scores_minus_infinity(form):
    silent = {"lif": np.zeros((3, 4, 5))}
    assert sahd(silent, form) == n_score(silent, form) == -math.inf
    twice = {n: np.concatenate([v, v[:1]]) for n, v in layers().items()}
    assert sahd(twice, form) == n_score(twice, form) == -math.inf
    assert log_det(np.zeros((2, 2))) == -math.inf


def test_tensors_and_booleans_are_spikes_too():
    torch = pytest.importorskip("torch")
    given = layers()
    tensors = {n: torch.tensor(v, dtype=torch.bfloat16, requires_grad=True) for n, v in given.items()}
    assert sahd(tensors) == sahd({n: v.astype(bool) for n, v in given.items()}) == sahd(given)


@pytest.mark.parametrize(("given", "words"), [
    ({}, ("no layers",)),
    ({"a": np.zeros(5)}, ('"a"', "[5]", "[sample, tick, *shape]")),
    ({"a": np.zeros((3, 0, 4))}, ("[3, 0, 4]",)),
    ({"a": np.array([["x"]])}, ("type <U1",)),
    ({"a": object()}, ("type object",)),
    ({"a": np.zeros((1, 2, 3))}, ("1 samples", "2 samples or more")),
    ({"a": np.zeros((2, 2, 3)), "b": np.zeros((3, 2, 3))}, ('"a"', "as many for every layer")),
    ({"a": np.full((2, 2, 3), 0.5)}, ("other values than 0 and 1",)),
    ({"a": np.full((2, 2, 3), 2)}, ("other values than 0 and 1",)),
    ({"a": np.full((2, 2, 3), np.nan)}, ("other values than 0 and 1",)),
])
@pytest.mark.parametrize("score", [sahd, n_score])
def test_what_is_no_spikes_is_refused(score, given, words):
    with pytest.raises(sc.CompileError) as error:
        score(given)
    assert all(word in str(error.value) for word in ("SNN501", *words))


def test_another_form_is_refused():
    with pytest.raises(sc.CompileError, match="SNN404"):
        sahd(layers(), "hamming")  # type: ignore[arg-type]


# --- networks ----------------------------------------------------------------------------------------------


def test_a_network_is_scored_in_floats_and_in_four_bits_side_by_side():
    x = spikes(6, 12, seed=1)
    model = sc.compile(small(), target="c99", calibration=x, weight_bits=4)
    recorded = [record_spikes(g, x) for g in (small(), model.float_graph, model.graph)]
    assert [{n: v.shape for n, v in r.items()} for r in recorded] == [{"lif1": (6, 12, 8), "lif2": (6, 12, 3)}] * 3
    source, floats, integers = ([score(r, form) for score in (sahd, n_score) for form in FORMS] for r in recorded)
    assert np.isfinite([source, floats, integers]).all()
    assert source == floats
    assert integers != floats
    assert integers == pytest.approx(floats, rel=0.2)


def test_the_emitted_program_scores_as_the_graph_in_integers():
    x = spikes(6, 12, seed=1)
    model = sc.compile(small(), target="c99", calibration=x, weight_bits=4)
    assert sahd(model.trace(x).emitted) == sahd(record_spikes(model.graph, x))


def test_populations_with_graded_values_are_recorded_only_by_name():
    x = {"spikes": spikes(3, 5, 4), "frame": np.random.default_rng(0).uniform(-1, 1, (3, 5, 5))}
    assert list(record_spikes(two_inputs(), x)) == ["lif"]
    graded = record_spikes(two_inputs(), x, ["li"])
    with pytest.raises(sc.CompileError, match="other values than 0 and 1"):
        sahd(graded)


def test_samples_are_recorded_in_parts(monkeypatch):
    x = spikes(5, 4)
    whole = record_spikes(small(), x)
    monkeypatch.setattr("snncompile.ir.interp.CHUNK_VALUES", 1)
    parts = record_spikes(small(), x)
    assert all(np.array_equal(whole[n], parts[n]) for n in whole)


def test_names_stages_and_samples_that_do_not_fit_are_refused():
    with pytest.raises(sc.CompileError, match="lif9"):
        record_spikes(small(), spikes(), ["lif9"])
    with pytest.raises(sc.CompileError, match="SNN501"):
        record_spikes(small(), spikes(size=5))
    with pytest.raises(sc.CompileError, match="SNN204"):
        record_spikes(small().replace(stage=Stage.MAPPED), spikes())


def test_counts_are_those_of_the_measured_activity():
    x = spikes(4, 9)
    model = sc.compile(small(), target="c99", calibration=x, weight_bits=4)
    for graph in (model.float_graph, model.graph):
        cost, counted = sc.estimate(graph, "c99", x), counts(graph, x)
        assert (counted.spikes, counted.synops) == (cost.spikes, cost.synaptic_operations)
        assert counted.bit_synops == cost.bit_operations > 0
    assert counted.spikes == sum(v.sum() for v in model.trace(x).emitted.values()) / 4
    with pytest.raises(sc.CompileError, match="SNN204"):
        counts(small(), x)


# --- the E-score -------------------------------------------------------------------------------------------


def by_loops(jacobian: Array, labels: Array, many: bool) -> float:
    """The E-score of a Jacobian `[sample, element]`, element by element."""
    scores = []
    for c in sorted(set(labels.tolist())):
        rows = jacobian[labels == c]
        rows = [row - sum(row) / len(row) for row in rows]
        logs = [math.log(abs(sum(a * b) / math.sqrt(sum(a * a) * sum(b * b))) + 1e-5) for a in rows for b in rows]
        scores.append(sum(logs) / len(logs) if many else sum(logs))
    if not many:
        return sum(map(abs, scores))
    return sum(abs(a - b) for i, a in enumerate(scores) for b in scores[i + 1:]) / len(scores)


@pytest.mark.parametrize("classes", [None, 10, 101])
def test_the_e_score_is_that_of_plain_loops(classes):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    weight = torch.randn(6, 4, dtype=torch.float64)
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0])

    def network(x):
        return torch.sin(x.flatten(1) @ weight)

    jacobian = (torch.cos(x.flatten(1) @ weight) @ weight.T).numpy()
    wanted = by_loops(jacobian, labels.numpy(), classes == 101)
    assert e_score(network, x, labels, classes) == pytest.approx(wanted, rel=1e-9)


def test_many_classes_are_told_by_the_labels():
    torch = pytest.importorskip("torch")
    x = torch.randn(202, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = np.arange(202) % 101
    jacobian = (2 * x).numpy()
    assert e_score(lambda x: x ** 2, x, labels) == pytest.approx(by_loops(jacobian, labels, True), rel=1e-9)


def test_the_e_score_of_a_spiking_network_takes_the_samples_of_all_ticks():
    torch = pytest.importorskip("torch")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), neuron.LIFNode(step_mode="m"), torch.nn.Linear(8, 3))
    x = torch.rand(5, 6, 4) * 3
    score = e_score(net, x, [0, 0, 1, 1, 2, 2])
    assert math.isfinite(score)
    assert score > 0
    assert all(p.grad is None for p in net.parameters())


def test_a_sample_without_a_gradient_correlates_with_none():
    torch = pytest.importorskip("torch")
    x = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    assert e_score(lambda x: x ** 2, x, [0, 0]) == pytest.approx(abs(math.log(1 + 1e-5) + 3 * math.log(1e-5)))


@pytest.mark.parametrize(("module", "labels", "words"), [
    (lambda x: x, [0, 1], ("SNN501", "labels [2]")),
    (lambda x: x, [0.5, 1, 2], ("SNN501", "float64")),
    (lambda x: x.sum(1), [0, 1, 2], ("SNN501", "outputs [3]")),
    (lambda x: x.detach(), [0, 1, 2], ("SNN109",)),
    (lambda x: x @ x, [0, 1, 2], ("SNN109",)),
])
def test_labels_outputs_and_modules_that_do_not_fit_are_refused(module, labels, words):
    torch = pytest.importorskip("torch")
    with pytest.raises(sc.CompileError) as error:
        e_score(module, torch.ones(3, 4), labels)
    assert all(word in str(error.value) for word in words)
