"""Loops over time: the graph computes what the loop computes with its neurons and ticks, or the loop is refused."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import snncompile as sc  # noqa: E402
from snncompile.frontends.torch.cells import Cell  # noqa: E402
from snncompile.ir.populations import Neuron  # noqa: E402
from tests.frontends.torch.nets import FIRING, Lif  # noqa: E402

TICKS, BATCH = 5, 3


class Loop(nn.Module):
    """A module whose `forward` is a function of the test, which loops over the first axis of its input."""

    def __init__(self, loop, **parts):
        super().__init__()
        self.loop = loop
        self.fc, self.lif = nn.Linear(4, 4), Lif(0.9)
        for name, part in parts.items():
            setattr(self, name, part)

    def each(self, x):
        return [self.lif(self.fc(step)) for step in x]

    def forward(self, x):
        for part in self.modules():
            if isinstance(part, Lif):
                part.reset()
        return self.loop(self, x)


class TwoStates(nn.Module):
    """A neuron module that is given its current and its membrane in every call."""

    def forward(self, x, current, v):
        current = 0.5 * current + x
        v = 0.75 * v + current
        spikes = (v > 1).to(x)
        return spikes, current, v - spikes


@sc.neuron_module(TwoStates)
def two_states(module, shape):
    return Cell(Neuron.of("cubalif", FIRING, decay=0.75, decay_syn=0.5), returns=("output", "state", "state"))


def example():
    torch.manual_seed(0)
    return 3 * torch.randn(TICKS, BATCH, 4)


def load(loop, **parts):
    net = Loop(loop, **parts)
    return net, sc.load(net, example_input=example())


def refused(loop, *words, **parts):
    with pytest.raises(sc.CompileError) as error:
        load(loop, **parts)
    assert {d.code for d in error.value.diagnostics} <= {"SNN104", "SNN110"}
    for word in words:
        assert word in str(error.value)


# --- states ----------------------------------------------------------------------------------------------


def passed_back(order):
    def loop(m, x):
        states, record = (torch.zeros(1), torch.zeros(1)), []
        for step in x:
            spikes, current, v = m.two(m.fc(step), *states)
            states = {"kept": (current, v), "swapped": (v, current), "spikes": (current, spikes),
                      "again": (torch.zeros(1), torch.zeros(1)), "numbers": (0.0, 0.0)}[order]
            record.append(spikes)
        return torch.stack(record)
    return loop


def by_name(m, x):
    current, v, record = torch.zeros(1), torch.zeros(1), []
    for step in x:
        spikes, current, v = m.two(m.fc(step), v=v, current=current)
        record.append(spikes)
    return torch.stack(record)


def detached(m, x):
    current, v, record = torch.zeros(1), torch.zeros(1), []
    for step in x:
        spikes, current, v = m.two(m.fc(step), current.detach(), v)
        v.detach_()
        record.append(spikes.detach())
    return torch.stack(record)


@pytest.mark.parametrize("loop", [passed_back("kept"), by_name, detached])
def test_states_may_be_passed_on_by_position_or_by_name_or_detached(loop):
    net, graph = load(loop, two=TwoStates())
    x = example()
    with torch.no_grad():
        wanted = net(x).numpy().swapaxes(0, 1)
    result = sc.run(graph, x.numpy().swapaxes(0, 1), dtype=np.float32).outputs["output"]
    assert wanted.any()
    assert (result == wanted).all()


@pytest.mark.parametrize("order", ["swapped", "spikes", "again", "numbers"])
def test_states_that_are_passed_back_in_another_way_are_refused(order):
    refused(passed_back(order), "states that are not what the module returned", two=TwoStates())


def test_a_neuron_that_keeps_no_state_must_be_given_it():
    refused(lambda m, x: torch.stack([m.given(m.fc(step))[0] for step in x]), "states", given=Lif(explicit=True))


def reset_once(m, x):
    record = []
    for t, step in enumerate(x):
        if t == 3:
            m.lif.reset()
        record.append(m.lif(m.fc(step)))
    return torch.stack(record)


def halved(m, x):
    record = []
    for step in x:
        record.append(m.lif(m.fc(step)))
        m.lif.v = m.lif.v * 0.5
    return torch.stack(record)


def threshold(m, x):
    record = []
    for step in x:
        record.append(m.lif(m.fc(step)))
        m.lif.threshold += 0.1
    return torch.stack(record)


@pytest.mark.parametrize("loop", [reset_once, halved, threshold])
def test_neurons_that_are_changed_between_ticks_are_refused(loop):
    refused(loop, 'module "lif" (Lif)', "change between two of its calls")


def test_a_single_tick_that_resets_its_states_gets_a_note():
    net = Loop(lambda m, x: m.given(m.fc(x), torch.zeros(1))[0], given=Lif(explicit=True))
    notes = sc.load(net, example_input=torch.ones(2, 4), values="spike").notes
    assert [n.code for n in notes] == ["SNN105"]
    assert "gives it its initial states again" in notes[0].found


# --- loops -----------------------------------------------------------------------------------------------


def layer_by_layer(m, x):
    return torch.stack([m.lif2(m.fc(s)) for s in m.each(x)])


def test_a_loop_for_each_layer_gives_the_network_of_one_loop():
    net, graph = load(layer_by_layer, lif2=Lif(0.5))
    assert list(graph.populations) == ["lif", "lif2"]
    x = example()
    with torch.no_grad():
        wanted = net(x).numpy().swapaxes(0, 1)
    result = sc.run(graph, x.numpy().swapaxes(0, 1), dtype=np.float32).outputs["output"]
    assert wanted.any()
    assert (result == wanted).all()


def test_a_second_loop_over_the_mean_of_the_first_is_refused():
    def loop(m, x):
        mean = torch.stack(m.each(x)).mean(0)
        return torch.stack([m.lif2(m.fc(mean)) for _ in x])

    refused(loop, lif2=Lif())


@pytest.mark.parametrize("again", [lambda s: s.unsqueeze(1).repeat(1, 4, 1), lambda s: torch.stack([s] * 4, 1)])
def test_spikes_of_one_tick_may_not_be_repeated_over_time(again):
    with pytest.raises(sc.CompileError, match="of spikes"):
        sc.load(Loop(lambda m, x: again(m.lif(m.fc(x))).sum(1)), example_input=torch.ones(2, 4))


def test_tensors_whose_data_are_replaced_are_refused():
    def loop(m, x):
        y = m.fc(x[0])
        y.data = 2 * y.data
        return m.lif(y)

    refused(loop, "data were replaced")


def test_the_message_names_the_neuron_that_ends_a_tick():
    refused(lambda m, x: m.lif(m.other(m.lif(m.fc(x[0])))), 'module "lif" (Lif) is called again',
            other=nn.Linear(4, 4))


def test_a_network_without_a_known_neuron_says_so():
    class Own(nn.Module):
        def forward(self, x):
            return (x > 1).to(x)

    with pytest.raises(sc.CompileError, match="no module in it is a neuron that the compiler knows"):
        sc.load(nn.Sequential(nn.Linear(4, 4), Own()), example_input=(2, 4))


# --- outputs ---------------------------------------------------------------------------------------------


APART = {
    "a sum and a mean": lambda s: s.sum(0) + s.mean(0),
    "a sum beside a mean": lambda s: torch.cat((s.sum(0), s.mean(0)), 1),
    "ticks backwards": lambda s: torch.stack([s[t] for t in range(len(s) - 1, -1, -1)]),
    "two ticks side by side": lambda s: torch.cat([s[-1], s[-2]], 1),
    "all ticks side by side": lambda s: torch.cat(list(s), 1),
}


@pytest.mark.parametrize("name", APART)
def test_ticks_that_are_mixed_are_refused(name):
    refused(lambda m, x: APART[name](torch.stack(m.each(x))), "test_ticks.py line")


def test_two_reductions_over_time_are_two_outputs():
    _, graph = load(lambda m, x: (lambda s: (s.mean(0), s[-1], s))(torch.stack(m.each(x))))
    assert [end.decode for end in graph.outputs.values()] == ["rate", "last"]


def grown(m, x):
    """Each tick reads the sum of all ticks so far, from a list that grows."""
    seen, out = [], []
    for step in x:
        seen.append(step)
        out.append(m.lif(m.fc(torch.stack(seen).sum(0))))
    return torch.stack(out)


def shrunk(m, x):
    """Each tick reads fewer of the ticks so far."""
    out = []
    for t in range(TICKS):
        out.append(m.lif(m.fc(torch.cat(tuple(x[t:]), 1)[:, :4])))
    return torch.stack(out)


@pytest.mark.parametrize("loop", [grown, shrunk])
def test_lists_of_another_length_in_each_tick_are_refused(loop):
    refused(loop, "tick")
