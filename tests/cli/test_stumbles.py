"""Where newcomers stumble: each time the help is followed to the letter, and works."""

from __future__ import annotations

import re

import numpy as np
import pytest

from snncompile.targets.load import load_target
from tests.cli.running import answer, snnc

MODEL = """
import snntorch as snn
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.lif = torch.nn.Linear(4, 3), snn.Leaky(beta=0.8)

    def forward(self, x):
        memory, spikes = self.lif.init_leaky(), []
        for step in x:
            spike, memory = self.lif(self.fc(step), memory)
            spikes.append(spike)
        return torch.stack(spikes)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is needed: pip install snncompile[torch]")
    pytest.importorskip("snntorch", reason="snnTorch is needed: pip install snntorch")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def told(*args) -> str:
    """The help of the only error that a command ends with."""
    [problem] = answer("compile", *args, code=2)["diagnostics"]
    return problem["help"]


def test_a_file_of_weights(folder):
    (folder / "weights.pt").write_bytes(b"PK")
    advice = told("weights.pt")
    name, source = re.search(r"a function (\w+)\(\) .* give (\S+)", advice).groups()
    assert "loads its weights and returns it with an example input" in advice
    path, function = source.split(":")
    assert function == name
    (folder / path).write_text(f"{MODEL}\ndef {name}():\n    return Net(), torch.zeros(5, 1, 4)\n")
    snnc("compile", source)


def test_a_class_without_an_example(folder):
    advice = told("model.py:Net")
    option = re.search(r"give (--example-input) \S+ \(example_input=...\) for 16 ticks, 1 sample and", advice)[1]
    snnc("compile", "model.py:Net", option, "16,1,4")


def test_a_class_in_the_notation_of_modules(folder):
    source = re.search(r"give its path: (\S+)", told("model:Net"))[1]
    snnc("compile", source, "--example-input", "16,1,4")


def test_a_name_that_the_file_does_not_have(folder):
    assert told("model.py:Nett") == "did you mean Net?"


def test_a_module_that_stands_in_the_file(folder):
    (folder / "model.py").write_text(f"{MODEL}\nnet = Net()\n")
    snnc("compile", "model.py:net", "--example-input", "16,1,4")


def test_an_example_of_zeros(folder):
    notes = answer("compile", "model.py:Net", "--example-input", "16,1,4")["diagnostics"]
    [note] = [n for n in notes if n["place"] == 'input "input"']
    option, values = re.match(r"(--values) \(values=...\) sets it: (.*)", note["help"]).groups()
    for value in values.split(" | "):
        again = answer("compile", "model.py:Net", "--example-input", "16,1,4", option, value)["diagnostics"]
        assert [n for n in again if n["place"] == note["place"]] == []


def test_a_chip_without_its_number(files):
    for name in re.search(r"did you mean (.*)\?", told(files / "small.nir", "--target", "loihi"))[1].split(" or "):
        assert load_target(name).limits.cores


def test_labels_in_the_file_of_the_samples(files, tmp_path):
    x = np.load(files / "data.npz")["x"]
    np.savez(tmp_path / "both.npz", x=x, y=np.arange(len(x)) % 3)
    first = answer("compile", files / "small.nir", "--calibrate", tmp_path / "both.npz")
    [note] = [n for n in first["diagnostics"] if "both.npz" in n["place"]]
    option, name = re.search(r"give (--labels) (\S+)", note["help"]).groups()
    again = answer("compile", files / "small.nir", "--calibrate", tmp_path / "both.npz", option, name)
    assert [n for n in again["diagnostics"] if "both.npz" in n["place"]] == []
    assert first["agreement"]["integer_correct"] is None
    assert again["agreement"]["integer_correct"] is not None


def test_frames_without_ticks(files, tmp_path):
    x = np.load(files / "data.npz")["x"]
    np.save(tmp_path / "frames.npy", x[:, 0].astype(np.float64))
    options = re.search(r"such as (--encode direct --ticks \d+) ", told(files / "small.nir", "--calibrate",
                                                                      tmp_path / "frames.npy"))[1].split()
    ticks = re.search(r"give (--ticks \d+) ", told(files / "small.nir", "--calibrate", tmp_path / "frames.npy",
                                                   *options[:2]))[1].split()
    for given in (options, [*options[:2], *ticks]):
        snnc("compile", files / "small.nir", "--calibrate", tmp_path / "frames.npy", *given)
