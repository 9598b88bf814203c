"""Spiking transformers: shapes, parameters and spikes against PyTorch; and refused by name on every target."""

import math
from itertools import pairwise

import pytest

import snncompile as sc
from snncompile.ir.spike_product import SpikeProduct
from snncompile.search.families import autost, spikformer
from snncompile.search.families.backbones import Data
from snncompile.search.families.family import parameters
from snncompile.search.families.spikformer import Sizes, Style, network
from snncompile.search.families.table import candidate, family
from snncompile.search.numbers import with_random_numbers
from snncompile.targets.load import NAMES
from tests.search.families.reference import Layers, agree, functional, images, lif, refusal

DATA, SIZES, TAU, THRESHOLD = Data((2, 16, 16), 3), Sizes(16, (2, 4), (2, 1.5)), 1.25, 0.8
LIF = Style(lambda net, name, threshold: spikformer.lif(TAU, net, name, threshold), THRESHOLD, scale=0.5)
PLIF = Style(autost.plif, first=True, scale=0.5)


def small(style: Style):
    return with_random_numbers(network(SIZES, style, DATA, 4, name="small"), seed=4, gain=1.5)


class Transformer:
    """The forward step in PyTorch, with tokens before channels as in the papers: `[sample, token, channel]`."""

    def __init__(self, style: Style):
        self.style = style

    def fire(self, layers: Layers, name: str, x, threshold=None):
        threshold = self.style.threshold if threshold is None else threshold
        if not self.style.first:  # v = v + (x - v) / tau
            return layers.fire(name, x, lif(1 - 1 / TAU, threshold, gain=1 / TAU))
        k = 1 / (1 + math.exp(-float(layers.graph.nodes[name].params["w"][0])))
        return layers.fire(name, x, lif(1 - k, threshold, gain=k))

    def linear(self, layers: Layers, name: str, x):
        """A layer from channels to channels at each token, and a batch norm over channels."""
        weight, bias = layers._tensors(name, "weight", "bias")
        y = functional.linear(x, weight[:, :, 0], bias)
        return layers.norm(f"{name}.norm", y.transpose(1, 2)).transpose(1, 2)

    def tokens(self, layers: Layers, name: str, x, threshold=None):
        """Neurons of tokens: the graph has their channels first."""
        return self.fire(layers, name, x.transpose(1, 2), threshold).transpose(1, 2)

    def embed(self, layers: Layers, x):
        for i in (1, 2, 3):
            x = self.fire(layers, f"stem{i}.lif", layers.conv(f"stem{i}", x))
        x = layers.conv("stem4", functional.max_pool2d(x, 3, 2, 1))
        x = functional.max_pool2d(x if self.style.first else self.fire(layers, "stem4.lif", x), 3, 2, 1)
        y = layers.conv("stem5", x)
        return (x + (y if self.style.first else self.fire(layers, "stem5.lif", y))).flatten(2).transpose(1, 2)

    def attention(self, layers: Layers, name: str, x, heads: int):
        start = self.tokens(layers, f"{name}.lif", x) if self.style.first else x
        parts = []
        for word in ("queries", "keys", "values"):
            y = self.tokens(layers, f"{name}.{word}.lif", self.linear(layers, f"{name}.{word}", start))
            parts.append(y.unflatten(2, (heads, -1)).transpose(1, 2))  # [sample, head, token, channel]
        q, k, v = parts
        y = (q @ k.transpose(2, 3) * self.style.scale @ v).transpose(1, 2).flatten(2)
        y = self.linear(layers, f"{name}.out", self.tokens(layers, f"{name}.attend.lif", y, self.style.threshold / 2))
        return y if self.style.first else self.tokens(layers, f"{name}.out.lif", y)

    def mlp(self, layers: Layers, name: str, x):
        for i in (1, 2):
            x = self.tokens(layers, f"{name}.lif{i}", x) if self.style.first else x
            x = self.linear(layers, f"{name}.fc{i}", x)
            x = x if self.style.first else self.tokens(layers, f"{name}.lif{i}", x)
        return x

    def __call__(self, layers: Layers, x):
        x = self.embed(layers, x)
        for i, heads in enumerate(SIZES.heads, start=1):
            x = x + self.attention(layers, f"block{i}.attention", x, heads)
            x = x + self.mlp(layers, f"block{i}.layers", x)
        return layers.linear("classes", x.mean(1))


@pytest.mark.parametrize("style", [LIF, PLIF], ids=["auto-spikformer", "autost"])
def test_pytorch_computes_the_same_spikes(style):
    agree(small(style), images(DATA.shape, 4, samples=4, moving=False), Transformer(style))


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("text", ["autospikformer:small1", "autost:192:4,8:4,3"])
def test_every_target_refuses_attention_by_name_and_tells_shapes_and_costs(text, target):
    graph = candidate(text)
    verdict = sc.check(graph, target)
    blocks = sum(isinstance(op, SpikeProduct) for op in graph.nodes.values()) // 2
    assert verdict.forbidden["operators"] >= 2 * blocks > 0
    products = [v.diagnostic for v in verdict.violations if "spikeproduct" in v.diagnostic.found]
    assert len(products) == 2 * blocks
    assert {d.code for d in products} == {"SNN410"}
    assert verdict.cost.synapses > 0


