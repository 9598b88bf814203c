"""Modules on torch's meta device load with bare shapes as weights, and are judged as modules with numbers are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.nn.utils import parametrizations  # noqa: E402

import snncompile as sc  # noqa: E402
from snncompile.cost.estimate import Cost  # noqa: E402
from snncompile.ir.ops import Conv, Linear, Scale  # noqa: E402
from snncompile.ir.types import ShapeOnly  # noqa: E402
from tests.frontends.torch.nets import Lif, same_network  # noqa: E402

EXAMPLE = (2, 4)
TARGETS = ("loihi2", "loihi1", "c99", "speck2f")
Make = Callable[[], nn.Module]


class Made(nn.Module):
    """A layer on the meta device, a neuron, and the attributes of the test; `forward` is a function of the test."""

    def __init__(self, forward, **attributes):
        super().__init__()
        self.fc, self.lif = nn.Linear(4, 4, device="meta"), Lif()
        self.function = forward
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.function(self, x)


def loaded(forward, example=EXAMPLE, **attributes):
    return sc.load(Made(forward, **attributes), example_input=example)


def refused(module, *words, example=EXAMPLE):
    with pytest.raises(sc.CompileError) as error:
        sc.load(module, example_input=example)
    for word in words:
        assert word in str(error.value)


# --- the graph ---------------------------------------------------------------------------------------------


def test_weights_become_bare_shapes_and_batch_norms_fold_to_bare_shapes():
    with torch.device("meta"):
        net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), Lif(), nn.Flatten(), nn.Linear(12, 5), Lif())
    graph = sc.load(net, example_input=(1, 2, 4, 4))
    conv, norm, linear = graph.nodes["0"], graph.nodes["1"], graph.nodes["4"]
    assert isinstance(conv, Conv)
    assert isinstance(norm, Scale)
    assert isinstance(linear, Linear)
    assert (conv.weight, conv.bias) == (ShapeOnly((3, 2, 3, 3)), ShapeOnly((3,)))
    assert norm.factor == norm.bias == ShapeOnly((3, 1, 1))
    assert (linear.weight, linear.bias) == (ShapeOnly((5, 12)), ShapeOnly((5,)))


def test_a_module_is_not_changed():
    net = Made(lambda m, x: m.lif(m.out(m.fc(x))), out=nn.Linear(4, 3))
    before = {name: (id(p), p.device.type) for name, p in net.named_parameters()}
    sc.load(net, example_input=EXAMPLE)
    assert {name: (id(p), p.device.type) for name, p in net.named_parameters()} == before


def test_real_parameters_beside_bare_ones_keep_their_numbers():
    out = nn.Linear(4, 3)
    graph = loaded(lambda m, x: m.lif2(m.out(m.lif(m.fc(x)) * m.k)), out=out, lif2=Lif(), k=nn.Parameter(
        torch.tensor(3.0)))
    weight = graph.nodes["out"].weight
    assert (weight == out.weight.detach().numpy()).all()
    assert graph.nodes["mul"].factor == 3.0
    assert graph.nodes["fc"].weight == ShapeOnly((4, 4))


def test_a_weight_of_numbers_and_bare_shapes_is_bare():
    masked = loaded(lambda m, x: m.lif(F.linear(x, m.fc.weight * m.mask, m.fc.bias)), mask=torch.eye(4))
    assert masked.nodes["linear"].weight == ShapeOnly((4, 4))


def test_an_attribute_without_numbers_is_enough():
    made = Made(lambda m, x: m.lif(m.fc(x) * m.gain), gain=torch.empty(4, device="meta"))
    made.fc = nn.Linear(4, 4)
    assert sc.load(made, example_input=EXAMPLE).nodes["mul"].factor == ShapeOnly((4,))


def test_weights_that_are_computed_from_bare_ones_are_bare():
    net = nn.Sequential(nn.Linear(4, 4, device="meta"), Lif())
    parametrizations.weight_norm(net[0])
    assert sc.load(net, example_input=EXAMPLE).nodes["0.linear"].weight == ShapeOnly((4, 4))


@pytest.mark.parametrize("known", ["mean", "affine", "none"])
def test_a_batch_norm_with_one_bare_part_folds_to_bare_shapes(known):
    norm = nn.BatchNorm1d(4, affine=known != "none", device="meta")
    if known == "mean":
        norm.running_mean = torch.zeros(4)
    elif known == "affine":
        norm.weight, norm.bias = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))
    graph = loaded(lambda m, x: m.lif(m.norm(m.fc(x))), norm=norm)
    assert graph.nodes["norm"].factor == graph.nodes["norm"].bias == ShapeOnly((4,))


def test_bare_summands_and_factors_become_bare_scales():
    k, b = nn.Parameter(torch.empty((), device="meta")), nn.Parameter(torch.empty(4, device="meta"))
    graph = loaded(lambda m, x: m.lif((m.fc(x) * m.k + 2 * m.b) / m.b - m.k), k=k, b=b)
    assert graph.nodes["mul"].factor == ShapeOnly(())
    assert graph.nodes["add"].bias == graph.nodes["div"].factor == ShapeOnly((4,))
    assert graph.nodes["sub"].bias == ShapeOnly(())


def recurrent(m, x):
    s, out = torch.zeros_like(x[0]), []
    for step in x:
        s = m.lif(m.fc(step) + m.back(s))
        out.append(s)
    return torch.stack(out)


def collected(m, x):
    record = torch.zeros(x.shape[0], x.shape[1], 4)
    for t in range(x.shape[0]):
        record[t] = m.lif(m.fc(x[t]))
    return record


def moved(m, x):
    return m.lif(m.fc(x.to("cpu", torch.float32)).cpu().to(m.back.weight.device).to(m.back.weight))


@pytest.mark.parametrize(("forward", "example"), [(recurrent, (5, 2, 4)), (collected, (5, 2, 4)), (moved, (2, 4))])
def test_a_pass_gives_the_graph_that_it_gives_with_numbers(forward, example):
    def graph(device):
        made = Made(forward, back=nn.Linear(4, 4))
        made.fc, made.back = nn.Linear(4, 4, device=device), nn.Linear(4, 4, device=device)
        return sc.load(made, example_input=example)

    def outline(graph):
        return graph.replace(nodes={n: bare(op) for n, op in graph.nodes.items()})

    def bare(op):
        return Linear(ShapeOnly(op.weight.shape), ShapeOnly(op.bias.shape)) if isinstance(op, Linear) else op

    assert same_network(graph("meta"), outline(graph("cpu")))


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "forward"), [
    ("bool", lambda m, x: m.lif(m.fc(x)) if m.fc.bias.sum() > 0 else m.lif(x)),
    ("item", lambda m, x: m.lif(m.fc(x) * m.fc.bias[0].item())),
    ("tolist", lambda m, x: m.lif(m.fc(x) * m.fc.bias.tolist()[0])),
])
def test_numbers_that_are_not_there_are_asked_for_in_vain(name, forward):
    refused(Made(forward), "SNN110", f"{name} of a tensor without numbers", "meta device")


def test_shapes_that_do_not_fit_are_refused():
    refused(Made(lambda m, x: m.lif(m.fc(x))), "SNN109", '"fc"', example=(2, 5))


def test_numbers_that_are_overwritten_by_bare_ones_are_not_used():
    refused(Made(lambda m, x: m.lif(m.fc(x) + torch.zeros(4).add_(m.fc.bias))), "SNN203", "NaN")


def test_a_bare_network_is_not_compiled():
    with pytest.raises(sc.CompileError, match="a shape without numbers"):
        sc.compile(Made(lambda m, x: m.lif(m.fc(x))), load_options={"example_input": EXAMPLE})


class Learnt(Lif):
    """A neuron whose decay is a parameter."""

    def __init__(self):
        super().__init__()
        self.decay = nn.Parameter(torch.tensor(0.5))


def test_a_description_of_the_user_that_needs_a_number_is_refused():
    sc.neuron_module(Learnt)(lambda module, shape: float(module.decay))
    refused(nn.Sequential(nn.Linear(4, 4), Learnt()).to("meta"), "SNN109", "describes it", "meta")


def test_a_quantizer_without_numbers_is_refused():
    brevitas = pytest.importorskip("brevitas.nn")
    net = nn.Sequential(brevitas.QuantLinear(4, 3, bias=True), Lif()).to("meta")
    refused(net, "SNN104", "quantizer", "weight_bits")


# --- verdicts ----------------------------------------------------------------------------------------------


class Small(nn.Module):
    """A convolution with a batch norm, and a layer, each with a neuron."""

    def __init__(self, make: Make):
        super().__init__()
        self.conv, self.norm, self.first = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), make()
        self.pool, self.fc, self.second = nn.AvgPool2d(2), nn.Linear(64, 10), make()

    def forward(self, x):
        first = spikes(self.first(self.norm(self.conv(x))))
        return spikes(self.second(self.fc(self.pool(first).flatten(1))))


def spikes(returned):
    """The spikes of a neuron that may return its membrane beside them."""
    return returned[0] if isinstance(returned, tuple) else returned


class Recurrent(nn.Module):
    """A loop over ticks with a recurrence."""

    def __init__(self):
        super().__init__()
        self.fc, self.back, self.lif = nn.Linear(4, 4), nn.Linear(4, 4), Lif()

    forward = recurrent


def trained(net: nn.Module) -> nn.Module:
    """The network with other statistics and parameters in its batch norms, as a training leaves them."""
    generator = torch.Generator().manual_seed(0)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.running_mean, part.running_var, part.weight, part.bias):
                tensor.data.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return net


def same_verdicts(make: Make, example: tuple[int, ...]) -> None:
    """Check the network with and without numbers on all targets, and compare all that a verdict says."""
    for target in TARGETS:
        full = sc.check(trained(make()), target, example_input=example)
        without = sc.check(make().to("meta"), target, example_input=example)
        assert without.violations == full.violations
        assert without.margins == full.margins
        assert every_weight(without.cost) == every_weight(full.cost)


def every_weight(cost: Cost) -> Cost:
    """The cost without what depends on how many weights are zero."""
    return replace(cost, accumulations=0, bit_operations=0, kept_bits=0)


def modules_of(framework: str) -> dict[str, tuple[Make, tuple[int, ...]]]:
    frames = (1, 2, 8, 8)
    if framework == "own":
        return {"small": (lambda: Small(Lif), frames), "recurrent": (Recurrent, (5, 2, 4))}
    if framework == "spikingjelly":
        neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
        return {n: (lambda make=make: Small(make), frames) for n, make in {
            "IFNode": neuron.IFNode, "LIFNode": neuron.LIFNode, "ParametricLIFNode": neuron.ParametricLIFNode,
            "soft reset": lambda: neuron.LIFNode(v_reset=None)}.items()}
    if framework == "snntorch":
        snn = pytest.importorskip("snntorch")
        kept: dict[str, Any] = {"init_hidden": True}
        return {n: (lambda make=make: Small(make), frames) for n, make in {
            "Leaky": lambda: snn.Leaky(0.9, **kept), "learnt": lambda: snn.Leaky(0.9, learn_beta=True, **kept),
            "Synaptic": lambda: snn.Synaptic(0.9, 0.8, **kept), "Alpha": lambda: snn.Alpha(0.9, 0.8, **kept),
            "prompt reset": lambda: snn.Leaky(0.9, reset_delay=False, reset_mechanism="zero"),
            "Lapicque": lambda: snn.Lapicque(0.9, **kept),
        }.items()} | {"RLeaky": (lambda: nn.Sequential(nn.Linear(7, 5), snn.RLeaky(
            0.9, linear_features=5, **kept)), (1, 7))}
    if framework == "sinabs":
        layers = pytest.importorskip("sinabs.layers")
        return {n: (lambda make=make: nn.Sequential(nn.Linear(7, 5), make()), (2, 4, 7)) for n, make in {
            "IAF": layers.IAF, "LIF": lambda: layers.LIF(tau_mem=10.0),
            "ALIF": lambda: layers.ALIF(tau_mem=10.0, tau_adapt=5.0)}.items()}
    norse = pytest.importorskip("norse.torch")
    return {n: (lambda make=make: nn.Sequential(nn.Linear(7, 5), make()), (4, 2, 7)) for n, make in {
        "LIF": norse.LIF, "LI": norse.LI, "LIFRecurrent": lambda: norse.LIFRecurrent(5, 6)}.items()}


@pytest.mark.parametrize("framework", ["own", "spikingjelly", "snntorch", "sinabs", "norse"])
def test_the_verdict_is_the_same_with_and_without_numbers(framework):
    for make, example in modules_of(framework).values():
        same_verdicts(make, example)


def test_a_neuron_keeps_its_own_numbers_beside_a_bare_layer():
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    net = nn.Sequential(nn.Linear(4, 4, device="meta"), neuron.ParametricLIFNode(init_tau=4.0))
    assert sc.load(net, example_input=EXAMPLE).nodes["1"].params["rate"] == pytest.approx(0.25)
    learnt = nn.Sequential(nn.Linear(4, 4), neuron.ParametricLIFNode().to("meta"))
    assert sc.load(learnt, example_input=EXAMPLE).nodes["1"].params["rate"] == ShapeOnly(())


def test_a_spiking_resnet_18_loads_without_numbers(monkeypatch):
    for name in ("torchvision", "torchvision.models", "torchvision.models.utils"):
        module = ModuleType(name)
        module.load_state_dict_from_url = None  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    models = pytest.importorskip("spikingjelly.activation_based.model.spiking_resnet")
    with torch.device("meta"):
        net = models.spiking_resnet18(spiking_neuron=neuron.IFNode, num_classes=10)
    example = (1, 3, 64, 64)
    graph = sc.load(net, example_input=example)
    weights = [a for op in graph.nodes.values() for n, a in op.arrays.items() if n == "weight"]
    assert all(isinstance(w, ShapeOnly) for w in weights)
    assert sum(w.size for w in weights) == sum(p.numel() for n, p in net.named_parameters() if p.dim() > 1)
    real = trained(models.spiking_resnet18(spiking_neuron=neuron.IFNode, num_classes=10))
    full, without = sc.check(real, "loihi2", example_input=example), sc.check(graph, "loihi2")
    assert (without.violations, without.margins) == (full.violations, full.margins)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize("framework", ["snntorch", "spikingjelly", "sinabs", "norse"])
def test_random_networks_have_the_verdicts_of_their_shapes(framework, share):
    """`share`: that of the layers and neurons which have no numbers."""
    pytest.importorskip(framework)
    from tests.frontends.torch.random_networks import random_case

    bare = 0
    for seed in range(6):
        case, rng = random_case(framework, seed, torch.float32), np.random.default_rng(seed)
        full = case.graph()
        for part in case.network.modules():
            if next(part.children(), None) is None and rng.random() < share:
                part.to("meta")
        graph = sc.load(case.network, example_input=case.given())
        bare += any(isinstance(a, ShapeOnly) for op in graph.nodes.values() for a in op.arrays.values())
        for target in TARGETS:
            wanted, verdict = sc.check(full, target), sc.check(graph, target)
            assert [(v.rule, v.diagnostic.place) for v in verdict.violations] == [
                (v.rule, v.diagnostic.place) for v in wanted.violations]
            assert verdict.margins == wanted.margins
    assert bare > 2
