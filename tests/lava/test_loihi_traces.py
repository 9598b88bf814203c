"""The LIF neuron of the NIR paper, compiled for Loihi, against what its authors recorded on a chip and in Lava.

The files hold input, membrane and spike for 1,000 ticks. Their network has a weight of 10 and a threshold of 25, in
Loihi's steps, and a decay of 0.04, which they cut to 163 / 4096; the compiler takes the finest step that 8 bits allow,
and the nearest decay, 164. The chip's record of the membrane says 128 where the neuron has fired, as its register then
counts the refractory period.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.loihi import LoihiLif
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.types import Array, Stage
from tests.lava.emitting import network

AFTER_A_SPIKE = 128


def recorded(folder: Path, name: str) -> Array:
    """Input, membrane and spikes, `[3, tick]`."""
    return np.loadtxt(folder / "nir" / "lif_traces" / f"{name}.csv", delimiter=",").T


@pytest.mark.parametrize("name", ["lif_lava_loihi_fixed", "lif_lava_cpu_fixed"])
def test_the_compiled_neuron_fires_in_the_ticks_in_which_loihi_fired(name: str, shared_data: Path) -> None:
    """Its membranes have a finer step than the authors chose, and the latency of a tick is Lava's own."""
    x, _, spikes = recorded(shared_data, name)
    model = sc.compile(shared_data / "nir" / "lif_norse.nir", "loihi1", calibration=x[None, :, None],
                       load_options={"as_": "norse"})
    found = model.reference(x[None, :, None]).outputs[0, :, 0]
    assert "LIF(" in network(model.artifact.files)
    assert model.report.latency_ticks == 1
    assert np.array_equal(np.flatnonzero(found) + model.report.latency_ticks, np.flatnonzero(spikes))


@pytest.mark.parametrize(("name", "fired"), [("lif_lava_loihi_fixed", AFTER_A_SPIKE), ("lif_lava_cpu_fixed", 0)])
def test_their_registers_give_their_membranes(name: str, fired: int, shared_data: Path) -> None:
    x, v, spikes = recorded(shared_data, name)
    graph = Graph("lif", {"x": Input((1,)), "n": LoihiLif(25, voltage_decay=163).population(), "y": Output()},
                  (Edge("x", "n", 1, (Linear(np.array([[10]])),)), Edge("n", "y")), Stage.INT)
    found = run(graph, x[None, :, None], record=True, states=True)
    emitted = found.emitted["n"][0, :, 0]
    assert np.array_equal(emitted, spikes)
    assert np.array_equal(np.where(emitted, fired, found.states["n"]["v"][0, :, 0]), v)
