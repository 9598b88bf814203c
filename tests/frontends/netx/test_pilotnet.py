"""PilotNet, which Intel trained, gives the spikes and membranes that Intel recorded.

The files contain:

- `network.net`: an input layer, five convolutions, flatten, four dense layers, all LOIHI neurons without current filter
  (iDecay 4096), vDecay 1024, vThMant 25; weights are even, so that no rule of rounding for mixed signs matters.
- `input.npy` `[width, height, channel, tick]`: 24 ticks of spikes that the *input layer's neurons* emitted (88 % of
  its values are spikes), so that this layer is skipped.
- `fc-k.npy`, `fc-k-v.npy` `[neuron, tick]` for k = 0, 1, 2: spikes and membranes of the first three dense layers,
  recorded on a chip. A membrane after the tick is 0 where its neuron fired, but the record says 128: the same
  register then counts the refractory period, `refDelay << 7`. The flattened order is channel, height, width.
- Tick 0 of every file is the same tick: a spike of layer i at tick t reaches membranes of layer i + 1 at t + 1, and
  the first convolution sees the input of tick t at t + 1.
- Samples were 17 ticks long and layers were reset in turn: convolution 1 before ticks 1 and 18, and every further layer
  one tick later, which gives 6 and 23 for the first dense layer. Before its first reset a layer integrates its biases.
- `fc-3-s.npy`, `fc-3-v.npy`: the readout (threshold 131071, no decay), 25 ticks, of another run, whose samples were 16
  ticks long: convolution 1 was reset before ticks 0 and 16, the readout before 8 and 24. What it sees at tick 24
  entered at tick 15, so the 25th tick of input does not matter.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.c.host import compiler
from snncompile.ir.interp import Traces, run
from snncompile.ir.types import Array
from snncompile.model import CompiledModel, inside_differences

AFTER_A_SPIKE = 128
RUNS = [
    pytest.param({"reset_interval": 17, "reset_offset": 1}, ["fc-0", "fc-1", "fc-2"], id="17 ticks a sample"),
    pytest.param({"reset_interval": 16, "reset_offset": 0}, ["fc-3"], id="16 ticks a sample"),
]


def spikes(folder: Path) -> Array:
    """The input `[1, 25, channel, height, width]`, whose last tick has no spikes."""
    x = np.load(folder / "input.npy").transpose(3, 2, 1, 0)[None].astype(np.uint8)
    return np.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0), (0, 0)))


def same_as_recorded(traces: Traces, folder: Path, layer: str) -> None:
    fired = np.load(folder / (f"{layer}-s.npy" if layer == "fc-3" else f"{layer}.npy")).T
    membrane = np.load(folder / f"{layer}-v.npy").T
    name = f"dense{7 + int(layer[-1])}"
    ticks = len(fired)
    emitted, v = traces.emitted[name][0, :ticks], traces.states[name]["v"][0, :ticks]
    assert ticks >= 24
    assert np.count_nonzero(emitted != fired) == 0
    assert np.count_nonzero(np.where(emitted, AFTER_A_SPIKE, v) != membrane) == 0


def compiled(folder: Path, resets: dict[str, int]) -> CompiledModel:
    return sc.compile(folder / "network.net", load_options={"skip_layers": 1, **resets})


@pytest.fixture(scope="module")
def pilotnet(shared_data: Path) -> Path:
    return shared_data / "lava_dl" / "pilotnet_lif"


@pytest.mark.parametrize(("resets", "layers"), RUNS)
def test_the_dense_layers_are_what_intel_recorded(pilotnet: Path, resets: dict[str, int], layers: list[str]) -> None:
    """The input goes through all convolutions, in the interpreter and in the emitted C, without any difference."""
    model, x = compiled(pilotnet, resets), spikes(pilotnet)
    wanted = run(model.graph, x, record=True, states=True)
    for layer in layers:
        same_as_recorded(wanted, pilotnet, layer)
    if compiler() is not None:
        emitted = model.trace(x)
        assert inside_differences(wanted, emitted) == []
        for layer in layers:
            same_as_recorded(emitted, pilotnet, layer)
