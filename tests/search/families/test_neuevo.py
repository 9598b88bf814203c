"""NeuEvo: signed operations and links inside a tick against PyTorch, and the genotypes of its code."""

import numpy as np
import pytest

import snncompile as sc
from snncompile.search.families import neuevo
from snncompile.search.families.backbones import Data
from snncompile.search.families.family import parameters
from snncompile.search.families.signed_cells import read_cell
from snncompile.search.numbers import with_random_numbers
from tests.search.families import brain
from tests.search.families.reference import agree, emits_the_same, images, presets_hold, refusal, refuses

DATA = Data((2, 8, 8), 3, "spike")
NEW0 = ("avg_pool_3x3_p@1,avg_pool_3x3_n@0,conv_3x3_n@0,avg_pool_3x3_p@1,conv_3x3_p@2,conv_3x3_n@3,"
        "avg_pool_3x3_n_back@2,conv_3x3_p_back@1")
CELL = read_cell("neuevo", NEW0, 2)
PLAIN = read_cell("neuevo", "conv_3x3_n@0,conv_5x5_p@1,conv_3x3_p@1,conv_5x5_p@2,conv_5x5_n@2,skip_connect@1", 2)


def small(cell=CELL, seed=1):
    return with_random_numbers(neuevo.network(cell, DATA, channels=4, cells=5), seed)


def spikes(ticks):
    return (images(DATA.shape, ticks) > 0).astype(np.float64)


def tick_of(genotype):
    def tick(layers, x):
        """Five cells, of which the second and the fourth halve the size."""
        stem = layers.conv("stem", x)
        outputs = [stem, stem]
        for place in range(1, 6):
            name, (s0, s1) = f"cell{place}", outputs[-2:]
            if place in (2, 4):
                outputs.append(brain.halve(layers, name, s1))
                continue
            s0 = (brain.halve(layers, f"{name}.input0", s0) if place in (3, 5) else layers.conv(f"{name}.input0", s0))
            states = s0, layers.conv(f"{name}.input1", s1)
            outputs.append(brain.cell(layers, name, states, genotype, each=False))
        return brain.head(layers, outputs[-1], 3)

    return tick


@pytest.mark.parametrize("genotype", [CELL, PLAIN])
def test_pytorch_computes_the_same_spikes(genotype):
    agree(small(genotype), spikes(6), tick_of(genotype))


def test_emitted_c_computes_what_the_interpreter_computes():
    emits_the_same(small(), spikes(4))


def test_links_back_pass_no_tick():
    graph = neuevo.graph(neuevo.FAMILY.presets["cifar-new0"].text)
    assert all(edge.delay == 0 for edge in graph.edges)
    assert sc.check(graph, "c99", cost=False).ok


def test_a_link_back_is_read_by_later_nodes_only():
    graph = neuevo.network(CELL, DATA, channels=4, cells=5)
    readers = {e.src: [] for e in graph.edges}
    for edge in graph.edges:
        readers[edge.src].append(edge.dst)
    assert "cell1.node4.0" in readers["cell1.node3.behind"]
    assert "cell1.node4.0" not in readers["cell1.node2"]


def test_presets_build():
    family = neuevo.FAMILY
    assert len(family.presets) == 45
    presets_hold(family._replace(presets={n: p for n, p in family.presets.items() if n.startswith("cifar")}))


def test_presets_for_event_cameras_build():
    for name, preset in neuevo.FAMILY.presets.items():
        assert parameters(neuevo.graph(preset.text.replace(":cifar10-dvs", ":cifar10-dvs:8:10"))) > 0, name
    assert neuevo.FAMILY.presets["cifar-new0"].text == f"{NEW0}:cifar10"


def test_parameters_are_those_of_convolutions_and_norms():
    """Counted by hand: the pools and their shares have none."""
    pools = read_cell("neuevo", "avg_pool_3x3_p@0,avg_pool_3x3_p@1", 2)
    graph = neuevo.network(pools, Data((2, 8, 8), 3, "spike"), channels=4, cells=4)
    stem = 2 * 12 * 9 + 24
    first, second = 2 * (12 * 4 + 8), (8 * 4 * 9 + 16) + (24 * 8 + 16)
    halvings = 4 * 24 * 9 + 48, 8 * 48 * 9 + 96
    assert parameters(graph) == stem + first + second + sum(halvings) + 48 * 30 + 30


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("conv_7x7@0,conv_3x3@1", '"conv_7x7@0"', "OPERATION@SOURCE"),
    ("sep_conv_3x3_p@0,conv_3x3@1", "sep_conv", "conv_3x3, conv_5x5"),
    ("conv_3x3@0,conv_3x3@2", "source 2", "0 to 1"),
    ("conv_3x3@0,conv_3x3@1,conv_3x3@0,conv_3x3@1,conv_3x3_back@3", "source 3", "0 to 2"),
    ("conv_3x3@0,conv_3x3@1,conv_3x3_back@0", "1 nodes and 1 operations", "at most one"),
    ("skip@0,skip@1", "nothing but skip", "an operation"),
    ("conv_3x3@0", "0 nodes", "a node or more"),
    ("", "0", "1 to 1000"),
    (f"{NEW0}:mnist", '"mnist"', "cifar10"),
    (f"{NEW0}:cifar10:36:3", '"3"', "4 to 64"),
    (f"{NEW0}:cifar10:36:65", '"65"', "4 to 64"),
    (f"{NEW0}:cifar10:0:16", '"0"', "2 to 512"),
])
def test_what_names_no_network_is_refused(text, found, expected):
    refuses(lambda: neuevo.graph(text), found, expected)


def test_a_size_that_cannot_be_halved_is_refused():
    diagnostic = refusal(lambda: neuevo.network(CELL, Data((2, 6, 6), 3, "spike"), channels=4, cells=5))
    assert (diagnostic.found, diagnostic.expected) == ("3 x 3", "even numbers, since they are halved")
