"""The graph of a NetX file computes what NetX computes, tick by tick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import snncompile as sc
from snncompile.backends.c.host import compiler
from snncompile.frontends.netx.options import Options
from snncompile.inputs import integers
from snncompile.ir.interp import run
from snncompile.ir.ops import Linear
from snncompile.ir.populations import Population
from snncompile.ir.types import Array
from snncompile.model import inside_differences
from tests.frontends.netx.files import NEURON, Layer, netx, write
from tests.strategies import Choices, Dice, Drawn

TICKS = 12


def neuron(pick: Choices, channels: int) -> dict[str, Any]:
    found = {"type": pick.one(["CUBA", "LOIHI"]), "iDecay": pick.one([4096, 2048, 1, 0, pick.integer(0, 4096)]),
             "vDecay": pick.one([1024, 0, 4096, pick.integer(0, 4096)]), "vThMant": pick.integer(0, 90),
             "refDelay": 1, "gradedSpike": False}
    for name in ("iDecay", "vDecay"):
        if pick.chance(20):
            found[name] = pick.chooser.array(0, 4096, (channels,))
    return found


def weights(pick: Choices, *shape: int) -> Array:
    low, high = pick.one([(-256, 254), (0, 255), (-255, -1), (-7, 7), (-40, 60)])
    return np.asarray(pick.chooser.array(low, high, shape), pick.one([np.float32, np.int64, np.int8])
                      if low >= -128 and high < 128 else np.float64)


def bias(pick: Choices, fields: dict[str, Any], channels: int) -> None:
    if pick.chance(50):
        fields["bias"] = pick.chooser.array(-90, 90, () if pick.chance(20) else (channels,))


def conv(pick: Choices, shape: tuple[int, ...]) -> tuple[Layer, tuple[int, ...]]:
    groups = pick.one([g for g in (1, 2) if shape[0] % g == 0])
    out, kernel = groups * pick.integer(1, 2), (pick.integer(1, 2), pick.integer(1, 2))
    stride, padding, dilation = ((pick.integer(low, 2), pick.integer(low, 2)) for low in (1, 0, 1))
    size = [(n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(shape[1:], padding, dilation, kernel, stride, strict=True)]
    if min(size) < 1:
        return conv(pick, shape)
    weight = weights(pick, out, shape[0] // groups, *kernel, *((1,) if pick.chance(30) else ()))
    fields = {"shape": [out, *size], "weight": weight, "stride": stride, "padding": padding, "dilation": dilation,
              "groups": groups, "kernelSize": kernel, "inChannels": shape[0], "outChannels": out}
    bias(pick, fields, out)
    return Layer("conv", fields, neuron(pick, out)), (out, *size)


def dense(pick: Choices, size: int) -> tuple[Layer, tuple[int, ...]]:
    out, kind = pick.integer(1, 5), pick.one(["dense", "dense", "dense_rec"])
    fields: dict[str, Any] = {"shape": pick.one([[out], [out, 1, 1]]), "weight": weights(pick, out, size)}
    if kind == "dense_rec":
        fields["weight_rec"] = weights(pick, out, out)
    elif pick.chance(40):
        fields["delay"] = pick.chooser.array(0, 3, pick.one([(), (out,), (size,), (out, size)]))
    bias(pick, fields, out)
    return Layer(kind, fields, neuron(pick, out)), (out,)


def chain(pick: Choices) -> tuple[list[Layer], tuple[int, ...]]:
    """Random layers, and the shape of the input."""
    spatial = pick.chance(60)
    first: tuple[int, ...] = (pick.integer(1, 3), pick.integer(2, 5), pick.integer(2, 5)) if spatial else (4,)
    shape = first
    layers = [Layer("input", {"shape": shape})]
    if pick.chance(40):
        layers[0].neuron = neuron(pick, shape[0])
        layers[0].fields |= {"weight": 128, "bias": pick.integer(-20, 40)} if pick.chance(70) else {}
    for _ in range(pick.integer(0, 2) if spatial else 0):
        layer, shape = conv(pick, shape)
        layers.append(layer)
    if spatial:
        layers.append(Layer("flatten", {"shape": [1, 1, int(np.prod(shape))]}))
        shape = (int(np.prod(shape)),)
    for _ in range(pick.integer(1, 3)):
        layer, shape = dense(pick, shape[0])
        layers.append(layer)
    if pick.chance(20):
        layers[-1].neuron = None
    if layers[0].neuron is None and pick.chance(40):
        del layers[0]
    return layers, first if layers[0].kind in ("input", "conv") else (int(np.prod(first)),)


def check(pick: Choices, path: Path, seed: int, emitted: bool) -> None:
    layers, shape = chain(pick)
    rng = np.random.default_rng(seed)
    real = layers[0].kind == "input" and layers[0].neuron
    x = rng.integers(-128, 128, (2, TICKS, *shape)) / 64 if real else rng.random((2, TICKS, *shape)) < 0.4
    resets = {"reset_interval": pick.integer(1, 7), "reset_offset": pick.integer(0, 9)} if pick.chance(40) else {}
    told = {"input_shape": shape[::-1]} if layers[0].kind == "conv" else {}
    model = sc.compile(write(path, layers), load_options={**resets, **told})
    wanted = [netx(layers, sample, *resets.values()) for sample in x]
    inside = run(model.graph, integers(model.graph, x), record=True, states=True)
    assert np.array_equal(inside.outputs["output"], wanted)
    if emitted:
        assert model.host is not None
        assert inside_differences(inside, model.host.trace(integers(model.graph, x))) == []
        assert np.array_equal(model.run(x).outputs, wanted)


@st.composite
def choices(draw: st.DrawFn) -> Choices:
    return Choices(Drawn(draw))


@given(choices())
def test_random_chains_are_netx(tmp_path_factory: pytest.TempPathFactory, pick: Choices) -> None:
    check(pick, tmp_path_factory.mktemp("net") / "net.net", pick.integer(0, 99), emitted=False)


@pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
@pytest.mark.parametrize("seed", range(25))
def test_random_chains_are_netx_in_c_too(tmp_path: Path, seed: int) -> None:
    check(Choices(Dice(seed)), tmp_path / "net.net", seed, emitted=True)


def two_layers() -> list[Layer]:
    return [Layer("input", {"shape": [3]}), Layer("dense", {"shape": [2], "weight": np.full((2, 3), 40)}, dict(NEURON)),
            Layer("dense", {"shape": [1], "weight": np.full(2, 26)}, dict(NEURON))]


def test_a_layer_takes_a_tick(tmp_path: Path) -> None:
    x = np.zeros((1, 5, 3))
    x[0, 0] = 1
    traces = run(sc.load(write(tmp_path / "two.net", two_layers())), x, record=True)
    assert traces.emitted["dense1"][0].tolist() == [[0, 0], [1, 1], [0, 0], [0, 0], [0, 0]]
    assert traces.outputs["output"][0].ravel().tolist() == [0, 0, 1, 0, 0]


def test_skipped_layers_leave_their_spikes_to_be_given(tmp_path: Path) -> None:
    path = write(tmp_path / "two.net", two_layers())
    graph = sc.load(path, skip_layers=2)
    assert list(graph.nodes) == ["input", "dense2", "output"]
    assert graph.shapes["input"] == (2,)


def test_weights_stand_as_they_stand_in_the_file(tmp_path: Path) -> None:
    """This includes odd weights of both signs; NetX doubles such weights and halves the sum."""
    layers = two_layers()
    layers[1].fields["weight"] = np.array([[-3, 5, 1], [7, 0, -2]], np.float32)
    (edge,) = sc.load(write(tmp_path / "odd.net", layers)).edges_into["dense1"]
    (op,) = edge.chain
    assert isinstance(op, Linear)
    assert isinstance(op.weight, np.ndarray)
    assert np.array_equal(op.weight, layers[1].fields["weight"])
    assert op.weight.dtype == np.int8


def test_an_input_layer_with_neurons_takes_numbers(tmp_path: Path) -> None:
    """The membranes of the input layer are driven by `weight x + bias`, as with PilotNet's normalized frames."""
    layers = [Layer("input", {"shape": [2], "weight": 36, "bias": 10}, dict(NEURON)), *two_layers()[1:]]
    layers[1].fields["weight"] = np.full((2, 2), 40)
    model = sc.compile(write(tmp_path / "in.net", layers))
    x = np.array([[[0.5, 0.25]] * 4])
    spikes = run(model.graph, integers(model.graph, x), record=True).emitted["input0"]
    assert spikes[0].tolist() == [[1, 0], [1, 1], [1, 0], [1, 1]]


