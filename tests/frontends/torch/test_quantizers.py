"""Layers with quantized weights keep their integers: those of the user, and those of Brevitas where it is installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Conv, Linear
from snncompile.ir.types import Array

torch = pytest.importorskip("torch")
nn = torch.nn


@dataclass
class Quantized:
    """The result of `quant_weight()`, with the part of Brevitas' interface that the compiler uses."""

    codes: Any
    scale: Any
    zero_point: Any = 0.0
    off: float = 0.0

    @property
    def value(self) -> Any:
        return self.codes * self.scale + self.off

    def int(self) -> Any:
        return self.codes


class Layer(nn.Linear):  # type: ignore[misc, name-defined]
    """A linear layer with weights of -7 to 7."""

    given: Quantized

    def quant_weight(self) -> Any:
        return self.given

    def forward(self, x: Any) -> Any:
        return nn.functional.linear(x, self.given.value, self.bias)


def layer(out: int, size: int, scale: Any, bias: bool = True, **more: Any) -> Layer:
    linear = Layer(size, out, bias=bias).double()
    codes = torch.randint(-7, 8, (out, size), generator=torch.Generator().manual_seed(out))
    linear.given = Quantized(codes, torch.as_tensor(scale, dtype=torch.float64), **more)
    return linear


def weights(graph: Graph) -> list[Array]:
    return [np.asarray(op.weight) for op in graph.nodes.values() if isinstance(op, (Linear, Conv))]


def same(net: Any, graph: Graph, x: Any) -> None:
    with torch.no_grad():
        wanted = net(x).numpy()
    result = run(graph, x.numpy()[:, None]).outputs["output"][:, 0]
    np.testing.assert_allclose(result, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scale", [0.3, [[0.1], [0.2], [0.7]]])
@pytest.mark.parametrize("bias", [True, False])
def test_a_users_own_layer_keeps_its_integers(scale: Any, bias: bool) -> None:
    net = nn.Sequential(layer(3, 5, scale, bias))
    before = dict(net.named_buffers())
    x = torch.randn(4, 5, dtype=torch.float64)
    graph = sc.load(net, example_input=x, values="real")
    (codes,) = weights(graph)
    assert codes.dtype.kind == "i"
    assert np.array_equal(codes, net[0].given.codes)
    assert dict(net.named_buffers()) == before
    same(net, graph, x)


@pytest.mark.parametrize(("more", "words"), [
    ({"zero_point": torch.tensor(3.0)}, "zero point"), ({"off": 0.5}, "not int() times the scale"),
])
def test_weights_that_are_not_integers_times_a_scale_are_refused(more: dict[str, Any], words: str) -> None:
    net = nn.Sequential(layer(3, 5, 0.25, **more))
    with pytest.raises(sc.CompileError) as caught:
        sc.load(net, example_input=torch.zeros(1, 5, dtype=torch.float64))
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.place) == ("SNN104", 'module "0" (Layer)')
    assert words in diagnostic.found


def test_integers_of_more_than_16_bits_are_refused() -> None:
    net = nn.Sequential(layer(3, 5, 0.25))
    net[0].given.codes = net[0].given.codes * 10_000
    with pytest.raises(sc.CompileError, match="16 bits"):
        sc.load(net, example_input=torch.zeros(1, 5, dtype=torch.float64))


def test_code_that_fails_ends_in_a_diagnostic() -> None:
    with pytest.raises(sc.CompileError) as caught:
        sc.load(nn.Sequential(Layer(5, 3)), example_input=torch.zeros(1, 5))
    assert [d.code for d in caught.value.diagnostics] == ["SNN109"]


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("quantizer", ["Int8WeightPerTensorFloat", "Int8WeightPerChannelFloat",
                                       "SignedBinaryWeightPerTensorConst", "SignedTernaryWeightPerTensorConst"])
def test_brevitas_layers(bits: int, quantizer: str) -> None:
    """Linear and convolutional layers, of integer, binary and ternary quantizers."""
    qnn = pytest.importorskip("brevitas.nn")
    from brevitas import quant

    torch.manual_seed(bits)
    options = {"weight_quant": getattr(quant, quantizer)} | ({"weight_bit_width": bits} if "Int8" in quantizer else {})
    net = nn.Sequential(qnn.QuantConv2d(2, 4, 3, padding=1, stride=2, bias=True, **options), nn.Flatten(),
                        qnn.QuantLinear(36, 5, bias=False, **options)).eval()
    x = torch.randn(3, 2, 6, 6)
    graph = sc.load(net, example_input=x, values="real")
    for codes, quantized in zip(weights(graph), (net[0], net[2]), strict=True):
        assert codes.dtype.kind == "i"
        assert np.array_equal(codes, quantized.quant_weight().int().numpy())
    same(net, graph, x)


def test_brevitas_activations_are_refused() -> None:
    qnn = pytest.importorskip("brevitas.nn")
    from brevitas.quant import Int8ActPerTensorFloat

    net = nn.Sequential(qnn.QuantLinear(4, 2, bias=False, input_quant=Int8ActPerTensorFloat)).eval()
    with pytest.raises(sc.CompileError, match="not weights"):
        sc.load(net, example_input=torch.zeros(1, 4))
