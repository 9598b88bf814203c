"""The report as a browser shows it: on a desk and on a phone, by day and by night."""

from __future__ import annotations

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Linear, Output
from snncompile.ir.populations import Neuron
from snncompile.report.html import page
from tests.nets import small, spikes, two_inputs
from tests.report.browser import seen
from tests.tools import needs

pytestmark = needs("chromium")
DESK, PHONE = 1200, 390


def long_names() -> Graph:
    """Populations whose names have many letters and no place to break them."""
    graph = small("a_network_with_a_name_of_many_letters_and_no_blank_in_it")
    new = {n: f"encoder.stages.0.blocks.{i}.spiking_neuron_number_{i}" for i, n in enumerate(graph.populations)}
    return graph.replace(nodes={new.get(n, n): op for n, op in graph.nodes.items()}, edges=tuple(
        Edge(new.get(e.src, e.src), new.get(e.dst, e.dst), e.delay, e.chain) for e in graph.edges))


def values() -> sc.CompiledModel:
    """Two inputs and outputs, of spikes and of values."""
    rng = np.random.default_rng(0)
    x = {"spikes": (rng.random((3, 12, 4)) < 0.4).astype(float), "frame": rng.uniform(-1, 1, (3, 12, 5))}
    return sc.compile(two_inputs(), calibration=x, weight_bits=4)


def wide() -> sc.CompiledModel:
    """Many cores on many chips."""
    rng = np.random.default_rng(0)
    nodes = {"in": sc.load(small()).inputs["in"], "fc": Linear(rng.normal(0, 1, (900, 6))), "lif": Neuron.of("lif"),
             "fc2": Linear(rng.normal(0, 0.2, (40, 900))), "lif2": Neuron.of("lif"), "out": Output()}
    edges = tuple(Edge(a, b) for a, b in zip(list(nodes), list(nodes)[1:], strict=False))
    return sc.compile(Graph("wide", nodes, edges), sc.load_target("loihi2 chips=2").with_(neurons_per_core=5))


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    models = {"small": sc.compile(small(), calibration=spikes(), labels=[0, 1, 2, 0, 1], weight_bits=3),
              "long": sc.compile(long_names(), sc.load_target("loihi2").with_(neurons_per_core=4)),
              "values": values(), "wide": wide()}
    return {name: page(model) for name, model in models.items()}


@pytest.fixture(scope="module", params=[False, True], ids=["day", "night"])
def found(request, pages, tmp_path_factory):
    return request.param, seen(pages, [DESK, PHONE], request.param, tmp_path_factory.mktemp("browser"))


def test_nothing_is_cut_off_and_no_word_is_broken(found):
    for where, look in found[1].items():
        assert look["wider"] <= 0, where
        assert look["cut"] == [], where
        assert look["broken"] == [], where


def test_all_text_can_be_read_by_day_and_by_night(found):
    for where, look in found[1].items():
        assert look["pale"] == [], where


def test_boxes_of_pictures_are_as_dark_as_the_page(found):
    night, pages = found
    for look in pages.values():
        assert (look["paper"] < 0.05) is night
        assert look["figures"]
        assert all((light < 0.05) is night for light in look["figures"])


def test_every_picture_is_there_and_its_text_is_large_enough(found):
    for (name, width), look in found[1].items():
        kinds = {kind.split()[1] for kind, _ in look["drawn"]}
        chip = {"snnc-chip"} if name in ("long", "wide") else set()
        assert kinds == {"snnc-bars", "snnc-raster", "snnc-curve", "snnc-net"} | chip
        assert min(look["texts"]) >= 8, (name, width)
