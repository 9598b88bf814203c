"""Networks that others trained, on data that others recorded, through the whole line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.c.host import compiler
from snncompile.data import read_input, read_labels
from snncompile.inputs import integers
from snncompile.ir.interp import run
from snncompile.ir.types import Array
from snncompile.model import inside_differences

TICKS, TRACED, PART = 310, 12, 4


@pytest.fixture(scope="module")
def recordings(shared_data: Path) -> tuple[Array, Array]:
    """The 40 test recordings of N-MNIST, 1 ms a tick, and their classes."""
    files = shared_data / "nmnist" / "test.csv"
    return read_input(files, (2, 34, 34), ticks=TICKS, tick_us=1000), read_labels(files)


@pytest.mark.slow
@pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
@pytest.mark.parametrize(("options", "most"), [
    pytest.param({"max_spikes": 1, "v_min": None}, 1, id="one spike a step"),
    pytest.param({"v_min": -1.0}, 255, id="many spikes a step, lowest membrane -1"),
])
def test_the_nmnist_network_in_8_bits(options: dict[str, Any], most: int, recordings: tuple[Array, Array],
                                     shared_data: Path) -> None:
    """At least 38 of 40 right in floats, at most one less in integers. The C is exact inside on some recordings, and
    decides as the interpreter on all of them.
    """
    x, labels = recordings
    graph = sc.load(shared_data / "nir" / "cnn_sinabs.nir", as_="sinabs", **options)
    model = sc.compile(graph, "c99", calibration=x, labels=labels, weight_bits=8)
    agreement = model.report.agreement
    assert agreement is not None
    assert agreement.float_correct is not None
    assert agreement.integer_correct is not None
    assert agreement.float_correct >= 38
    assert agreement.integer_correct >= agreement.float_correct - 1
    assert {p.output_range for p in model.report.populations} <= {(0, 1), (0, most)}
    assert model.host is not None
    for first in range(0, TRACED, PART):
        given = integers(model.graph, x[first:first + PART])
        wanted = run(model.graph, given, record=True, states=True)
        assert inside_differences(wanted, model.host.trace(given)) == []
    assert int((model.run(x).decisions == labels).sum()) == agreement.integer_correct


def test_the_braille_network_runs_as_c(shared_data: Path) -> None:
    """A trained recurrent network with current-based neurons."""
    graph = sc.load(shared_data / "nir" / "braille_noDelay_bias_zero.nir", as_="snntorch")
    rng = np.random.default_rng(0)
    x = (rng.random((8, 100, 12)) < 0.1).astype(np.uint8)
    model = sc.compile(graph, "c99", calibration=x, weight_bits=8)
    assert model.verify().ok
    assert model.run(x).spike_counts[next(iter(model.graph.populations))].sum() > 0
