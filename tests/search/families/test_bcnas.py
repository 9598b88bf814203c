"""BCNAS-SNN: backward links against PyTorch, all of its candidates, and links that do not exist."""


import pytest

import snncompile as sc
from snncompile.search.families import bcnas
from snncompile.search.families.backbones import BACKBONES, DATA, Data, build, residual, whole
from snncompile.search.families.family import parameters
from snncompile.search.numbers import with_random_numbers
from tests.search.families.reference import (
    agree,
    emits_the_same,
    first_and_last,
    functional,
    images,
    lif,
    refuses,
    torch,
)

SMALL = Data((2, 6, 6), 3)
SHAPE = whole(residual(stem=5, stages=((5, 1), (6, 1))))
LIF = lif(0.5)


def small(links):
    return with_random_numbers(bcnas.network(SHAPE, links, SMALL), seed=3)


def tick(layers, x, links):
    """The backbone, with what the links take from the spikes of the last tick, no spikes before the first one."""
    shapes = [(5, 6, 6)] * 3 + [(6, 3, 3)] * 2

    def fire(layer, current):
        for source, target in links:
            if target == layer:
                before = layers.spikes.get(f"lif{source}")
                last = before[earlier] if before and earlier >= 0 else torch.zeros(len(x), *shapes[source - 1]).double()
                large = functional.interpolate(last, shapes[layer - 1][1:], mode="nearest")
                current = current + layers.conv(f"link{source}-{target}", large)
        return layers.fire(f"lif{layer}", current, LIF)

    earlier = len(layers.spikes.get("lif1", [])) - 1
    y = fire(1, layers.conv("stem", x))
    inner = fire(2, layers.conv("stage1.block1.conv1", y))
    y = fire(3, layers.conv("stage1.block1.conv2", inner) + y)
    inner = fire(4, layers.conv("stage2.block1.conv1", y, stride=2))
    y = layers.conv("stage2.block1.conv2", inner) + layers.conv("stage2.block1.shortcut", y, stride=2)
    return layers.linear("classes", fire(5, y).mean((2, 3)))


LINKS = [[], [(5, 1)], [(2, 2), (4, 1)], [(5, 3), (3, 3)], [(1, 1), (5, 1)]]


@pytest.mark.parametrize("links", LINKS)
def test_pytorch_computes_the_same_spikes(links):
    agree(small(links), images(SMALL.shape, 6), lambda layers, x: tick(layers, x, links))


@pytest.mark.parametrize("links", [[(2, 2), (4, 1)]])
def test_emitted_c_computes_what_the_interpreter_computes(links):
    emits_the_same(small(links), images(SMALL.shape, 5))


@pytest.mark.parametrize("backbone", ["resnet18", "resnet19"])
def test_all_candidates_of_the_paper_are_in_the_space(backbone):
    space = bcnas.FAMILY.spaces[backbone]()
    assert space.size == 11_782
    first_and_last(space)
    index = space.index({"links": ((5, 5), (17, 1))})
    graph = space.build(index)
    assert str(graph.nodes) == str(bcnas.graph(f"{backbone}:5-5,17-1").nodes)
    added = parameters(graph) - parameters(space.build(0))
    channels = [port.spikes.shape[0] for port in build("b", BACKBONES[backbone], DATA["cifar10"]).ports]
    assert added == channels[4] ** 2 + 2 * channels[4] + channels[16] * channels[0] + 2 * channels[0]


def test_a_link_closes_a_loop_that_some_hardware_refuses():
    graph = bcnas.network(SHAPE, [(5, 1)], SMALL._replace(values="spike"))
    assert sc.check(graph, "loihi2", dilate="auto").dilation == 5
    assert "delay" in {v.rule for v in sc.check(graph, "speck2f").violations}


def test_layers_without_a_map_are_no_ports():
    assert len(bcnas.ports(build("b", BACKBONES["resnet19-tet"], DATA["cifar10"]))) == 17


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("resnet18:1-2", "1-2", "LATER-EARLIER, layers 1 to 17"),
    ("resnet18:18-1", "18-1", "1 to 17"),
    ("resnet18:3-0", '"0"', "1 to 1,000"),
    ("resnet18:3", "3", "LATER-EARLIER"),
    ("resnet18:3-2-1", "3-2-1", "LATER-EARLIER"),
    ("resnet18:3-1,3-1", "3-1 twice", "once"),
    ("resnet18:a-b", '"a"', "a whole number"),
    ("resnet17:3-1", '"resnet17"', "resnet18"),
])
def test_links_that_do_not_exist_are_refused(text, found, expected):
    refuses(lambda: bcnas.graph(text), found, expected)
