"""Ways to take the ticks of an input, layers whose weights are computed in every tick, and wrappers of a network."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations  # noqa: E402

import snncompile as sc  # noqa: E402
from tests.frontends.torch.nets import Lif, same_network  # noqa: E402

TICKS, BATCH = 5, 3


class Loop(nn.Module):
    """A loop over the ticks that a function of the test gives, with a recurrence."""

    def __init__(self, ticks, layer=lambda layer: layer):
        super().__init__()
        torch.manual_seed(0)
        self.ticks = ticks
        self.fc, self.back, self.lif = layer(nn.Linear(4, 6)), layer(nn.Linear(6, 6)), Lif(0.75, 0.25)

    def forward(self, x):
        spikes, record = torch.zeros(BATCH, 6), []
        for step in self.ticks(self, x):
            spikes = self.lif(self.fc(step) + self.back(spikes))
            record.append(spikes)
        return torch.stack(record)


def example(*axes):
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (TICKS, BATCH, 4)).astype(np.float32))
    return x.permute(*axes).contiguous() if axes else x


FORMS = {
    "indexed before the loop": lambda m, x: [x[t] for t in range(TICKS)],
    "split": lambda m, x: [s.squeeze(0) for s in x.split(1)],
    "split in the loop": lambda m, x: (s[0] for s in torch.split(x, 1)),
    "chunk": lambda m, x: [s.squeeze(0) for s in x.chunk(TICKS)],
    "tensor_split": lambda m, x: (s.squeeze(0) for s in x.tensor_split(TICKS)),
    "narrow": lambda m, x: (x.narrow(0, t, 1).squeeze(0) for t in range(TICKS)),
    "narrow before the loop": lambda m, x: [x.narrow(0, t, 1).squeeze(0) for t in range(TICKS)],
    "index_select": lambda m, x: (x.index_select(0, torch.tensor([t])).squeeze(0) for t in range(TICKS)),
    "index_select before the loop": lambda m, x: [x.index_select(0, torch.tensor([t]))[0] for t in range(TICKS)],
    "slices": lambda m, x: (x[t:t + 1].squeeze(0) for t in range(TICKS)),
    "slices before the loop": lambda m, x: [x[t:t + 1, :, :].squeeze(0) for t in range(TICKS)],
    "select": lambda m, x: (x.select(0, t) for t in range(TICKS)),
    "unbind": lambda m, x: torch.unbind(x), "an ellipsis": lambda m, x: (x[t, ...] for t in range(TICKS)),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_network_of_a_plain_loop(name):
    plain = sc.load(Loop(lambda m, x: x), example_input=example())
    assert same_network(sc.load(Loop(FORMS[name]), example_input=example()), plain)


@pytest.mark.parametrize(("ticks", "axes"), [
    (lambda m, x: (x[:, t] for t in range(TICKS)), (1, 0, 2)), (lambda m, x: x.unbind(1), (1, 0, 2)),
    (lambda m, x: [s.squeeze(1) for s in x.split(1, dim=1)], (1, 0, 2)),
    (lambda m, x: (x[..., t] for t in range(TICKS)), (1, 2, 0)), (lambda m, x: x.permute(2, 0, 1), (1, 2, 0))])
def test_time_may_be_another_axis(ticks, axes):
    plain = sc.load(Loop(lambda m, x: x), example_input=example())
    assert same_network(sc.load(Loop(ticks), example_input=example(*axes)), plain)


def test_time_as_the_last_axis_is_noted():
    graph = sc.load(Loop(lambda m, x: (x[..., t] for t in range(TICKS))), example_input=example(1, 2, 0))
    (note,) = [n for n in graph.notes if n.found == "it takes [sample, ..., tick]"]
    assert "moveaxis" in note.help


def test_layers_before_the_loop_are_one_layer():
    class Before(Loop):
        def forward(self, x):
            return torch.stack([self.lif(c) for c in [self.fc(x[t]) for t in range(TICKS)]])

    graph = sc.load(Before(None), example_input=example())
    assert list(graph.nodes) == ["input", "fc", "lif", "output"]


@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.spectral_norm, parametrizations.weight_norm,
                                  parametrizations.spectral_norm, parametrizations.orthogonal])
@pytest.mark.parametrize("form", ["indexed before the loop", "narrow"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weights_may_be_computed_in_every_tick(norm, form):
    net = Loop(FORMS[form], norm).eval()
    graph = sc.load(net, example_input=example())
    with torch.no_grad():
        wanted = net(example()).numpy().swapaxes(0, 1)
        np.testing.assert_allclose(graph.nodes[next(n for n in graph.nodes if n.startswith("fc"))].weight,
                                   net.fc.weight, rtol=1e-6)
    result = sc.run(graph, example().numpy().swapaxes(0, 1), dtype=np.float32).outputs["output"]
    assert wanted.any()
    assert (result == wanted).all()


@pytest.mark.parametrize(("ticks", "words"), [
    (lambda m, x: [x[t].cumsum(1) for t in range(TICKS)], 'the operation "cumsum"'),
    (lambda m, x: (x[t].cumsum(1) * (t + 1) for t in range(TICKS)), 'the operation "cumsum"'),
    (lambda m, x: [x[TICKS - 1 - t] for t in range(TICKS)], "not the tick's part of one tensor"),
    (lambda m, x: x[::2], "a slice of the axis of time"), (lambda m, x: x[1:], "a slice of the axis of time"),
    (lambda m, x: (x[t] - x[t - 1] for t in range(1, TICKS)), "takes entry t+1"),
    (lambda m, x: x.split(2), "a slice of the axis of time"),
    (lambda m, x: (x.index_select(0, torch.tensor([t, t])).sum(0) for t in range(TICKS)), "changes from tick to tick"),
])
def test_other_ticks_and_functions_are_refused_by_their_cause(ticks, words):
    with pytest.raises(sc.CompileError) as error:
        sc.load(Loop(ticks), example_input=example())
    assert any(words in d.found for d in error.value.diagnostics), error.value


# --- wrappers --------------------------------------------------------------------------------------------


class Holder(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)


class Compiled(Loop):
    forward = torch.compile(Loop.forward)


def compiled_part(net):
    net.fc = torch.compile(net.fc)
    return net


@pytest.mark.parametrize(("wrap", "prefix"), [
    (nn.DataParallel, ""), (torch.compile, ""), (lambda net: nn.DataParallel(torch.compile(net)), ""), (Holder, "net."),
    (lambda net: torch.compile(Holder(net)), "net."), (compiled_part, ""), (nn.Sequential, "0.")])
def test_wrappers_give_the_network_that_they_hold(wrap, prefix):
    plain = sc.load(Loop(lambda m, x: x), example_input=example())
    wrapped = sc.load(wrap(Loop(lambda m, x: x)), example_input=example())
    assert same_network(wrapped, plain)
    assert [n for n in wrapped.nodes if n.endswith("lif")] == [f"{prefix}lif"]
    assert f"{prefix}fc" in wrapped.nodes


def test_a_forward_that_is_compiled_runs_as_it_is_written():
    plain = sc.load(Loop(lambda m, x: x), example_input=example())
    assert same_network(sc.load(Compiled(lambda m, x: x), example_input=example()), plain)