def test_the_skipped_compilation_is_reported(tmp_path: Path) -> None:
    model = sc.compile(write(tmp_path / "two.net", two_layers()), load_options={"reset_interval": 5})
    assert model.report.options == {"reset_interval": 5}
    assert {p.rule for p in model.report.populations} == {"loihi"}
    assert all(isinstance(op, Population) for op in model.graph.populations.values())
    assert model.verify().ok


def test_truth_values_may_be_written_as_enumerations(tmp_path: Path) -> None:
    path = write(tmp_path / "two.net", two_layers())
    with h5py.File(path) as file:
        assert file["layer/1/neuron/gradedSpike"].dtype == bool
    sc.load(path)


def test_a_first_dense_layer_has_its_width_in_its_weights(tmp_path: Path) -> None:
    layers = two_layers()[1:]
    layers[0].fields["weight"] = np.arange(6) + 30  # one row after another, as NetX reads weights on one axis
    graph = sc.load(write(tmp_path / "two.net", layers))
    assert graph.shapes["input"] == (3,)
    x = np.random.default_rng(0).random((1, TICKS, 3)) < 0.5
    assert np.array_equal(run(graph, {"input": x}).outputs["output"][0], netx(layers, x[0]))


def conv_first(stride: int) -> list[Layer]:
    """A convolution of 5 x 4 values (height, width) and 2 channels as the first layer; 6 x 5 fit a stride of 2 too."""
    size = [(n - 2) // stride + 1 for n in (5, 4)]
    fields = {"shape": [3, *size], "weight": np.random.default_rng(0).integers(-9, 60, (3, 2, 2, 2)), "stride": stride,
              "padding": 0, "dilation": 1, "groups": 1}
    return [Layer("conv", fields, dict(NEURON))]


def test_a_first_convolution_takes_the_shape_of_netx(tmp_path: Path) -> None:
    path, x = write(tmp_path / "conv.net", conv_first(2)), np.random.default_rng(0).random((1, TICKS, 2, 5, 4)) < 0.5
    for shape in ((4, 5, 2), "4,5,2"):
        graph = sc.load(path, input_shape=shape)
        assert graph.shapes["input"] == (2, 5, 4)
        assert np.array_equal(run(graph, {"input": x}).outputs["output"][0], netx(conv_first(2), x[0]))


def test_a_first_convolution_of_stride_1_has_one_possible_input(tmp_path: Path) -> None:
    assert sc.load(write(tmp_path / "conv.net", conv_first(1))).shapes["input"] == (2, 5, 4)


def test_a_first_convolution_that_several_inputs_fit_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(sc.CompileError) as caught:
        sc.load(write(tmp_path / "conv.net", conv_first(2)))
    (told,) = caught.value.diagnostics
    assert "from [2, 4, 4] to [2, 5, 5]" in told.found
    assert "input_shape=(4, 4, 2)" in told.help
    assert "--input-shape 4,4,2" in told.help


def test_only_the_first_layers_are_read(tmp_path: Path) -> None:
    layers = [*two_layers(), Layer("pool"), Layer("dense", {}, {"type": "SDNN"})]
    graph = sc.load(write(tmp_path / "long.net", layers), num_layers=3)
    assert list(graph.populations) == ["dense1", "dense2"]
    assert list(sc.load(tmp_path / "long.net", num_layers=2).populations) == ["dense1"]


def test_the_output_of_a_last_layer_without_a_neuron_is_its_membrane(tmp_path: Path) -> None:
    """NetX gives it an integrator that never fires: 64 times all inputs so far and the tick's bias."""
    layers = two_layers()
    layers[2] = Layer("dense", {"shape": [1], "weight": np.array([[26, -4]]), "bias": 3})
    model = sc.compile(write(tmp_path / "sum.net", layers))
    x = np.random.default_rng(1).random((1, 20, 3)) < 0.6
    fired = netx(layers[:2], x[0])
    sums = np.cumsum(np.pad(fired, ((1, 0), (0, 0)))[:-1] @ [26, -4])
    assert np.array_equal(model.run(x).outputs[0, :, 0], 64 * (sums + 3))
    assert model.graph.nodes["output"].decode == "last"
    assert model.verify().ok


def test_decays_may_differ_from_channel_to_channel(tmp_path: Path) -> None:
    layers = conv_first(1)
    layers[0].neuron = {**NEURON, "iDecay": np.array([4096, 1000, 0]), "vDecay": np.array([0, 1, 4096])}
    graph, x = sc.load(write(tmp_path / "conv.net", layers)), np.random.default_rng(0).random((TICKS, 2, 5, 4)) < 0.5
    assert np.array_equal(run(graph, {"input": x[None]}).outputs["output"][0], netx(layers, x))


def test_public_networks_without_an_input_layer_load(shared_data: Path) -> None:
    graph = sc.load(shared_data / "lava_dl" / "mnist_no_input_layer.net")
    assert [graph.shapes[n] for n in graph.nodes] == [(784,), (128,), (64,), (10,), (10,)]


@pytest.mark.parametrize(("option", "low", "high"), [("skip_layers", 0, 65_536), ("num_layers", 1, 65_536),
                                                    ("reset_interval", 1, 1_073_741_824),
                                                    ("reset_offset", 0, 1_073_741_824)])
def test_options_are_taken_at_their_limits_and_refused_beyond(option: str, low: int, high: int) -> None:
    for value in (low, high):
        assert getattr(Options.of({option: value}), option) == value
    for value in (low - 1, high + 1, float(low), True):
        with pytest.raises(sc.CompileError) as caught:
            Options.of({option: value})
        assert [d.code for d in caught.value.diagnostics] == ["SNN404"]
