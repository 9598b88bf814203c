"""Ends of networks: what a tick returns, what becomes of the ticks, and functions that are left out."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import snncompile as sc  # noqa: E402
from tests.frontends.torch.nets import Lif  # noqa: E402

TICKS, BATCH = 5, 3


class Two(nn.Module):
    """Two layers of neurons that read the input; its `forward` is a function of the test."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.lif, self.lif2 = nn.Linear(4, 4), nn.Linear(4, 4), Lif(0.5, 0.25), Lif(0.75, 0.25)
        self.function = function

    def forward(self, x):
        self.lif.reset(), self.lif2.reset()
        return self.function(self, x)

    def first(self, x):
        return self.lif(self.a(x))

    def second(self, x):
        return self.lif2(self.b(x))


def example():
    return torch.from_numpy(np.random.default_rng(0).integers(0, 2, (TICKS, BATCH, 4)).astype(np.float32))


def check(function, decode="rate", reduce=lambda y: y.sum(1)):
    """The graph of a network, after a comparison of its only output with what the network returns."""
    net, x = Two(function), example()
    graph = sc.load(net, example_input=x)
    with torch.no_grad():
        wanted = net(x)
    (result,) = sc.run(graph, x.numpy().swapaxes(0, 1), dtype=np.float32).outputs.values()
    reduced = reduce(torch.from_numpy(np.asarray(result)))
    assert wanted.float().any()
    np.testing.assert_allclose(reduced.numpy().reshape(wanted.shape), wanted.numpy(), rtol=1e-5, atol=1e-6)
    assert [op.decode for op in graph.outputs.values()] == [decode]
    return graph


def counted(m, x):
    count = torch.zeros(BATCH, 4)
    for step in x:
        count += m.first(step)
        count += m.second(step)
    return count


def counted_in_another_order(m, x):
    count = 0
    for step in x:
        count = m.second(step) + (count + m.first(step))
    return count


def counters(m, x):
    left = right = 0
    for step in x:
        left, right = left + m.first(step), right + m.second(step)
    return left - right


def written(m, x):
    record = torch.zeros(TICKS, BATCH, 4)
    for t, step in enumerate(x):
        record[t] = m.first(step) + step
    return record.transpose(0, 1)


SUMS = {
    "a residual sum": lambda m, x: sum(m.first(step) + step for step in x),
    "two heads": lambda m, x: torch.stack([m.first(step) + m.second(step) for step in x]).sum(0),
    "a difference": lambda m, x: torch.stack([m.first(step) - m.second(step) for step in x]).sum(0),
    "a sum with a constant": lambda m, x: sum(m.first(step) + 2 * m.second(step) + 1 for step in x),
    "joined features": lambda m, x: sum(torch.cat([m.first(step), m.second(step)], 1) for step in x),
    "counted in place": counted, "counted in another order": counted_in_another_order, "two counters": counters,
    "one value": lambda m, x: sum((m.first(step) @ m.b.weight[:1].T).squeeze(-1) for step in x),
    "an entry": lambda m, x: sum(m.first(step)[..., 1] for step in x),
    "a difference of entries": lambda m, x: sum(m.first(step) for step in x)[:, 0] - 2 * sum(x)[:, 1],
}


@pytest.mark.parametrize("name", SUMS)
def test_sums_of_tensors_of_one_tick(name):
    check(SUMS[name])


def test_a_sum_may_be_written_into_a_record():
    check(written, reduce=lambda y: y)


def test_the_last_tick_of_a_sum():
    check(lambda m, x: [m.first(step) + m.second(step) for step in x][-1], "last", lambda y: y[:, -1])


def test_the_nodes_of_a_sum_are_made_once():
    graph = check(SUMS["two heads"])
    assert list(graph.nodes) == ["input", "a", "lif", "b", "lif2", "add", "output"]


DROPPED = {
    "softmax": lambda y: y.softmax(1), "log_softmax": lambda y: F.log_softmax(y, dim=-1), "sigmoid": torch.sigmoid,
    "argmax": lambda y: y.argmax(1), "softmax, implicit": lambda y: F.softmax(y),
    "argmax of softmax": lambda y: y.softmax(1).argmax(-1), "place of the maximum": lambda y: y.max(1)[1],
}


@pytest.mark.filterwarnings("ignore:Implicit dimension")
@pytest.mark.parametrize("name", DROPPED)
def test_functions_at_the_end_are_left_out_with_a_note(name):
    """The graph's output is what the function is given."""
    end = DROPPED[name]
    graph = check(lambda m, x: end(sum(m.first(step) for step in x)), reduce=lambda y: end(y.sum(1)))
    (note,) = [n for n in graph.notes if "left out" in n.found]
    assert (note.code, note.place) == ("SNN105", 'output "output"')
    assert graph.shapes["output"] == (4,)


def test_a_function_may_be_left_out_in_every_tick():
    graph = check(lambda m, x: torch.stack([m.first(step).softmax(1) for step in x], 1), reduce=lambda y: y.softmax(-1))
    assert [n for n in graph.notes if "softmax at the end" in n.found]


def test_the_decisions_are_those_of_argmax():
    x = example().numpy().swapaxes(0, 1)
    net = Two(lambda m, x: sum(m.first(step) for step in x).argmax(1))
    model = sc.compile(sc.load(net, example_input=example()), calibration=x, weight_bits=16, membrane_bits=32)
    with torch.no_grad():
        assert np.array_equal(model.run(x).decisions, net(example()).numpy())


