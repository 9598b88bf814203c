"""Norse's containers: SequentialState of cells and of modules that take all ticks, Lift, and states with outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.diagnostics import CompileError
from snncompile.ir.interp import run
from snncompile.ir.types import Array

torch = pytest.importorskip("torch")
norse = pytest.importorskip("norse.torch")
from torch import nn  # noqa: E402

from tests.frontends.torch.modules import in_doubles  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


def params() -> Any:
    return norse.LIFParameters(tau_syn_inv=torch.tensor(500.0), v_th=torch.tensor(0.125))


def cells() -> dict[str, Any]:
    """Networks that take one tick."""
    return {
        "cells": [nn.Linear(5, 6), norse.LIFCell(params()), nn.Linear(6, 4), norse.LIFCell(params()), nn.Linear(4, 3),
                  norse.LICell()],
        "recurrent": [nn.Linear(5, 6), norse.LIFRecurrentCell(6, 7, params()), nn.Linear(7, 4), norse.LIFBoxCell()],
        "box": [nn.Linear(5, 6), norse.IAFCell(), nn.Dropout(0.5), nn.Linear(6, 3), norse.LIBoxCell()],
    }


def active(net: Any) -> Any:
    """The network in doubles, with weights that make it fire."""
    for p in net.parameters():
        p.data = torch.rand_like(p) * 1.5 - 0.25
    return net.double().eval()


def spikes(shape: tuple[int, ...]) -> Array:
    return (np.random.default_rng(0).random((3, 6, *shape)) < 0.6).astype(float)


@pytest.mark.parametrize("name", ["cells", "recurrent", "box"])
def test_a_sequential_state_of_cells_is_one_tick(name):
    torch.manual_seed(0)
    net, x = active(norse.SequentialState(*cells()[name])), spikes((5,))
    state, wanted = None, []
    with in_doubles():
        for t in range(6):
            y, state = net(torch.from_numpy(x[:, t]), state)
            wanted.append(y.numpy())
        graph = sc.load(net, example_input=torch.from_numpy(x[:, 0]))
    assert np.any(wanted)
    np.testing.assert_allclose(run(graph, x).outputs["output"], np.stack(wanted, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["cells", "recurrent", "box"])
def test_a_sequential_state_may_be_called_in_a_loop(name):
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = norse.SequentialState(*cells()[name])

        def forward(self, x: Any) -> Any:
            state, outputs = None, []
            for tick in x:
                y, state = self.net(tick, state)
                outputs.append(y)
            return torch.stack(outputs)

    torch.manual_seed(0)
    agree(active(Loop()), spikes((5,)))


def agree(net: Any, x: Array) -> None:
    """The network takes `[tick, sample, *shape]`."""
    given = torch.from_numpy(x).transpose(0, 1).contiguous()
    with in_doubles():
        returned = net(given)
        graph = sc.load(net, example_input=given)
    wanted = (returned[0] if isinstance(returned, tuple) else returned).transpose(0, 1).numpy()
    assert wanted.any()
    np.testing.assert_allclose(run(graph, x).outputs["output"], wanted, rtol=0, atol=1e-12)


def test_modules_that_take_all_ticks_are_a_sequence_too():
    torch.manual_seed(0)
    agree(active(norse.SequentialState(nn.Linear(5, 6), norse.LIF(params()), nn.Linear(6, 4),
                                       norse.LIFRecurrent(4, 4, params()))), spikes((5,)))


def test_lifted_layers_go_through_the_ticks_one_after_the_other():
    torch.manual_seed(1)
    lift = norse.Lift
    agree(active(norse.SequentialState(
        lift(nn.Conv2d(2, 3, 3)), norse.LIF(params()), lift(nn.AvgPool2d(2)), lift(nn.Flatten()), nn.Linear(3, 4),
        norse.LIF(params()))), spikes((2, 5, 5)))


def test_a_whole_network_of_cells_may_be_lifted():
    torch.manual_seed(0)
    inner = norse.SequentialState(nn.Conv2d(2, 3, 3), norse.LIFCell(params()), nn.Flatten(), nn.Linear(27, 4),
                                  norse.LIFCell(params()))
    agree(active(norse.Lift(inner)), spikes((2, 5, 5)))


def test_two_lifted_networks_of_cells_are_refused():
    net = norse.SequentialState(norse.Lift(norse.LIFCell()), norse.Lift(norse.LIFCell()))
    with pytest.raises(CompileError, match="SNN1"):
        sc.load(net, example_input=torch.zeros(6, 2, 5))
