"""Samples in the order of their axes that PyTorch modules over time have, `[tick, sample, ...]`."""

from __future__ import annotations

import numpy as np
import pytest

import snncompile as sc
from snncompile.data import read_input
from tests.cli.running import answer, snnc
from tests.nets import SAMPLES, nir_file, reals, small, spikes, two_inputs


def test_time_first_samples_compile_to_the_same_network() -> None:
    x, labels = spikes(), np.arange(SAMPLES) % 3
    wanted = sc.compile(small(), calibration=x, labels=labels)
    found = sc.compile(small(), calibration=x.swapaxes(0, 1), labels=labels, layout="time-first")
    assert found.artifact.files == wanted.artifact.files
    assert found.report.agreement == wanted.report.agreement


def test_each_input_has_the_layout() -> None:
    x = {"spikes": spikes(size=4), "frame": reals()}
    wanted = sc.compile(two_inputs(), calibration=x)
    swapped = {n: v.swapaxes(0, 1) for n, v in x.items()}
    assert sc.compile(two_inputs(), calibration=swapped, layout="time-first").artifact.files == wanted.artifact.files


def test_labels_that_fit_the_other_axis_say_which_layout_that_is() -> None:
    x = spikes()
    assert x.shape[0] != x.shape[1]
    with pytest.raises(sc.CompileError) as caught:
        sc.compile(small(), calibration=x.swapaxes(0, 1), labels=np.zeros(SAMPLES, np.int64))
    assert 'layout="time-first"' in caught.value.diagnostics[0].help


@pytest.mark.parametrize("layout", ["tick-first", ""])
def test_there_are_two_layouts(layout: str) -> None:
    with pytest.raises(sc.CompileError) as caught:
        sc.compile(small(), calibration=spikes(), layout=layout)
    assert caught.value.diagnostics[0].code == "SNN404"


def test_files_have_layouts_too(tmp_path) -> None:
    x = spikes()
    np.savez(tmp_path / "first.npz", x=x)
    np.savez(tmp_path / "later.npz", x=x.swapaxes(0, 1))
    assert np.array_equal(read_input(tmp_path / "later.npz", (6,), layout="time-first"), x)
    file = nir_file(tmp_path)
    snnc("compile", file, "--calibrate", tmp_path / "first.npz", "-o", tmp_path / "build")
    wanted = answer("run", tmp_path / "build", tmp_path / "first.npz")
    found = answer("run", tmp_path / "build", tmp_path / "later.npz", "--layout", "time-first")
    assert found["decisions"] == wanted["decisions"]


def test_a_module_over_time_says_in_which_order_it_takes_its_input() -> None:
    torch = pytest.importorskip("torch")
    snn = pytest.importorskip("snntorch")

    class Net(torch.nn.Module):
        def __init__(self, time_first: bool):
            super().__init__()
            self.fc, self.lif, self.time_first = torch.nn.Linear(4, 3), snn.Leaky(beta=0.5), time_first

        def forward(self, x):
            mem, out = self.lif.init_leaky(), []
            for t in range(x.size(0) if self.time_first else x.size(1)):
                spk, mem = self.lif(self.fc(x[t] if self.time_first else x[:, t]), mem)
                out.append(spk)
            return torch.stack(out, 0 if self.time_first else 1)

    for time_first in (True, False):
        example = torch.bernoulli(torch.full((5, 2, 4) if time_first else (2, 5, 4), 0.5))
        notes = [d for d in sc.load(Net(time_first), example_input=example).notes if "[tick, sample, ...]" in d.found]
        assert len(notes) == time_first
        assert all('layout="time-first"' in d.help for d in notes)


def test_an_example_that_may_stand_for_anything_is_told() -> None:
    torch = pytest.importorskip("torch")
    snn = pytest.importorskip("snntorch")
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), snn.Leaky(beta=0.5, init_hidden=True))
    for example, told in ((torch.zeros(2, 4), True), (torch.ones(2, 4), True), (torch.eye(4)[:2], False)):
        graph = sc.load(net, example_input=example)
        assert next(iter(graph.inputs.values())).values == "spike"
        assert any("spikes were assumed" in d.found and "values=" in d.help for d in graph.notes) == told
    assert not sc.load(net, example_input=torch.zeros(2, 4), values="spike").notes
