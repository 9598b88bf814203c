"""STMixer: token mixing by heads and a stem with a bypass, against PyTorch and in C."""

from itertools import pairwise

import pytest

import snncompile as sc
from snncompile.ir.token_mix import TokenMix
from snncompile.search.families import stmixer
from snncompile.search.families.backbones import Data
from snncompile.search.families.family import parameters
from snncompile.search.families.stmixer import Genotype
from snncompile.search.families.table import candidate
from snncompile.search.numbers import with_random_numbers
from tests.search.families.reference import (
    Layers,
    agree,
    emits_the_same,
    functional,
    images,
    lif,
    presets_hold,
    refusal,
    refuses,
    torch,
)

DATA = Data((2, 8, 8), 3)
TWICE, FOUR = Genotype(8, 2, 16, 4, 2, 2, 4), Genotype(32, 4, 8, 4, 3, 1, 2)


def small(genotype: Genotype):
    return with_random_numbers(stmixer.network(genotype, DATA), seed=3)


class Mixer:
    """The forward step in PyTorch, written from the description of the network: channels first, tokens last."""

    def __init__(self, genotype: Genotype):
        self.genotype = genotype

    def fire(self, layers: Layers, name: str, x):
        return layers.fire(name, x, lif(0.5))

    def pointwise(self, layers: Layers, name: str, x):
        (weight,) = layers._tensors(name, "weight")
        return layers.norm(f"{name}.norm", torch.einsum("oc,bct->bot", weight[:, :, 0], x))

    def stem(self, layers: Layers, x):
        strides = {2: (1, 1, 1, 2, 2), 4: (1, 2, 2, 2, 2)}[self.genotype.downsample]
        y = x
        for i, stride in enumerate(strides, start=1):
            y = layers.conv(f"stem{i}", y, stride=stride)
            y = self.fire(layers, f"stem{i}.lif", y) if i < 5 else y
        side = 2 ** self.genotype.downsample
        return torch.cat([layers.conv("bypass", x, stride=side, padding=0), y], 1).flatten(2)

    def mixed(self, layers: Layers, name: str, x):
        """Each head has a matrix [out token, in token] for its channels."""
        (weight,) = layers._tensors(name, "weight")
        size = x.shape[1] // len(weight)
        return torch.cat([functional.linear(x[:, h * size:(h + 1) * size], matrix) for h, matrix in
                          enumerate(weight)], 1)

    def __call__(self, layers: Layers, x):
        x = self.stem(layers, x)
        for i in range(1, self.genotype.depth + 1):
            tokens, channels = f"block{i}.tokens", f"block{i}.channels"
            y = self.pointwise(layers, f"{tokens}.conv1", self.fire(layers, f"{tokens}.lif1", x))
            y = self.mixed(layers, f"{tokens}.mix", self.fire(layers, f"{tokens}.lif2", y))
            x = x + self.pointwise(layers, f"{tokens}.conv2", self.fire(layers, f"{tokens}.lif3", y))
            y = self.pointwise(layers, f"{channels}.conv1", self.fire(layers, f"{channels}.lif1", x))
            x = x + self.pointwise(layers, f"{channels}.conv2", self.fire(layers, f"{channels}.lif2", y))
        return layers.linear("classes", x.mean(-1))


@pytest.mark.parametrize("genotype", [TWICE, FOUR])
def test_pytorch_computes_the_same_spikes(genotype):
    x = images((2, genotype.image, genotype.image), 6, samples=4, moving=False)
    agree(small(genotype), x, Mixer(genotype))


def test_emitted_c_computes_what_the_interpreter_computes():
    emits_the_same(small(TWICE), images((2, 8, 8), 4, moving=False))


def test_presets_build():
    presets_hold(stmixer.FAMILY)


def counted(dim: int, tokens: int, mlp: int, depth: int, heads: int, classes: int, inputs: int = 3) -> int:
    """The parameters of the modules in the program of the authors, layer by layer."""
    widths = [inputs, dim // 8, dim // 4, dim // 2, dim, dim // 8 * 7]
    stem = sum(9 * a * b + 2 * b for a, b in pairwise(widths))
    bypass = inputs * 16 * (dim // 8) + 2 * (dim // 8)
    mixing = 2 * (dim * dim + 2 * dim) + heads * tokens * tokens
    return stem + bypass + depth * (mixing + 2 * mlp * dim * dim + 2 * mlp * dim + 2 * dim) + dim * classes + classes


def test_the_demonstration_has_the_parameters_of_its_modules():
    graph = candidate("stmixer:demo")
    assert parameters(graph) == counted(384, 64, 4, 10, 16, 100) == 17_531_156
    assert graph.shapes["tokens"] == (384, 64)
    assert graph.meta["ticks"] == 1
    mixings = [op for op in graph.nodes.values() if isinstance(op, TokenMix)]
    assert [op.heads for op in mixings] == [16] * 10
    assert sum(op.weight.size for op in mixings) == 10 * 16 * 64 * 64


def test_size_alone_is_refused_where_synapses_mix_tokens():
    """Sums between blocks are spread over projections where hardware carries spikes only."""
    text = "16,2,{},2,2,2,2:cifar10-spikes"
    large, small = (sc.check(candidate(f"stmixer:{text.format(dim)}"), "loihi1") for dim in (384, 8))
    assert small.ok
    assert {v.rule for v in large.violations} <= {"cores", "in-axons", "synapse-memory"}
    assert not large.ok


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("32,2,384", "3", "7"),
    ("32,2,384,1,4,10,16,1", "8", "7"),
    ("32,3,384,1,4,10,16", "3", "2 or 4"),
    ("33,2,384,1,4,10,16", "33", "a multiple of 4"),
    ("40,4,384,1,4,10,16", "40", "a multiple of 16"),
    ("32,2,100,1,4,10,10", "100", "a multiple of 8"),
    ("32,2,384,1,4,10,7", "7", "a divisor of the 384"),
    ("32,2,384,0,4,10,16", '"0"', "1 to 1,024"),
    ("32,2,384,1,4,101,16", '"101"', "1 to 100"),
    ("32,2,99999,1,4,10,16", '"99999"', "8 to 4,096"),
    ("32,2,384,1,4,10,16:mnist", '"mnist"', "cifar10"),
])
def test_numbers_that_do_not_fit_are_refused(text, found, expected):
    refuses(lambda: stmixer.graph(text), found, expected)


def test_a_matrix_of_tokens_that_is_too_large_is_refused():
    assert refusal(lambda: stmixer.graph("1024,2,8,1,1,1,1")).code == "SNN205"
