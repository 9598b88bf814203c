"""Networks of SpikingJelly that read membranes, and its containers that keep a memory."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("spikingjelly")

from spikingjelly.activation_based import functional, layer, neuron  # noqa: E402
from torch import nn  # noqa: E402

import snncompile as sc  # noqa: E402
from tests.frontends.torch.modules import in_doubles  # noqa: E402

# --- readouts of membranes ---------------------------------------------------------------------------------


def readout(make, end, axis=0):
    """A network of two layers that returns what a function makes of the membranes of the last one."""
    class Readout(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.a, self.fire, self.b, self.out = nn.Linear(4, 6).double(), neuron.IFNode(0.5), nn.Linear(
                6, 3).double(), make()
            self.fire.step_mode = getattr(self.out, "step_mode", "m")

        def forward(self, x):
            functional.reset_net(self)
            return end(self, x)

    return Readout()


def stepped(m, x):
    return m.out(m.b(m.fire(m.a(x))))


def looped(read):
    def forward(m, x):
        membranes = []
        for step in x:
            stepped(m, step)
            membranes.append(m.out.v)
        return read(membranes)
    return forward


def kept(read):
    def forward(m, x):
        stepped(m, x)
        return read(m.out)
    return forward


def many_ticks(node):
    node.step_mode, node.store_v_seq = "m", True
    return node


INFINITE = [lambda: neuron.IFNode(float("inf")), lambda: neuron.LIFNode(3.0, v_threshold=float("inf")),
            lambda: neuron.CUBALIFNode(v_threshold=float("inf")),
            lambda: neuron.ParametricLIFNode(2.5, v_threshold=float("inf"), v_reset=0.25)]
NON_SPIKING = [neuron.NonSpikingIFNode, lambda decode: neuron.NonSpikingLIFNode(3.0, decode)]


def check_readout(net, decode, reduce):
    x = torch.from_numpy(np.random.default_rng(1).integers(0, 2, (5, 3, 4)).astype(float))
    with in_doubles():
        graph = sc.load(net, example_input=x)
        wanted = net(x)
    wanted = torch.stack(wanted) if isinstance(wanted, list) else wanted
    (result,) = sc.run(graph, x.numpy().swapaxes(0, 1)).outputs.values()
    assert [op.decode for op in graph.outputs.values()] == [decode]
    np.testing.assert_allclose(reduce(result), wanted.numpy(), rtol=1e-12, atol=1e-12)
    assert wanted.any()


REDUCE = {"last": lambda y: y[:, -1], "mean": lambda y: y.mean(1), "max": lambda y: y.max(1),
          "all": lambda y: y.swapaxes(0, 1)}


@pytest.mark.parametrize("make", NON_SPIKING)
@pytest.mark.parametrize(("decode", "decoding", "reduce"), [
    (None, "rate", "all"), ("last_mem", "last", "last"), ("mean-mem", "rate", "mean"), ("max-mem", "max", "max")])
def test_non_spiking_neurons_are_readouts(make, decode, decoding, reduce):
    check_readout(readout(lambda: make(decode=decode), stepped), decoding, REDUCE[reduce])


def test_the_membrane_that_is_furthest_from_zero_is_refused():
    net = readout(lambda: neuron.NonSpikingIFNode("max-abs-mem"), stepped)
    with pytest.raises(sc.CompileError, match="max-abs-mem"):
        sc.load(net, example_input=torch.zeros(5, 3, 4).double())


@pytest.mark.parametrize("make", INFINITE)
@pytest.mark.parametrize(("read", "decoding", "reduce"), [
    (lambda v: v[-1], "last", "last"), (lambda v: torch.stack(v).mean(0), "rate", "mean"),
    (lambda v: torch.stack(v).amax(0), "max", "max"), (torch.stack, "rate", "all")])
def test_membranes_of_neurons_that_never_fire_are_read_in_a_loop(make, read, decoding, reduce):
    check_readout(readout(make, looped(read)), decoding, REDUCE[reduce])


@pytest.mark.parametrize("make", INFINITE)
@pytest.mark.parametrize(("read", "decoding", "reduce"), [
    (lambda out: out.v, "last", "last"), (lambda out: out.v_seq.mean(0), "rate", "mean"),
    (lambda out: out.v_seq.max(0)[0], "max", "max"), (lambda out: out.v_seq, "rate", "all")])
def test_membranes_of_neurons_that_never_fire_are_read_after_many_ticks(make, read, decoding, reduce):
    check_readout(readout(lambda: many_ticks(make()), kept(read)), decoding, REDUCE[reduce])


def test_a_membrane_that_spikes_reset_is_no_readout():
    net = readout(lambda: neuron.IFNode(2.0), looped(lambda v: v[-1]))
    with pytest.raises(sc.CompileError, match='only states of "out"'):
        sc.load(net, example_input=torch.zeros(5, 3, 4).double())


def test_an_infinite_threshold_with_a_soft_reset_is_refused_since_the_membrane_is_nan():
    module = neuron.IFNode(float("inf"), v_reset=None)
    module(torch.ones(1, 4))
    assert module.v.isnan().all()
    net = readout(lambda: neuron.IFNode(float("inf"), v_reset=None), looped(lambda v: v[-1]))
    with pytest.raises(sc.CompileError, match="0 times infinity"):
        sc.load(net, example_input=torch.zeros(5, 3, 4).double())


# --- containers --------------------------------------------------------------------------------------------


CONTAINERS = {
    "linear recurrence": lambda: layer.LinearRecurrentContainer(neuron.LIFNode(v_threshold=0.1), 4, 4),
    "element-wise recurrence": lambda: layer.ElementWiseRecurrentContainer(neuron.IFNode(0.75), lambda a, b: b - 0.5 * a),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_recurrent_containers_in_a_loop(name):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(1)
            self.inner = CONTAINERS[name]().double()

        def forward(self, x):
            functional.reset_net(self)
            return torch.stack([self.inner(step) for step in x])

    check_readout(Net(), "rate", REDUCE["all"])


@pytest.mark.parametrize("name", CONTAINERS)
def test_recurrent_containers_in_a_single_tick_are_refused(name):
    """The graph of one tick would not hold what the container passes to the next."""
    with pytest.raises(sc.CompileError, match="an earlier call of the module left"):
        sc.load(CONTAINERS[name](), example_input=torch.ones(3, 4))
