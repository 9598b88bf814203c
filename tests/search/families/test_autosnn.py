"""AutoSNN: blocks and parametric neurons against PyTorch, the published lists, and lists that do not fit."""

import math

import pytest

import snncompile as sc
from snncompile.search.families import autosnn
from snncompile.search.families.backbones import Data
from snncompile.search.families.family import parameters
from snncompile.search.numbers import with_random_numbers
from tests.search.families.reference import (
    Layers,
    agree,
    emits_the_same,
    first_and_last,
    functional,
    images,
    presets_hold,
    refuses,
    torch,
)

SMALL = Data((2, 16, 16), 3)


def small(blocks, before=()):
    graph = autosnn.network(blocks.split(","), 4, SMALL, before)
    return with_random_numbers(graph, seed=6)


class Blocks:
    """The forward step of the paper: `v = v + (x - v) k` with `k = sigmoid(w)`, v >= 1, hard reset."""

    def __init__(self, blocks, before):
        self.blocks, self.before = blocks.split(","), before

    def fire(self, layers: Layers, name, x):
        w = float(layers.graph.nodes[name].params["w"][0])
        k = 1 / (1 + math.exp(-w))

        def plif(v, x):
            v = torch.zeros_like(x) if v is None else v
            v = v + (x - v) * k
            spike = (v >= 1).double()
            return spike, v * (1 - spike)

        return layers.fire(name, x, plif)

    def block(self, layers, place, x, stride, wide):
        name, kind = f"block{place}", self.blocks[place - 1]
        if kind == "skip":
            return self.fire(layers, f"{name}.plif", layers.conv(f"{name}.conv", x)) if wide else x
        y = self.fire(layers, f"{name}.plif1", layers.conv(f"{name}.conv1", x, stride=stride))
        y = layers.conv(f"{name}.conv2", y)
        if kind.startswith("srb"):
            y = y + (layers.conv(f"{name}.shortcut", x, stride=stride) if wide else x)
        return self.fire(layers, f"{name}.plif2", y)

    def __call__(self, layers, x):
        y = self.fire(layers, "stem.plif", layers.conv("stem", x))
        for i, layer in enumerate(self.before, start=1):
            y = functional.max_pool2d(y, 2) if layer == "mp" else self.fire(
                layers, f"stem{i}.plif", layers.conv(f"stem{i}", y))
        for place, kind in enumerate(self.blocks, start=1):
            if kind == "mp":
                y = functional.max_pool2d(y, 2)
            else:
                strided = place in (2, 5, 8)
                wide = strided or (place in (3, 6) and "mp" in self.blocks)
                y = self.block(layers, place, y, 2 if strided else 1, wide)
        y = self.fire(layers, "votes.plif", layers.linear("votes", y))
        return functional.avg_pool1d(y[:, None], 10)[:, 0]


LISTS = [("srb5,mp,srb5,skip,mp,srb3,srb5,mp", ()), ("skip,mp,skip,scb3,mp,scb5,srb3,mp", ("mp", "conv")),
         ("scb3,srb5,srb3,skip,scb3,skip,srb5,srb3", ())]


@pytest.mark.parametrize(("blocks", "before"), LISTS)
def test_pytorch_computes_the_same_spikes(blocks, before):
    agree(small(blocks, before), images(SMALL.shape, 5, moving=False), Blocks(blocks, before))


def test_emitted_c_computes_what_the_interpreter_computes():
    emits_the_same(small(*LISTS[0]), images(SMALL.shape, 4, samples=2, moving=False))


def test_presets_build():
    presets_hold(autosnn.FAMILY)
    assert len(autosnn.FAMILY.presets) == 17


def test_the_published_network_has_416_688_weights_at_16_channels():
    graph = autosnn.graph(autosnn.FAMILY.presets["autosnn"].text)
    norms = sum(op.factor.size + op.bias.size for name, op in graph.nodes.items() if name.endswith(".norm"))
    assert parameters(graph) - norms == 416_688
    assert norms == 2 * sum(op.weight.shape[0] for op in graph.nodes.values() if op.kind() == "conv")


def test_channels_and_data_are_chosen():
    graph = autosnn.graph("srb5,mp,srb5,skip,mp,srb3,srb5,mp:128:tiny")
    assert graph.shapes["stem"] == (128, 64, 64)
    assert graph.nodes["votes"].weight.shape == (2000, 512 * 16)
    events = autosnn.graph("srb5,mp,srb5,skip,mp,srb3,srb5,mp:16:dvs-gesture")
    assert events.shapes["input"] == (2, 128, 128)
    assert events.nodes["votes"].weight.shape == (110, 64 * 16)
    assert sc.check(events, "c99").ok


def test_the_space_is_whole():
    space = autosnn.FAMILY.spaces["autosnn-16"]()
    assert space.size == 5 ** 5
    first_and_last(space)
    published = {"block1": "srb5", "block3": "srb5", "block4": "skip", "block6": "srb3", "block7": "srb5"}
    assert list(space.build(space.index(published)).nodes) == list(
        autosnn.graph(autosnn.FAMILY.presets["autosnn"].text).nodes)


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("srb5,mp", "2", "8"), ("srb7,mp,srb5,skip,mp,srb3,srb5,mp", '"srb7"', "srb3, srb5"),
    ("mp,mp,srb5,skip,mp,srb3,srb5,mp", "mp at 1, 2, 5, 8", "mp at 2, 5 and 8"),
    ("srb5,mp,srb5,skip,srb5,srb3,srb5,mp", "mp at 2, 8", "or nowhere"),
    ("srb5,skip,srb5,skip,srb5,srb3,srb5,srb5", "skip", "halves"),
    ("srb5,mp,srb5,skip,mp,srb3,srb5,mp:0", '"0"', "1 to 1,024"),
    ("srb5,mp,srb5,skip,mp,srb3,srb5,mp:16:mnist", '"mnist"', "tiny")])
def test_lists_that_do_not_fit_are_refused(text, found, expected):
    refuses(lambda: autosnn.graph(text), found, expected)
