"""Energy on Loihi against SANA-FE, which simulates the chip. It is optional: `pip install --no-deps sanafe`."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

sanafe = pytest.importorskip("sanafe", reason="SANA-FE is not installed")

import snncompile as sc  # noqa: E402
from snncompile.ir.ops import Input, Linear  # noqa: E402
from snncompile.ir.populations import Neuron  # noqa: E402
from snncompile.ir.rules import Firing  # noqa: E402
from snncompile.ir.types import Array  # noqa: E402
from tests.targets.test_rules import chain  # noqa: E402

TICKS = 20
SIZES = (12, 30, 10)
THRESHOLD = 2.125
"""No sum of the weights, which are quarters: its neurons keep fewer bits than ours."""


def simulated(x: Array, weights: list[Array]) -> Any:
    """What SANA-FE says of the network on one core of its Loihi; two more ticks, one for each hop."""
    chip, net = sanafe.load_loihi(), sanafe.Network()
    shown = np.concatenate([x, np.zeros((len(weights), x.shape[1]), int)])
    groups = [net.create_neuron_group("in", SIZES[0], soma_hw_name="loihi_inputs[0]")]
    for i, size in enumerate(SIZES[1:]):
        groups.append(net.create_neuron_group(
            f"n{i}", size, model_attributes={"threshold": THRESHOLD, "leak_decay": 1.0, "reset": 0.0},
            soma_hw_name="loihi_lif", default_synapse_hw_name="loihi_dense_synapse"))
    for i in range(SIZES[0]):
        groups[0][i].set_attributes(soma_hw_name=f"loihi_inputs[{i}]",
                                    model_attributes={"spikes": shown[:, i].tolist()})
    for before, after, weight in zip(groups[:-1], groups[1:], weights, strict=True):
        for j, i in np.ndindex(*weight.shape):
            before[i].connect_to_neuron(after[j], {"weight": float(weight[j, i])})
    for neuron in (n for group in groups for n in group):
        neuron.map_to_core(chip.tiles[0].cores[0])
    run = sanafe.SpikingChip(chip)
    run.load(net)
    return run.sim(len(shown))


@pytest.mark.parametrize("seed", range(5))
def test_energy_is_that_of_sanafe(seed):
    rng = np.random.default_rng(seed)
    x = (rng.random((TICKS, SIZES[0])) < 0.3).astype(int)
    weights = [rng.integers(-2, 5, (b, a)) / 4 for a, b in itertools.pairwise(SIZES)]
    fire = Neuron.of("if", Firing(">", "value"), threshold=THRESHOLD)
    graph = chain(Input((SIZES[0],)), Linear(weights[0]), fire, Linear(weights[1]), fire)
    theirs = simulated(x, weights)
    ours = sc.estimate(graph, "loihi1", x[None], profile="sanafe-loihi")
    joules = theirs["energy"]
    assert ours.events == theirs["spikes"] > 0
    assert ours.input_spikes + ours.spikes == theirs["neurons_fired"]
    assert ours.energy_pj["synapses"] == pytest.approx(joules["synapse"] * 1e12, rel=1e-9)
    # It skips the update of neurons that nothing has reached yet; those are few.
    soma = ours.energy_pj["neurons"] + ours.energy_pj["spikes"]
    assert joules["soma"] * 1e12 <= soma <= joules["soma"] * 1e12 * 1.1
