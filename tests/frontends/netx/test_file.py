"""Damaged and hostile NetX files are refused, and all problems of a file are reported at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snncompile.diagnostics import CompileError, Diagnostic
from snncompile.frontends import load
from tests.frontends.netx.files import NEURON, Layer, write


def net() -> list[Layer]:
    """The layers of a small network: input, convolution, flatten, dense, recurrent."""
    conv = {"shape": [2, 3, 3], "weight": np.ones((2, 1, 2, 2)), "stride": [1, 1], "padding": [0, 0], "dilation": 1,
            "groups": 1, "bias": np.zeros(2)}
    return [Layer("input", {"shape": [1, 4, 4]}), Layer("conv", conv, dict(NEURON)), Layer("flatten"),
            Layer("dense", {"shape": [3, 1, 1], "weight": np.ones((3, 18))}, dict(NEURON)),
            Layer("dense_rec", {"shape": [2], "weight": np.ones((2, 3)), "weight_rec": np.ones((2, 2))}, dict(NEURON))]


def refusal(path: Path, **options: Any) -> tuple[Diagnostic, ...]:
    with pytest.raises(CompileError) as caught:
        load(path, **options)
    return caught.value.diagnostics


def codes(path: Path, **options: Any) -> list[str]:
    return [d.code for d in refusal(path, **options)]


def test_a_good_one_loads(tmp_path: Path) -> None:
    graph = load(write(tmp_path / "net.net", net()))
    assert list(graph.nodes) == ["input", "conv1", "dense3", "dense_rec4", "output"]
    assert [e.delay for e in graph.edges] == [1, 1, 1, 1, 0]


def _set(at: int, name: str, value: Any) -> Callable[[list[Layer]], None]:
    return lambda layers: layers[at].fields.__setitem__(name, value)


def _neuron(at: int, name: str, value: Any) -> Callable[[list[Layer]], None]:
    return lambda layers: (layers[at].neuron or {}).__setitem__(name, value)


def _drop(at: int, name: str) -> Callable[[list[Layer]], None]:
    return lambda layers: layers[at].fields.__delitem__(name)


def _kind(at: int, kind: str) -> Callable[[list[Layer]], None]:
    return lambda layers: setattr(layers[at], "kind", kind)


@pytest.mark.parametrize(("spoil", "code", "place"), [
    (_kind(1, "average"), "SNN104", "layer 1, type"),
    (_kind(1, "pool"), "SNN104", "layer 1, type"),
    (_kind(3, "dence"), "SNN104", "layer 3, type"),
    (_neuron(1, "type", "SDNN"), "SNN104", "layer 1, neuron, type"),
    (_neuron(3, "type", "RF_PHASE"), "SNN104", "layer 3, neuron, type"),
    (_neuron(1, "type", 3), "SNN102", "layer 1, neuron, type"),
    (_neuron(1, "gradedSpike", True), "SNN102", "layer 1 (conv), neuron, gradedSpike"),
    (_neuron(1, "refDelay", 2), "SNN102", "layer 1 (conv), neuron, refDelay"),
    (_neuron(1, "wgtExp", -1), "SNN102", "layer 1 (conv), neuron, wgtExp"),
    (_neuron(3, "vDecay", 4097), "SNN102", "layer 3 (dense), neuron, vDecay"),
    (_neuron(3, "vThMant", np.ones(3)), "SNN102", "layer 3 (dense), neuron, vThMant"),
    (_neuron(3, "sinDecay", 1), "SNN102", 'layer 3, neuron, "sinDecay"'),
    (_drop(3, "weight"), "SNN102", "layer 3, weight"),
    (_drop(1, "stride"), "SNN102", "layer 1, stride"),
    (_drop(0, "shape"), "SNN102", "layer 0, shape"),
    (_set(3, "weight", np.full((3, 18), 0.5)), "SNN102", "layer 3 (dense), weight"),
    (_set(3, "weight", np.full((3, 18), 256)), "SNN102", "layer 3 (dense), weight"),
    (_set(3, "weight", np.full((3, 18), np.nan)), "SNN102", "layer 3 (dense), weight"),
    (_set(3, "weight", np.array([[-1, 255] * 9] * 3)), "SNN102", "layer 3 (dense), weight"),
    (_set(3, "weight", np.ones((3, 17))), "SNN102", "layer 3 (dense), weight"),
    (_set(3, "weight", "text"), "SNN102", "layer 3, weight"),
    (_set(3, "shape", [4]), "SNN102", "layer 3 (dense), shape"),
    (_set(3, "delay", 63), "SNN102", "layer 3 (dense), delay"),
    (_set(3, "delay", np.ones(7)), "SNN102", "layer 3 (dense), delay"),
    (_set(4, "delay", 1), "SNN104", "layer 4 (dense_rec), delay"),
    (_set(1, "delay", np.ones(2)), "SNN104", "layer 1 (conv), delay"),
    (_set(4, "weight_rec", np.ones((2, 3))), "SNN102", "layer 4 (dense_rec), weight_rec"),
    (_set(1, "shape", [2, 3, 4]), "SNN102", "layer 1 (conv), shape"),
    (_set(1, "shape", [2, 1 << 40, 3]), "SNN102", "layer 1 (conv), shape"),
    (_set(1, "stride", [0, 1]), "SNN102", "layer 1 (conv), stride"),
    (_set(1, "groups", 3), "SNN102", "layer 1 (conv), weight"),
    (_set(1, "weight", np.ones((2, 1, 9, 9))), "SNN102", "layer 1 (conv), weight"),
    (_set(1, "bias", np.ones(3)), "SNN102", "layer 1 (conv), bias"),
    (_set(0, "shape", [1, 1, 1, 1]), "SNN102", "layer 0 (input), shape"),
    (_set(1, "secret", 1), "SNN102", 'layer 1, "secret"'),
    (lambda layers: setattr(layers[1], "neuron", None), "SNN102", "layer 1, neuron"),
    (lambda layers: setattr(layers[3], "neuron", None), "SNN104", "layer 3 (dense), neuron"),
    (lambda layers: (layers.pop(0), layers[0].fields.update(stride=3)), "SNN102", "layer 0 (conv)"),
    (lambda layers: (layers.pop(0), layers[0].fields.update(shape=[3])), "SNN102", "layer 0 (conv), shape"),
    (_neuron(1, "iDecay", np.full(3, 8)), "SNN102", "layer 1 (conv), neuron, iDecay"),
    (lambda layers: layers.append(Layer("input", {"shape": [2]})), "SNN102", "layer 5 (input), type"),
    (lambda layers: layers.__delitem__(slice(1, None)), "SNN102", "file"),
    (lambda layers: layers.clear(), "SNN102", "file"),
])
def test_what_is_wrong_is_named(tmp_path: Path, spoil: Callable[[list[Layer]], Any], code: str, place: str) -> None:
    layers = net()
    spoil(layers)
    diagnostics = refusal(write(tmp_path / "bad.net", layers))
    assert (code, True) in [(d.code, place in d.place) for d in diagnostics]


def test_every_problem_is_reported_at_once_and_each_kind_once(tmp_path: Path) -> None:
    layers = net()
    for at in (1, 3, 4):
        (layers[at].neuron or {})["refDelay"] = 3
    layers[3].fields["weight"] = np.full((3, 18), 0.5)
    found = refusal(write(tmp_path / "bad.net", layers))
    assert [(d.code, d.place.partition(", ")[2]) for d in found] == [
        ("SNN102", "layers 1, 3, 4, neuron, refDelay"), ("SNN102", "layer 3 (dense), weight")]


def test_layers_of_one_unreadable_type_are_one_problem(tmp_path: Path) -> None:
    dense = Layer("dense", {"shape": [3], "weight": np.ones((3, 3))}, {"type": "SDNN"})
    layers = [Layer("input", {"shape": [3]}), *[dense] * 12]
    (found,) = refusal(write(tmp_path / "bad.net", layers))
    assert found.place.endswith("layers 1, 2, 3, 4, 5, 6, 7, 8, ... (12 layers), neuron, type")


def test_a_shape_that_the_file_contradicts_is_refused(tmp_path: Path) -> None:
    assert codes(write(tmp_path / "net.net", net()), input_shape=(4, 5, 1)) == ["SNN404"]
    assert load(tmp_path / "net.net", input_shape=(4, 4, 1))


def test_a_network_that_ends_where_the_option_says_needs_neurons_before_it(tmp_path: Path) -> None:
    layers = net()
    layers[3].neuron = None
    (told,) = refusal(write(tmp_path / "net.net", layers))
    assert "--num-layers 4" in told.help
    assert list(load(tmp_path / "net.net", num_layers=4).populations) == ["conv1", "dense3"]
    assert codes(tmp_path / "net.net", num_layers=1) == ["SNN102"]


def test_layers_are_numbered_without_a_gap(tmp_path: Path) -> None:
    path = write(tmp_path / "gap.net", net())
    with h5py.File(path, "r+") as file:
        file.move("layer/2", "layer/7")
    assert codes(path) == ["SNN102"]


def test_what_a_file_declares_is_bounded(tmp_path: Path) -> None:
    path = write(tmp_path / "huge.net", net())
    with h5py.File(path, "r+") as file:
        del file["layer/3/weight"]
        file.create_dataset("layer/3/weight", (1 << 20, 1 << 20), "f4", chunks=(1, 1024))
    assert codes(path) == ["SNN103"]


@pytest.mark.parametrize("options", [{"skip_layers": -1}, {"skip_layers": 1.5}, {"reset_interval": 0}, {"dt": 1.0},
                                     {"reset_offset": "a"}, {"num_layers": 0}, {"input_shape": (0, 1, 1)},
                                     {"input_shape": (2, 2)}, {"input_shape": "2,a,2"}, {"input_shape": "9" * 5000},
                                     {"input_shape": 3.5}, {"inputshape": (1, 2, 3)}])
def test_options_are_checked(tmp_path: Path, options: dict[str, Any]) -> None:
    assert codes(write(tmp_path / "net.net", net()), **options) == ["SNN404"]


@pytest.mark.parametrize(("option", "largest"), [("reset_interval", 1 << 30), ("reset_offset", 1 << 30),
                                              ("num_layers", 1 << 16)])
def test_options_end_at_their_largest_value(tmp_path: Path, option: str, largest: int) -> None:
    path = write(tmp_path / "net.net", net())
    assert load(path, **{option: largest})
    assert codes(path, **{option: largest + 1}) == ["SNN404"]


def test_as_many_layers_may_be_skipped_as_the_option_allows(tmp_path: Path) -> None:
    path = write(tmp_path / "net.net", net())
    assert codes(path, skip_layers=1 << 16) == ["SNN102"]  # the value is allowed, but no layer is left
    assert codes(path, skip_layers=(1 << 16) + 1) == ["SNN404"]


def test_a_network_whose_layers_are_all_skipped_is_refused(tmp_path: Path) -> None:
    assert codes(write(tmp_path / "net.net", net()), skip_layers=5) == ["SNN102"]


@pytest.mark.parametrize("seed", range(30))
def test_damaged_files_load_or_are_refused(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    path = write(tmp_path / "net.net", net())
    good = path.read_bytes()
    places = [i for i, b in enumerate(good) if b]
    for _ in range(10):
        data = bytearray(good[:rng.randrange(len(good))] if rng.random() < 0.2 else good)
        for _ in range(rng.choice([1, 2, 8])):
            at = rng.choice(places) % max(len(data), 1)
            data[at:at + 1] = bytes([rng.randrange(256)])
        path.write_bytes(data)
        with suppress(CompileError):
            load(path)
