"""Lists of blocks against PyTorch and in C; and attention, which every target refuses."""

import numpy as np
import pytest

import snncompile as sc
from snncompile.search.families import blocks
from snncompile.search.families.backbones import Data
from snncompile.search.families.family import parameters
from snncompile.search.families.table import candidate
from snncompile.search.numbers import with_random_numbers
from tests.search.families.reference import (
    Layers,
    agree,
    emits_the_same,
    images,
    lif,
    presets_hold,
    refusal,
    refuses,
    torch,
)

DATA = Data((2, 8, 8), 3)
MIXED = ["conv6k3+norm+lif>/0.2/0.8", "conv5k5s2b+norm+plif/1", "avg2+conv4k1+norm+if/1+back", "fc7+lif/0.5/0.5"]
UNITS = ["res5", "res6s2", "max2"]
SNNTORCH = ["conv4k3s2vb+max2+leaky/0.9/1/zero", "fc6+leaky/0.8/0.75/subtract"]


def small(words, seed=0):
    return with_random_numbers(blocks.network(words, DATA), seed)


def mixed(layers, x):
    def back(state, current):
        """The block adds its spikes of the last tick through a convolution of side 1."""
        v, spike = state or (torch.zeros_like(current),) * 2
        late = layers.conv("block3.back", spike, norm=False)
        fired, v = lif(1.0)(v, current + late)
        return fired, (v, fired)

    rate = float(1 / (1 + torch.exp(-torch.tensor(layers.graph.nodes["block2.plif"].params["w"]))))
    x = layers.fire("block1.lif", layers.norm("block1.norm", layers.conv("block1.conv", x, norm=False)),
                    lif(0.2, 0.8, strict=True))
    x = layers.norm("block2.norm", layers.conv("block2.conv", x, norm=False, stride=2))
    x = layers.fire("block2.plif", x, lif(1 - rate, gain=rate))
    x = torch.nn.functional.avg_pool2d(x, 2)
    x = layers.fire("block3.if", layers.norm("block3.norm", layers.conv("block3.conv", x, norm=False)), back)
    return layers.linear("classes", layers.fire("block4.lif", layers.linear("block4.fc", x), lif(0.5, 0.5)))


def units(layers, x):
    fire = lif(0.5, strict=True)
    for name, stride in (("block1", 1), ("block2", 2)):
        inner = layers.fire(f"{name}.lif1", layers.conv(f"{name}.conv1", x, stride=stride), fire)
        x = layers.conv(f"{name}.conv2", inner) + layers.conv(f"{name}.shortcut", x, stride=stride)
        x = layers.fire(f"{name}.lif2", x, fire)
    return layers.linear("classes", torch.nn.functional.max_pool2d(x, 2).mean((2, 3)))


def snntorch(layers, x):
    def leaky(beta, threshold, zero):
        """snnTorch's Leaky: a spike resets the membrane of the next tick, and to 0 with what arrives in that tick."""
        def tick(state, current):
            v, spike = state or (torch.zeros_like(current),) * 2
            v = (beta * v + current) * (1 - spike) if zero else beta * v + current - threshold * spike
            fired = (v > threshold).double()
            return fired, (v, fired)

        return tick

    x = torch.nn.functional.max_pool2d(layers.conv("block1.conv", x, norm=False, stride=2, padding=0), 2)
    x = layers.fire("block1.lif", x, leaky(0.9, 1, True))
    return layers.linear("classes", layers.fire("block2.lif", layers.linear("block2.fc", x), leaky(0.8, 0.75, False)))


@pytest.mark.parametrize(("words", "tick"), [(MIXED, mixed), (UNITS, units), (SNNTORCH, snntorch)])
def test_pytorch_computes_the_same_spikes(words, tick):
    agree(small(words), images(DATA.shape, 10), tick)


@pytest.mark.parametrize("words", [MIXED, UNITS, SNNTORCH])
def test_emitted_c_computes_what_the_interpreter_computes(words):
    emits_the_same(small(words), images(DATA.shape, 4))


def test_presets_build():
    presets_hold(blocks.FAMILY)


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("", "0", "1 to 1000"),
    ("conv32k3+norm+relu", '"relu"', "lif/0.5/1"),
    ("conv32+eca4", "eca4", "an odd side"),
    ("conv32+cbam0", "0", "1 to 4,096"),
    ("fc32+eca3", "attention of [32]", "an image"),
    ("conv0k3", "0", "1 to 4,096"),
    ("conv3k0", "0", "1 to 64"),
    ("conv32s65", "65", "1 to 64"),
    ("avg0", "0", "1 to 64"),
    ("res0", "0", "1 to 4,096"),
    ("conv32+back", "back", "behind neurons"),
    ("conv32+lif/0.5", "lif/0.5", "a decay of 0 to 1"),
    ("conv32+lif/1.5/1", "lif/1.5/1", "a decay of 0 to 1"),
    ("conv32+if/0", "if/0", "a threshold above 0"),
    ("conv32+lif/0.5/1/subtract", "lif/0.5/1/subtract", "only leaky has a choice of resets"),
    ("conv32+plif/0.5/1", "plif/0.5/1", "a threshold above 0"),
    ("+".join(["norm"] * 9), "9 parts", "at most 8"),
    ("conv32:mnist", '"mnist"', "cifar10"),
])
def test_what_names_no_network_is_refused(text, found, expected):
    refuses(lambda: blocks.graph(text), found, expected)


