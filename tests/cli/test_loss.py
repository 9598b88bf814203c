"""`snnc losses`."""

from __future__ import annotations

from tests.cli.running import answer, snnc
from tests.nets import SAMPLES


def test_each_source_has_a_row(files):
    given = ["losses", files / "small.nir", "--calibrate", files / "data.npz", "--labels", files / "data.npz",
             "--weight-bits", "2", "--membrane-bits", "8"]
    rows = answer(*given)["losses"]
    assert {row["source"] for row in rows} == {"all", "weights", "decays", "membranes", "none"}
    assert rows[0]["alone"]["samples"] == SAMPLES
    assert rows[0]["alone"]["integer_correct"] is not None
    shown = snnc(*given).stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["source", *(row["source"] for row in rows)]
    assert len(shown[1].split()) < len(shown[2].split())


def test_samples_are_needed_and_widths_known(files):
    assert snnc("losses", files / "small.nir", code=2).exit_code == 2
    found = answer("losses", files / "small.nir", "--calibrate", files / "data.npz", "--weight-bits", "auto", code=2)
    assert found["diagnostics"][0]["code"] == "SNN404"
