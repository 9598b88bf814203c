"""Where a loss comes from: one source at a time, and all others."""

from __future__ import annotations

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.graph import Graph
from snncompile.ir.ops import Linear
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from tests.passes.chains import chain

RNG = np.random.default_rng(4)
SPIKES = (RNG.random((16, 20, 6)) < 0.4).astype(float)


def network(**entry) -> Graph:
    rng = np.random.default_rng(3)
    return chain(Linear(rng.normal(0, 0.5, (12, 6)), None), Neuron.of("lif", decay=0.83),
                 Linear(rng.normal(0, 0.5, (5, 12)), None), Neuron.of("lif", decay=0.61), shape=(6,), **entry)


def found(**options):
    rows = sc.losses(network(), calibration=SPIKES, **options)
    assert (rows[0].source, rows[-1].source) == ("all", "none")
    return {row.source: row for row in rows}


@pytest.mark.parametrize(("options", "culprit"), [
    ({"weight_bits": 2}, "weights"), ({"weight_bits": 16, "decay_bits": 1}, "decays"),
    ({"weight_bits": 16, "membrane_bits": 4}, "membranes"),
])
def test_the_source_of_a_loss_is_named_first(options, culprit):
    rows = found(**options)
    first = list(rows)[1]
    assert first == culprit
    assert rows["all"].alone.counts_shared < 0.95
    assert rows[culprit].alone.counts_shared < rows[culprit].without.counts_shared
    assert rows["none"].alone.counts_shared > 0.97
    assert rows["all"].without == rows["none"].alone


def test_the_first_row_is_the_network_that_is_compiled():
    model = sc.compile(network(), calibration=SPIKES, weight_bits=3, layers={"b": {"membrane_bits": 8}})
    rows = found(weight_bits=3, layers={"b": {"membrane_bits": 8}})
    assert rows["all"].alone == model.report.agreement
    assert "membranes" in rows


def test_sources_that_a_network_lacks_have_no_row():
    assert set(found()) == {"all", "none", "weights", "decays"}
    ops = (op for op in network().nodes.values() if isinstance(op, (Linear, Neuron)))
    real = chain(*ops, shape=(6,), values="real")
    rows = [row.source for row in sc.losses(real, calibration=RNG.random((8, 10, 6)), input_bits=2)]
    assert set(rows) == {"all", "none", "weights", "inputs", "decays"}
    assert rows[1] == "inputs"


def test_powers_of_two_are_a_source_too():
    rows = found(weight_bits=4, weight_grid="powers")
    assert rows["weights"].alone.counts_shared < rows["weights"].without.counts_shared


def test_registers_of_the_hardware_are_a_source_with_the_weights():
    reset = Firing(reset="value")
    graph = chain(Linear(RNG.normal(0, 0.5, (5, 6)), None), Neuron.of("lif", decay=0.77, firing=reset), shape=(6,))
    rows = {row.source: row for row in sc.losses(graph, "loihi1", calibration=SPIKES)}
    assert set(rows) == {"all", "none", "weights", "decays", "membranes"}
    assert rows["all"].alone.counts_shared < rows["weights"].without.counts_shared


@pytest.mark.parametrize("options", [{"weight_bits": "auto"}, {"weight_bits": 99}, {"calibration": None}])
def test_what_cannot_be_measured_is_refused(options):
    with pytest.raises(sc.CompileError) as caught:
        sc.losses(network(), **{"calibration": SPIKES, **options})
    assert caught.value.diagnostics[0].code == "SNN404"
