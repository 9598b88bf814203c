"""`snnc explore`, and `explore`."""

from __future__ import annotations

import pytest

import snncompile as sc
from snncompile.diagnostics import CompileError
from tests.cli.running import answer, snnc
from tests.nets import nir_file, small, spikes


def test_each_point_is_what_compiling_with_its_layers_gives() -> None:
    model = sc.compile(small(), "ecp5-25f", calibration=spikes()[:4])
    points = sc.explore(model, "ecp5-25f")
    assert len(points) > 2
    assert [p.cycles for p in points] == sorted((p.cycles for p in points), reverse=True)
    for point in points:
        again = sc.compile(small(), "ecp5-25f", calibration=spikes()[:4], layers=point.layers)
        assert again.report.figures == point.figures


def test_no_point_takes_less_of_everything_than_another() -> None:
    points = sc.explore(sc.compile(small(), "xc7a35t", calibration=spikes()), "xc7a35t")
    for one in points:
        assert not any(all(a <= b for a, b in zip(other.takes, one.takes, strict=True)) for other in points
                       if other is not one)


def test_only_fpgas_are_explored() -> None:
    with pytest.raises(CompileError) as caught:
        sc.explore(sc.compile(small()), "c99")
    assert caught.value.diagnostics[0].code == "SNN404"


def test_the_command_shows_a_row_for_each_folding(tmp_path) -> None:
    file = nir_file(tmp_path)
    points = answer("explore", file, "--target", "ecp5-25f", "--clock-mhz", "50")["points"]
    assert points[0]["clock_mhz"] == 50
    shown = snnc("explore", file, "--target", "ecp5-25f", "--clock-mhz", "50").output
    assert all(f"{max(p['cycles']):,}" in shown for p in points)
    assert snnc("explore", file, "--target", "ecp5-25f", "--latency-us", "5", code=2).exit_code == 2
