"""The tables of neuron classes name classes that exist, and descriptions by the user come before them."""

from __future__ import annotations

import importlib

import pytest

from snncompile.diagnostics import CompileError
from snncompile.frontends.torch import cells
from snncompile.frontends.torch.cells import neuron_module
from snncompile.frontends.torch.neurons import FRAMEWORKS, cell_reader
from snncompile.ir.populations import Neuron

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_class_of_a_table_exists_in_the_framework(framework):
    pytest.importorskip(framework.lower())
    for name in FRAMEWORKS[framework]:
        module, _, cls = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), cls), type), name


class Mine(torch.nn.Module):
    def forward(self, x):
        return x


def test_a_users_own_class_is_read_by_the_users_function():
    assert cell_reader(Mine()) is None
    neuron_module(Mine)(lambda module, shape: Neuron.of("if"))
    read = cell_reader(Mine())
    cells.USER_CLASSES.pop(f"{Mine.__module__}.Mine")
    assert read is not None
    assert read(Mine(), (1,), "mine").neuron.rule.name == "if"


def test_a_users_function_for_a_class_of_a_framework_comes_before_the_table():
    snntorch = pytest.importorskip("snntorch")
    neuron_module("snntorch._neurons.leaky.Leaky")(lambda module, shape: Neuron.of("if"))
    read = cell_reader(snntorch.Leaky(0.5))
    cells.USER_CLASSES.pop("snntorch._neurons.leaky.Leaky")
    assert read is not None
    assert read(snntorch.Leaky(0.5), (1,), "mine").neuron.rule.name == "if"


@pytest.mark.parametrize(("name", "broken"), [
    ("beta", None), ("beta", "fast"), ("threshold", None), ("state_function", None), ("graded_spikes_factor", []),
    ("reset_mechanism_val", torch.tensor(7)), ("beta", torch.zeros(2, device="meta"))])
def test_a_module_with_attributes_of_another_kind_ends_in_a_diagnostic(name, broken):
    snntorch = pytest.importorskip("snntorch")
    module = snntorch.Leaky(0.5)
    module._buffers.pop(name, None)
    vars(module)[name] = broken
    with pytest.raises(CompileError) as caught:
        cell_reader(module)(module, (4,), "net.lif")
    assert caught.value.diagnostics[0].code in ("SNN104", "SNN203")
    assert "net.lif" in caught.value.diagnostics[0].place