BEHIND = {
    "a mean of softmax": (lambda m, x: torch.stack([m.first(s).softmax(1) for s in x]).mean(0), "mean behind softmax"),
    "a sum of softmax": (lambda m, x: sum(m.first(s).softmax(1) for s in x), "add behind softmax"),
    "a layer": (lambda m, x: m.b(sum(m.first(s) for s in x).softmax(1)), "linear behind softmax"),
    "a product": (lambda m, x: sum(m.first(s) for s in x) * sum(x).softmax(1), "mul behind softmax"),
    "a neuron": (lambda m, x: sum(m.second(torch.sigmoid(s)) for s in x), "linear behind sigmoid"),
    "over time": (lambda m, x: torch.stack([m.first(s) for s in x]).softmax(0), "softmax over dimension 0"),
    "over the batch": (lambda m, x: sum(m.first(s) for s in x).argmax(0), "argmax over dimension 0"),
    "over everything": (lambda m, x: sum(m.first(s) for s in x).argmax(), "argmax over dimension None"),
    "twice": (lambda m, x: torch.sigmoid(torch.sigmoid(sum(m.first(s) for s in x))), "sigmoid behind sigmoid"),
}


@pytest.mark.parametrize("name", BEHIND)
def test_functions_that_are_not_at_the_end_are_refused(name):
    function, found = BEHIND[name]
    with pytest.raises(sc.CompileError) as error:
        sc.load(Two(function), example_input=example())
    first = error.value.diagnostics[0]
    assert first.code == "SNN104"
    assert first.found.startswith(found)
    assert "test_ends.py line" in first.place or 'module "b"' in first.place


APART = {
    "a leaky counter": lambda m, x: leaky(m, x), "ticks mixed": lambda m, x: m.first(x[0]) + m.second(x[1]),
    "a tick twice": lambda m, x: (lambda s: sum(s) + s[0])([m.first(step) for step in x]),
    "without the first": lambda m, x: sum([m.first(step) for step in x][1:]),
}


def leaky(m, x):
    count = 0
    for step in x:
        count = 0.5 * count + m.first(step)
    return count


@pytest.mark.parametrize("name", APART)
def test_sums_of_other_ticks_are_refused(name):
    with pytest.raises(sc.CompileError) as error:
        sc.load(Two(APART[name]), example_input=example())
    assert {d.code for d in error.value.diagnostics} <= {"SNN104", "SNN110"}


# --- results that are no outputs ---------------------------------------------------------------------------


def passed_on(function, size=4):
    def loop(m, x):
        late, record = torch.zeros(BATCH, size), []
        for step in x:
            spikes = m.lif(m.a(step)[:, :size] + late)
            late = function(spikes)
            record.append(spikes)
        return torch.stack(record)
    return loop


@pytest.mark.parametrize(("function", "name", "size"), [
    (torch.sigmoid, "sigmoid", 4), (lambda y: y.softmax(1), "softmax", 4), (lambda y: y.log_softmax(1), "softmax", 4),
    (lambda y: y.argmax(1, keepdim=True), "argmax", 1), (lambda y: y.max(1, keepdim=True).indices, "max", 1)])
def test_functions_that_are_left_out_may_not_be_passed_to_the_next_tick(function, name, size):
    with pytest.raises(sc.CompileError) as error:
        sc.load(Two(passed_on(function, size)), example_input=example())
    assert "SNN110" in {d.code for d in error.value.diagnostics}
    assert "a recurrence of the result of" in str(error.value)
    assert name in str(error.value)


def assigned(make, part=lambda y: y, reduce=lambda y: y):
    def loop(m, x):
        record = make(x)
        for t, step in enumerate(x):
            record[t] = part(m.first(step))
        return reduce(record)
    return loop


@pytest.mark.parametrize(("make", "part", "words"), [
    (lambda x: torch.zeros(TICKS + 1, BATCH, 4), lambda y: y, "of shape [6, 3, 4]"),
    (lambda x: torch.zeros(TICKS, BATCH, 4), lambda y: y[:, :1], "of shape [5, 3, 4]"),
    (lambda x: torch.zeros(TICKS, BATCH, 4, dtype=torch.int64), lambda y: y, "torch.int64, which rounds"),
    (lambda x: torch.zeros(TICKS, BATCH, 4, dtype=torch.bool), lambda y: y, "torch.bool, which rounds"),
    (lambda x: torch.zeros(TICKS, BATCH, 4, dtype=torch.float16), lambda y: y, "torch.float16, which rounds")])
def test_ticks_are_assigned_only_to_a_tensor_of_their_own_shape_and_of_whole_floats(make, part, words):
    with pytest.raises(sc.CompileError) as error:
        sc.load(Two(assigned(make, part)), example_input=example())
    assert {d.code for d in error.value.diagnostics} == {"SNN104"}
    assert words in str(error.value)


def test_the_mean_of_a_tensor_of_all_ticks_is_the_mean_over_the_ticks():
    check(assigned(lambda x: torch.zeros(TICKS, BATCH, 4), reduce=lambda y: y.mean(0)), reduce=lambda y: y.mean(1))