def test_only_attention_is_refused_on_c99():
    for name, preset in spikformer.FAMILY.presets.items():
        verdict = sc.check(spikformer.graph(preset.text), "c99", cost=False)
        assert {v.rule for v in verdict.violations} == {"operators"}, name
        assert preset.source


def counted(dim, ratios, classes, inputs=3):
    """Convolutions without a bias, layers with one, and two numbers of a batch norm for each channel."""
    widths = [inputs, dim // 8, dim // 4, dim // 2, dim, dim]
    stem = sum(9 * a * b + 2 * b for a, b in pairwise(widths))
    hidden = [int(dim * ratio) for ratio in ratios]
    blocks = sum(4 * (dim * dim + 3 * dim) + 2 * dim * h + dim + h + 2 * dim + 2 * h for h in hidden)
    return stem + blocks + dim * classes + classes


def test_spikformer_4_384_has_its_9_32_million_parameters():
    graph = candidate("autospikformer:spikformer-4-384")
    assert parameters(graph) == counted(384, (4,) * 4, 10) == 9_324_730
    assert graph.shapes["tokens"] == (384, 64)
    assert graph.shapes["block1.attention.match"] == (12 * 64, 64)
    assert parameters(candidate("autospikformer:small1")) == counted(240, (4, 4, 3.5, 4), 10)
    assert parameters(candidate("autost:384:8,8,8:4,4,4:4:cifar100")) == counted(384, (4,) * 3, 100)


@pytest.mark.parametrize(("which", "depths", "first", "last", "ratios"), [
    ("tiny", (1, 10), 192, 384, [3, 4, 5]), ("small", (2, 12), 256, 512, [3, 4, 5]),
    ("base", (4, 15), 384, 768, [3, 4, 5, 6])])
def test_the_spaces_of_autost_have_channels_in_steps_of_64(which, depths, first, last, ratios):
    choices = autost.space(which).choices
    assert (min(choices["depth"]), max(choices["depth"]), len(choices["depth"])) == (*depths, depths[1] - depths[0] + 1)
    assert list(choices["dim"]) == list(range(first, last + 1, 64))
    for place in range(1, depths[1] + 1):
        assert (list(choices[f"heads{place}"]), list(choices[f"ratio{place}"])) == ([4, 8], ratios)
    assert len(choices) == 2 + 2 * depths[1]


def test_the_products_of_a_block_are_counted_as_pairs():
    """As the program of the search counts them: tokens squared times channels, twice."""
    graph = candidate("autospikformer:384:12:4")
    pairs = [op.synapses(graph.arriving(graph.edges_into[name][0])) for name, op in graph.nodes.items()
             if isinstance(op, SpikeProduct)]
    assert pairs == [64 * 64 * 384] * 2


@pytest.mark.parametrize(("name", "size"), [("autospikformer:sizes", 3 * 4 * 6 ** 4),
                                            ("autospikformer:neurons", 3 * 4 * 6 ** 4 * 5 * 8 * 3),
                                            ("autost:tiny", 10 * 4 * 6 ** 10), ("autost:small", 11 * 5 * 6 ** 12),
                                            ("autost:base", 12 * 7 * 8 ** 15)])
def test_spaces_have_the_choices_of_the_search(name, size):
    which, _, space = name.partition(":")
    found = family(which).spaces[space]()
    assert found.size == size
    pick = found.pick(size - 1)
    graph = found.build(size - 1)
    assert graph.shapes["tokens"][0] == pick["dim"]
    assert sum(isinstance(op, SpikeProduct) for op in graph.nodes.values()) == 2 * pick["depth"]
    assert found.index(pick) == size - 1


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("autospikformer:384:12", "2 fields", "3 to 5 fields"),
    ("autospikformer:100:10:4", "100", "a multiple of 8"),
    ("autospikformer:384:12,12:4", "2 numbers of heads and 1 ratios", "one of both"),
    ("autospikformer:384:7:4", "7", "a divisor of the 384"),
    ("autospikformer:384:12:0.5", '"0.5"', "1 to 16"),
    ("autospikformer:384:12:4e9", '"4e9"', "1 to 16"),
    ("autospikformer:384:12:4:4,1", "2", "3"),
    ("autospikformer:384:12:4:4,0,2", '"0"', "0.01 to 1,000"),
    ("autospikformer:384:12:4:4,1,0.5", '"0.5"', "1 to 1,000"),
    ("autospikformer:384:12:4:9999,1,2", '"9999"', "1 to 1,024"),
    ("autospikformer:99999:12:4", '"99999"', "8 to 4,096"),
    ("autospikformer:384:12:4:4,1,2:mnist", '"mnist"', "cifar10"),
    (f"autospikformer:384:{','.join(['12'] * 101)}:4", "101", "1 to 100"),
    ("autost:384:8", "2 fields", "3 to 5 fields"),
    ("autost:384:8:4:0", '"0"', "1 to 1,024"),
    ("autost:384:5:4", "5", "a divisor of the 384"),
])
def test_sizes_that_do_not_fit_are_refused(text, found, expected):
    diagnostic = refusal(lambda: candidate(text))
    assert diagnostic.code == "SNN404"
    assert text.partition(":")[0] in diagnostic.place
    assert found in diagnostic.found
    assert expected in diagnostic.expected
