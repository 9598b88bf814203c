"""Modules that are broken, hostile or unsupported end in diagnostics. Loading does not change a module."""

from __future__ import annotations

import copy
import random
import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import snncompile as sc  # noqa: E402
from snncompile.ir.populations import Neuron  # noqa: E402
from tests.frontends.torch.nets import Lif, same_network  # noqa: E402

EXAMPLE = (2, 4)


class Made(nn.Module):
    """A layer, a neuron, and the attributes of the test; its `forward` is a function of the test."""

    def __init__(self, forward, **attributes):
        super().__init__()
        self.fc, self.lif = nn.Linear(4, 4), Lif()
        self.function = forward
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.function(self, x)


def refused(module, *words, example=EXAMPLE, **options):
    with pytest.raises(sc.CompileError) as error:
        sc.load(module, example_input=example, **options)
    for word in words:
        assert word in str(error.value)
    return error.value.diagnostics


def plain(m, x):
    return m.lif(m.fc(x))


def no_such_attribute(m, x):
    return m.lif(m.fc(x)) + m.nothing


class Attention(nn.Module):
    def forward(self, x):
        return x * x.softmax(1)


def test_an_unknown_module_is_named_by_path_class_and_operation():
    inner = nn.Sequential(nn.Linear(4, 4), nn.Sequential(Attention()))
    diagnostics = refused(Made(lambda m, x: m.layer(m.lif(x)), layer=inner), 'module "layer.1.0" (Attention)',
                          "mul behind softmax", "may only end a network")
    assert [d.code for d in diagnostics] == ["SNN104"]


def test_all_problems_are_reported_at_once():
    diagnostics = refused(Made(lambda m, x: m.lif(x.softmax(1)) + m.lif2(x.cumsum(1)), lif2=Lif()))
    assert len(diagnostics) == 2


BROKEN = {
    "an exception": (lambda m, x: m.nothing, ["SNN109", "AttributeError", "test_refusals.py line"]),
    "exit": (lambda m, x: exit(3), ["SNN109", "SystemExit"]),
    "a wrong shape": (lambda m, x: m.fc(x[:, :3]), ["SNN109", 'module "fc" (Linear)', "RuntimeError"]),
    "a value of the data": (lambda m, x: plain(m, x) if x.sum() > 1 else x, ["SNN110", "bool"]),
    "a number of the data": (lambda m, x: m.fc(x) * x.max().item(), ["SNN110", "item"]),
    "an array of the data": (lambda m, x: torch.from_numpy(m.fc(x).detach().numpy()), ["SNN110", "numpy"]),
    "a global tensor": (lambda m, x: m.fc(x) + GLOBAL, ["SNN110", "unknown origin"]),
    "a scripted function": (lambda m, x: scripted(m.fc(x)), ["SNN110", "unknown origin"]),
    "a write through a view": (lambda m, x: written(m.fc(x)), ["SNN110", "in place"]),
    "nothing returned": (lambda m, x: None, ["SNN110"]),
    "a constant returned": (lambda m, x: torch.ones(2), ["SNN110"]),
    "a state returned": (lambda m, x: m.other(x)[1], ["SNN110", '"other"']),
    "a state read": (lambda m, x: m.other(x)[1] + x, ["SNN104", '"other"']),
    "a neuron behind a constant": (lambda m, x: m.lif(torch.ones(2, 4)) + x, ["SNN104"]),
    "a weight of the data": (lambda m, x: F.linear(x, m.fc(x)), ["SNN104", "weight"]),
    "no end": (lambda m, x: forever(m, x), ["SNN103", "calls"]),
}
GLOBAL = torch.ones(4)


@torch.jit.script
def scripted(x):
    return x * 2


def written(x):
    y = x.view(-1)
    y[0] = 1
    return x


def forever(m, x):
    while True:
        x = x + 1


@pytest.mark.parametrize("name", BROKEN)
def test_broken_modules_end_in_diagnostics(name, monkeypatch):
    monkeypatch.setattr("snncompile.frontends.torch.recorder.MAX_CALLS", 1000)
    function, words = BROKEN[name]
    refused(Made(function, other=Lif(explicit=True)), *words)


class Raising(Lif):
    def __init__(self, first):
        super().__init__()
        self.first = first

    def tick(self, x, v):
        raise self.first


sc.neuron_module(Raising)(lambda module, shape: Neuron.of("lif"))


