"""Weights that the forward pass draws at random are refused, whichever function draws them."""

from __future__ import annotations

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import snncompile as sc  # noqa: E402

GENERATOR = torch.Generator()
DRAWN = {
    "dropout": lambda w: F.dropout(w, 0.5), "alpha_dropout": lambda w: F.alpha_dropout(w, 0.5, training=True),
    "feature_alpha_dropout": lambda w: F.feature_alpha_dropout(w, 0.5, training=True),
    "rrelu": lambda w: F.rrelu(w, training=True), "cauchy": lambda w: w + torch.empty(4, 4).cauchy_(),
    "log_normal": lambda w: w + torch.empty(4, 4).log_normal_(),
    "geometric": lambda w: w + torch.empty(4, 4).geometric_(0.5),
    "binomial": lambda w: w * torch.binomial(torch.full((4, 4), 5.0), torch.full((4, 4), 0.5)),
    "gumbel_softmax": lambda w: F.gumbel_softmax(w), "normal": lambda w: nn.init.normal_(torch.empty(4, 4)),
    "exponential": lambda w: w + torch.empty(4, 4).exponential_(generator=GENERATOR),
}


class Drawing(nn.Module):
    """A layer whose weights a function of the test draws."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.function = nn.Linear(4, 4), function

    def forward(self, x):
        return F.linear(x, self.function(self.fc.weight), self.fc.bias)


@pytest.mark.parametrize("name", DRAWN)
def test_weights_that_are_drawn_are_refused(name):
    net, x = Drawing(DRAWN[name]).eval(), torch.arange(8.0).reshape(2, 4)
    assert not torch.equal(net(x), net(x))
    with pytest.raises(sc.CompileError) as error:
        sc.load(net, example_input=x)
    problem = error.value.diagnostics[0]
    assert (problem.code, problem.found) == ("SNN104", f"{name} draws random numbers in the forward pass")


@pytest.mark.parametrize("function", [
    lambda w: F.dropout(w, 0.5, training=False), lambda w: F.rrelu(w), lambda w: F.alpha_dropout(w, 0.5)])
def test_functions_that_draw_nothing_in_evaluation_mode_are_constants(function):
    net, x = Drawing(function).eval(), torch.rand(3, 4)
    graph = sc.load(net, example_input=x, values="real")
    with torch.no_grad():
        wanted = net(x).numpy()
    np.testing.assert_allclose(sc.run(graph, x.numpy()[:, None]).outputs["output"][:, 0], wanted, rtol=1e-5)


@pytest.mark.parametrize("draw", [random.random, np.random.rand, lambda: np.random.normal(size=624)[0]])
def test_numbers_that_python_or_numpy_draw_are_refused(draw):
    """They come to torch as plain numbers, so that no recorded call shows where they are from."""
    states = random.getstate(), np.random.get_state()
    with pytest.raises(sc.CompileError) as error:
        sc.load(Drawing(lambda w: w * float(draw())).eval(), example_input=torch.ones(2, 4))
    assert {d.code for d in error.value.diagnostics} == {"SNN110"}
    assert "random numbers" in error.value.diagnostics[0].found
    assert random.getstate() == states[0]
    np.testing.assert_equal(np.random.get_state(), states[1])


def test_a_generator_of_ones_own_that_is_not_used_in_forward_is_no_matter():
    rng = random.Random(3)
    factor = rng.random()
    assert sc.load(Drawing(lambda w: w * factor).eval(), example_input=torch.ones(2, 4)).populations == {}
