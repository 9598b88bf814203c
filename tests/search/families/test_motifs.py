"""MSE-NAS and EB-NAS: motifs and links between layers against PyTorch."""

import numpy as np
import pytest

from snncompile.search.families import ebnas, msenas
from snncompile.search.families.backbones import Data
from snncompile.search.families.motifs import motif
from snncompile.search.families.signed_cells import Step
from snncompile.search.numbers import with_random_numbers
from tests.search.families import brain
from tests.search.families.reference import (
    agree,
    emits_the_same,
    first_and_last,
    functional,
    images,
    presets_hold,
    refuses,
)

DATA = Data((2, 8, 8), 3, "spike")
NONE = -1e-9
"""Populations behind inhibitory operations alone never fire, so none has to."""
WIDE = Data((2, 16, 16), 3, "spike")


def spikes(data, ticks):
    return (images(data.shape, ticks, samples=2) > 0).astype(np.float64)


def entry(layers, name, x, halvings):
    """An input of a cell, from the output of an earlier cell with so many halvings between them."""
    if not halvings:
        return brain.convolve(layers, name, x, each=True)
    x = brain.halve(layers, name, x)
    return layers.conv(f"{name}.further", x, norm=False, stride=2) if halvings == 2 else x


def cells_of(layers, x, cells, links=None):
    """The outputs of all cells behind that of the stem; cells 2, 4, ... 8 halve the size."""
    outputs = [layers.conv("stem", x)]
    for place, cell in enumerate(cells, start=1):
        if links:
            links(place, outputs)
        if place in (2, 4, 6, 8):
            outputs.append(brain.halve(layers, f"cell{place}", outputs[-1]))
            continue
        states = []
        for i in range(cell.inputs):
            source = max(place - cell.inputs + i, 0)
            between = sum(p in (2, 4, 6, 8) for p in range(source + 1, place))
            states.append(entry(layers, f"cell{place}.input{i}", outputs[source], between))
        outputs.append(brain.cell(layers, f"cell{place}", states, cell, each=True))
    return outputs


@pytest.mark.parametrize(("inputs", "which"), [(2, (1, 2, 3, 4, 5)), (3, (1, 1, 3, 1, 5)), (4, (2, 1, 4, 1, 5))])
def test_msenas_computes_what_pytorch_computes(inputs, which):
    cells = [motif(inputs, number) for number in which]
    graph = with_random_numbers(msenas.network(cells, DATA, channels=4), seed=inputs)
    agree(graph, spikes(DATA, 8), lambda layers, x: brain.head(layers, cells_of(layers, x, cells)[-1], 3), least=NONE)


MATRIX = ((1, 1), (1, 0))


def ebnas_small():
    layers = [[motif(2, n) for n in (2, 3, 4, 5, 1)], [motif(2, n) for n in (5, 3, 4, 2, 1)]]
    return layers, with_random_numbers(ebnas.network(layers, MATRIX, WIDE, channels=4), seed=3)


def test_ebnas_computes_what_pytorch_computes():
    """Layer 1 sends to itself and to layer 2, and layer 2 to layer 1; the last cell of a layer is cell 5 or 10."""
    layers, graph = ebnas_small()
    cells = [cell for layer in layers for cell in layer]
    last = {}

    def tick(torch_layers, x):
        def links(place, outputs):
            if place == 5 and last:
                outputs[4] = outputs[4] + last["1to1"] + last["2to1"]
            if place == 10:
                outputs[9] = outputs[9] + torch_layers.conv("link1to2", outputs[5], stride=4)

        outputs = cells_of(torch_layers, x, cells, links)
        last["1to1"] = torch_layers.conv("link1to1", outputs[5])
        last["2to1"] = functional.interpolate(torch_layers.conv("link2to1", outputs[10]), scale_factor=4)
        return brain.head(torch_layers, outputs[10], 3)

    agree(graph, spikes(WIDE, 6), tick, least=NONE)


def test_emitted_c_computes_what_the_interpreter_computes():
    layers = [[motif(2, 3), motif(2, 1)], [motif(2, 5), motif(2, 1)]]
    graph = with_random_numbers(ebnas.network(layers, MATRIX, DATA, channels=2), seed=3)
    assert {edge.delay for edge in graph.edges} == {0, 1}
    emits_the_same(graph, spikes(DATA, 3))


def test_bits_choose_the_sides_of_convolutions():
    own, chosen = motif(2, 2), motif(2, 2, (0, 0, 1, 1, 0, 1))
    assert own.nodes[0] == (Step("conv_5x5", 1, 0), Step("conv_5x5", 1, 1))
    assert chosen.nodes == ((Step("conv_3x3", 1, 0), Step("conv_3x3", 1, 1)),
                            (Step("skip_connect", 0, 0), Step("conv_5x5", -1, 2)),
                            (Step("conv_3x3", 1, 2), Step("conv_5x5", -1, 3)))


def test_links_back_take_the_bit_of_the_last_operation():
    assert motif(2, 3, (0, 0, 0, 0, 0, 0, 0, 1)).back == (Step("skip_connect", 0, 2), Step("conv_5x5", 1, 3))


def test_presets_and_spaces_build():
    presets_hold(ebnas.FAMILY)
    space = msenas.FAMILY.spaces["cifar10"]()
    assert space.size == 5 ** 6
    first_and_last(space)


@pytest.mark.parametrize(("build", "text", "found", "expected"), [
    (msenas.graph, "5:1,2,3,4", '"5"', "2 to 4"),
    (msenas.graph, "2:1,2,3", "3", "4 to 64"),
    (msenas.graph, "2:1,2,6,1", '"6"', "0 to 5"),
    (msenas.graph, "2:1,2,0,1", "0", "1 to 5"),
    (msenas.graph, "2:1,2/01,1,1", "2", "6 or more"),
    (msenas.graph, "2:1,2/01x,1,1", '"x"', "0 to 1"),
    (msenas.graph, f"2:1,2/{'0' * 33},1,1", "33", "at most 32"),
    (msenas.graph, "4:1,2,3,1", "nothing but skip", "an operation"),
    (ebnas.graph, "2345:0", "4", "5, a digit"),
    (ebnas.graph, "23451:01-10", "2 rows", "1 rows"),
    (ebnas.graph, "23451,23451:01-1", "1 characters", "expected 2, found 1"),
    (ebnas.graph, "23451,23451:02-10", '"2"', "0 to 1"),
    (ebnas.graph, "23451", "1 fields", "LAYERS:MATRIX:DATA:CHANNELS"),
])
def test_what_names_no_network_is_refused(build, text, found, expected):
    refuses(lambda: build(text), found, expected)