@pytest.mark.parametrize("error", [ValueError("no"), sc.CompileError(())])
def test_a_neuron_that_raises_leaves_nothing_behind(error):
    with pytest.raises(sc.CompileError):
        sc.load(Made(lambda m, x: m.other(x), other=Raising(error)), example_input=EXAMPLE)
    assert torch.overrides._get_current_function_mode() is None


def test_a_neuron_that_writes_to_its_input_is_refused_if_the_input_is_used_again():
    class Writing(Lif):
        def tick(self, x, v):
            spike, v = super().tick(x, v)
            x.mul_(0)
            return spike, v

    sc.neuron_module(Writing)(lambda module, shape: Neuron.of("lif"))
    refused(Made(lambda m, x: m.lif(y := m.fc(x)) + m.other(y) + y, other=Writing()), "SNN110", "in place")


@pytest.mark.parametrize("make", [
    lambda: nn.LazyLinear(3), lambda: torch.jit.script(nn.Linear(4, 4)), lambda: nn.LSTM(4, 4),
    lambda: nn.LSTM(4, 4, device="meta"), lambda: nn.TransformerEncoderLayer(4, 1),
    lambda: Made(plain, lock=threading.Lock())])
def test_unsupported_modules_end_in_diagnostics(make):
    refused(nn.Sequential(make(), Lif()))


def test_constants_have_the_numbers_of_the_time_of_the_call():
    def forward(m, x):
        factor = torch.full((4,), 3.0)
        row = factor.view(2, 2)
        y = x * factor
        row.zero_()
        return y

    graph = sc.load(Made(forward), example_input=torch.ones(2, 4))
    assert (np.asarray(graph.nodes["mul"].factor) == 3).all()


def test_a_recurrence_in_a_loop_of_one_tick_is_refused():
    def forward(m, x):
        spikes = torch.zeros_like(x)
        for _ in range(1):
            spikes = m.lif(m.fc(x) + m.back(spikes))
        return spikes

    refused(Made(forward, back=nn.Linear(4, 4)), "SNN110", "first tick")


def test_weights_that_are_nan_are_refused():
    net = Made(plain)
    with torch.no_grad():
        net.fc.weight[0, 0] = torch.nan
    refused(net, "SNN203", '"fc", weight')


def test_a_module_that_keeps_a_state_of_its_own_is_refused():
    """The graph of one tick would not hold the state."""
    def leak(m, x):
        m.v = 0.5 * m.v + m.fc(x)
        return m.v

    refused(Made(leak, v=torch.zeros(2, 4)), "SNN110", '"v"', "neuron_module")
    refused(Made(lambda m, x: leak(m, x), v=0.0), "SNN110", '"v"')

    def in_place(m, x):
        return m.v.mul_(0.5).add_(m.fc(x))

    refused(Made(in_place, v=torch.zeros(2, 4)), "SNN110", '"v"')


def test_a_module_that_trains_itself_is_refused_and_is_not_changed():
    def train(m, x):
        with torch.enable_grad():
            y = m.fc(x)
            y.sum().backward()
            torch.optim.SGD(m.parameters(), 0.1).step()
        return plain(m, x)

    net = Made(train)
    before = copy.deepcopy(net.state_dict())
    refused(net, "SNN110", '"fc.')
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert net.fc.weight.grad is None


# --- what stays unchanged ----------------------------------------------------------------------------------


def busy(m, x):
    m.count += 1
    m.seen.append(x)
    m.calls.add_(1)
    m.last = m.lif(m.fc(x + torch.rand(1).item() * 0))
    return m.norm(m.last)


