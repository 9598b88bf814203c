"""A name that is misspelt is answered with the name that was meant, wherever names are given."""

import numpy as np
import pytest

import snncompile as sc
from snncompile.data import read_input
from snncompile.search import Net
from snncompile.search.families.table import candidate
from tests.nets import small, spikes

X = spikes()
MISSPELT = {
    "target": (lambda: sc.check(small(), "loihi3"), "loihi1 or loihi2"),
    "option of compile": (lambda: sc.compile(small(), weigt_bits=4), "weight_bits"),
    "option of a layer": (lambda: sc.compile(small(), layers={"lif1": {"wieght_bits": 4}}), "weight_bits"),
    "layer": (lambda: sc.compile(small(), layers={"lif3": {"weight_bits": 4}}), "lif1 or lif2"),
    "values by layer": (lambda: sc.compile(small(), weight_bits={"lif3": 4}), "lif1 or lif2"),
    "backend": (lambda: sc.compile(small(), "c99 backend=verilag"), "verilog"),
    "figure of a target": (lambda: sc.check(small(), "loihi1 chip=4"), "chips"),
    "budget": (lambda: sc.check(small(), "loihi2", budget={"corse": 3}), "cores"),
    "budget of widths": (lambda: sc.compile(small(), calibration=X, weight_bits="auto", budget={"weights_kib": 3}),
                         "weight_kib"),
    "profile": (lambda: sc.check(small(), "loihi1", profile="davis2018"), "davies2018"),
    "layout": (lambda: sc.compile(small(), calibration=X, layout="time_first"), "time-first"),
    "outside": (lambda: sc.compile(small()).run(X, outside="err"), "error"),
    "population to record": (lambda: sc.run(small(), X, record=["lif3"]), "lif1 or lif2"),
    "encoding": (lambda: read_input("frames.npy", (4,), encode="latancy", ticks=3), "latency"),
    "rule": (lambda: Net((1, 4, 4)).neuron("thresold"), "threshold"),
    "pool": (lambda: Net((1, 4, 4)).pool(2, kind="agv"), "avg"),
    "option of a file": (lambda: sc.load("x.nir", discretisation="exp"), "discretization"),
    "word of an option": (lambda: sc.load("x.nir", discretization="eulr"), "euler"),
    "family of candidates": (lambda: candidate("autosnnn:x"), "autosnn"),
}


@pytest.mark.parametrize("kind", MISSPELT)
def test_the_name_that_was_meant_is_suggested(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("frames.npy", np.zeros((2, 4)))
    work, meant = MISSPELT[kind]
    with pytest.raises(sc.CompileError) as caught:
        work()
    assert [d.help for d in caught.value.diagnostics] == [f"did you mean {meant}?"]