def test_a_pool_that_does_not_fit_is_refused():
    assert refusal(lambda: blocks.graph("avg33")).code == "SNN202"


ATTENTION = ["conv6k3+norm+lif/0.5/1", "conv5k3+norm+eca3+lif/0.5/1", "conv4k3+norm+cbam2+lif/0.5/0.3"]


def attention(layers, x):
    """ECA-Net and CBAM as their papers have them, in front of neurons."""
    fire, functional = lif(0.5), torch.nn.functional

    def weights(name):
        return layers._tensors(name, "weight", "bias")

    x = layers.fire("block1.lif", layers.norm("block1.norm", layers.conv("block1.conv", x, norm=False)), fire)
    x = layers.norm("block2.norm", layers.conv("block2.conv", x, norm=False))
    means = functional.conv1d(x.mean((2, 3))[:, None], weights("block2.eca.conv")[0], padding=1)[:, 0]
    factors = torch.sigmoid(means)
    layers.spikes.setdefault("block2.eca.sigmoid", []).append(factors)
    x = layers.fire("block2.lif", x * factors[:, :, None, None], fire)

    x = layers.norm("block3.norm", layers.conv("block3.conv", x, norm=False))
    (w1, b1), (w2, b2) = weights("block3.cbam.fc1"), weights("block3.cbam.fc2")
    both = [functional.linear(torch.relu(functional.linear(v, w1[:, :, 0], b1)), w2[:, :, 0], b2)
            for v in (x.mean((2, 3)), x.amax((2, 3)))]
    factors = torch.sigmoid(both[0] + both[1])
    layers.spikes.setdefault("block3.cbam.channels.sigmoid", []).append(factors)
    x = x * factors[:, :, None, None]
    pixels = torch.stack([x.mean(1), x.amax(1)], 1)
    factors = torch.sigmoid(layers.conv("block3.cbam.pixels", pixels, norm=False))
    layers.spikes.setdefault("block3.cbam.image.sigmoid", []).append(factors.expand(-1, x.shape[1], -1, -1))
    return layers.linear("classes", layers.fire("block3.lif", x * factors, lif(0.5, 0.3)).mean((2, 3)))


def test_attention_of_channels_and_pixels_is_that_of_pytorch():
    """Its factors agree but for rounding, its spikes without exception."""
    graph, x = small(ATTENTION), images(DATA.shape, 6)
    layers = Layers(graph)
    wanted = torch.stack([attention(layers, torch.tensor(x[:, t])) for t in range(6)], 1)
    traces = sc.run(graph, x, record=True)
    assert set(traces.emitted) == set(layers.spikes)
    for name, values in layers.spikes.items():
        expected = torch.stack(values, 1).numpy().reshape(traces.emitted[name].shape)
        np.testing.assert_allclose(traces.emitted[name], expected, atol=0 if name.endswith("lif") else 1e-12)
        assert 0.01 < expected.mean() < 0.99
    np.testing.assert_allclose(traces.outputs["output"], wanted, atol=1e-9)


@pytest.mark.parametrize(("words", "products"), [("eca3", 1), ("cbam16", 2), ("eca5+cbam4", 3)])
@pytest.mark.parametrize("target", ["c99", "loihi1", "loihi2", "speck2f"])
def test_attention_is_refused_by_name_and_has_parameters_and_costs(words, products, target):
    verdict = sc.check(candidate(f"madarts:conv16k3+norm+{words}+lif/0.5/1"), target)
    refused = [v.diagnostic for v in verdict.violations if "spikeproduct, a product" in v.diagnostic.found]
    assert {d.code for d in refused} == {"SNN410"}
    assert len(refused) == products or (target in ("loihi1", "speck2f") and len(refused) > products)
    assert verdict.cost.synapses > 16 * 27 * 32 * 32


def test_attention_has_the_parameters_of_its_papers():
    plain, eca, cbam = (parameters(candidate(f"madarts:conv32k3+norm{words}+lif/0.5/1"))
                        for words in ("", "+eca5", "+cbam16"))
    assert eca - plain == 5
    assert cbam - plain == 2 * (32 * 2) + 2 + 32 + 2 * 49