def test_loading_does_not_change_the_module():
    net = Made(busy, count=0, seen=[], calls=torch.zeros(1), norm=nn.BatchNorm1d(4), last=None)
    net.train()
    net.lif.v = torch.full((7, 4), 0.25)
    weights = copy.deepcopy(net.state_dict())
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1]
    sc.load(net, example_input=EXAMPLE)
    assert (net.count, net.seen, net.last, net.training, float(net.calls)) == (0, [], None, True, 0)
    assert bool((net.lif.v == 0.25).all())
    assert all(torch.equal(weights[k], v) for k, v in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()
    assert not net._forward_hooks
    assert not net.fc._forward_pre_hooks


def test_a_module_that_was_just_trained_can_be_read():
    net = Made(plain)
    net(torch.rand(5, 4))
    assert net.lif.v.grad_fn is not None
    graph = sc.load(net, example_input=EXAMPLE)
    assert list(graph.populations) == ["lif"]


def test_calls_without_effect_on_the_result_are_ignored():
    def forward(m, x):
        x.softmax(1)
        return plain(m, x)

    assert "softmax" not in sc.load(Made(forward), example_input=EXAMPLE).nodes


@pytest.mark.filterwarnings("ignore")
def test_weights_are_those_that_the_layer_computes_with():
    old = nn.utils.weight_norm(nn.Linear(4, 3))
    new = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    with torch.no_grad():
        old.weight_g.mul_(2)
    graph = sc.load(nn.Sequential(old, new), example_input=EXAMPLE)
    x = torch.rand(3, 4)
    with torch.no_grad():
        expected = new(old(x)).numpy()
    np.testing.assert_allclose(sc.run(graph, x.numpy()[:, None]).outputs["output"][:, 0], expected, rtol=1e-5)


def test_hooks_of_the_user_are_part_of_the_network():
    net = nn.Sequential(nn.Linear(4, 4))
    net[0].register_forward_hook(lambda module, args, result: result * 2)
    assert list(sc.load(net, example_input=EXAMPLE).nodes) == ["input", "0", "0_1", "output"]


# --- inputs, outputs and options ---------------------------------------------------------------------------


def test_several_inputs_and_outputs_have_names():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.lif = nn.Linear(3, 2), nn.Linear(4, 2), Lif()

        def forward(self, left, right):
            s = self.lif(self.a(left) + self.b(right))
            return {"spikes": s, "current": self.b(right)}

    graph = sc.load(Two(), example_input=(torch.rand(2, 3), np.zeros((2, 4))))
    assert {n: op.shape for n, op in graph.inputs.items()} == {"left": (3,), "right": (4,)}
    assert list(graph.outputs) == ["spikes", "current"]


def test_inputs_of_different_batches_are_refused():
    class Two(nn.Module):
        def forward(self, left, right):
            return left + right[:2]

    refused(Two(), "SNN110", "other sizes", example=(torch.ones(2, 3), torch.ones(3, 3)))


def test_weights_of_16_bits_are_noted():
    notes = sc.load(nn.Linear(4, 3).to(torch.bfloat16), example_input=EXAMPLE, values="spike").notes
    assert [n.code for n in notes] == ["SNN105"]
    assert "bfloat16" in notes[0].found


def test_networks_of_16_bits_are_read_as_float32():
    torch.manual_seed(0)
    net = Made(plain).to(torch.bfloat16)
    x = torch.rand(2, 4).to(torch.bfloat16)
    assert same_network(sc.load(net, example_input=x), sc.load(net.float(), example_input=x))


def test_examples_without_numbers_or_with_gradients_are_shapes_and_numbers():
    net = Made(plain)
    wanted = sc.load(net, example_input=EXAMPLE)
    assert same_network(sc.load(net, example_input=torch.rand(2, 4, device="meta")), wanted)
    assert same_network(sc.load(net, example_input=torch.ones(2, 4, requires_grad=True) * 1), wanted)


def test_values_follow_the_example_unless_an_option_sets_them():
    net = Made(plain)
    assert sc.load(net, example_input=torch.ones(2, 4)).inputs["input"].values == "spike"
    real = sc.load(net, example_input=torch.full((2, 4), -1.5))
    assert (real.inputs["input"].values, real.inputs["input"].low) == ("real", -1.5)
    assert [n.code for n in real.notes] == ["SNN105"]
    assert not sc.load(net, example_input=torch.full((2, 4), 0.5), values="real").notes


@pytest.mark.parametrize(("options", "word"), [
    ({}, "example_input"), ({"example_input": "x"}, "example_input"), ({"example_input": (0, 4)}, "example_input"),
    ({"example_input": (True, 2, 4)}, 'of type "bool"'), ({"example_input": [(2, True)]}, 'of type "tuple"'),
    ({"example_input": (1 << 20, 1 << 20)}, "example_input"), ({"example_input": EXAMPLE, "dt": 1}, '"dt"'),
    ({"example_input": torch.ones(2, 4).to_sparse()}, "example_input"),
    ({"example_input": torch.ones(2, 4, dtype=torch.complex64)}, "example_input"),
    ({"example_input": EXAMPLE, "decode": "sum"}, "decode"), ({"example_input": torch.ones(())}, "example_input"),
])
def test_options_are_checked(options, word):
    with pytest.raises(sc.CompileError, match="SNN404") as error:
        sc.load(Made(plain), **options)
    assert word in str(error.value)
