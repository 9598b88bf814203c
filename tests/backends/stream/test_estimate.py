"""What is told of an FPGA before a tool runs is what tools then show: cycles, blocks, multipliers, and demands met."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import snncompile as sc
from benchmarks.fpga_cells import FAMILIES, counts, hardware, synthesised
from snncompile.backends.stream import area
from snncompile.backends.stream.estimate import limits_of
from snncompile.backends.stream.memory import XC7, blocks_of, differing_bits, style_of
from snncompile.backends.stream.multipliers import multipliers_for, multipliers_of
from snncompile.backends.verilog.host import simulate
from snncompile.diagnostics import CompileError
from snncompile.model import CompiledModel
from tests.nets import small, spikes
from tests.tools import needs


def simulated(model: CompiledModel, sample: int) -> int:
    x = {n: v[sample:sample + 1] for n, v in model.golden.inputs.items()}
    return simulate(model.mapped, model.artifact, x, states=False).cycles


@needs("iverilog")
@pytest.mark.parametrize("demand", [{"latency_us": us} for us in (12.0, 9.0, 7.0, 6.0, 5.2)]
                         + [{"samples_per_s": 120_000}, {"fastest": True}, {"lanes": 2}, {"units": 2, "lanes": 2}, {}])
def test_demands_are_met_in_simulation(demand: dict[str, Any]) -> None:
    model = sc.compile(small(), "ecp5-25f", calibration=spikes(), clock_mhz=100, **demand)
    figures = model.report.figures
    found = [simulated(model, k) for k in range(len(next(iter(model.golden.inputs.values()))))]
    assert figures["cycles"][:len(found)] == found
    assert max(found) <= 100 * demand.get("latency_us", np.inf)
    assert figures["samples_per_s"] >= demand.get("samples_per_s", 0)


def test_a_demand_takes_no_more_than_it_needs() -> None:
    """A shorter latency takes more look-up tables; the fastest folding takes most."""
    taken = [sc.compile(small(), "xc7a35t", calibration=spikes(), **demand).report.figures["luts"] for demand in (
        {}, {"latency_us": 8.0}, {"latency_us": 5.5}, {"fastest": True})]
    assert taken == sorted(taken)
    assert len(set(taken)) > 2


@pytest.mark.parametrize("demand", [{"latency_us": 0.01}, {"samples_per_s": 1e9}])
def test_a_demand_that_cannot_be_met_says_what_can(demand: dict[str, Any]) -> None:
    with pytest.raises(CompileError) as caught:
        sc.compile(small(), "ecp5-25f", calibration=spikes(), **demand)
    (problem,) = caught.value.diagnostics
    assert problem.code == "SNN420"
    assert next(iter(demand)) in problem.place


def test_a_network_of_more_blocks_than_the_device_is_refused_with_the_population() -> None:
    target = sc.load_target("ecp5-25f").with_(lut_memory_bits=0, blocks=1)
    with pytest.raises(CompileError) as caught:
        sc.compile(small(), target, calibration=spikes())
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.expected) == ("SNN416", "1 blocks")
    assert problem.help.startswith("population ")


@needs("pyosys")
@pytest.mark.parametrize(("family", "number"), [("xc7", 2), ("xc7", 5), ("ecp5", 2), ("ecp5", 5)])
def test_blocks_and_multipliers_are_those_of_yosys(family: str, number: int) -> None:
    made = hardware(number, family)
    luts, _, blocks, multipliers = counts(synthesised(made, family), family)
    assert (made.blocks, multipliers_of(made)) == (blocks, multipliers)
    estimated = area.cells_of(made).luts
    assert estimated is not None
    assert abs(estimated / luts - 1) < 0.2


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int64])
def test_bits_that_differ_are_counted_in_any_type(kind: type) -> None:
    assert differing_bits(np.array([[255, 0], [0, 0]]).astype(kind), 9) == (8 if kind is not np.int8 else 9)
    assert differing_bits(np.zeros((3, 1), kind), 9) == 0


@pytest.mark.parametrize(("one", "other", "family", "wanted"), [
    (9, 8, "ecp5", 1), (4, 4, "ecp5", 0), (19, 4, "ecp5", 1), (35, 18, "ecp5", 2), (36, 18, "ecp5", 3),
    (25, 18, "xc7", 1), (26, 18, "xc7", 2), (30, 30, "xc7", 4), (16, 16, "ice40", 1)])
def test_wide_products_take_a_multiplier_a_pair_of_pieces(one: int, other: int, family: str, wanted: int) -> None:
    assert multipliers_for(family, one, other) == wanted


def test_shapes_of_memories() -> None:
    assert [blocks_of(XC7, *shape) for shape in ((36, 512), (37, 512), (20, 2048), (1, 16385))] == [1, 2, 3, 2]
    assert [style_of(XC7, *shape) for shape in ((8, 32), (32, 128), (8, 4096))] == ["distributed", "block", "block"]
    assert style_of(sc.load_target("ice40-hx8k").fabric, 4, 16) == "logic"


@pytest.mark.parametrize("family", FAMILIES)
def test_devices_say_all_that_is_compared(family: str) -> None:
    limits = limits_of(sc.load_target(FAMILIES[family][0]).fabric)
    assert None not in (limits.luts, limits.flip_flops, limits.blocks, limits.multipliers)
