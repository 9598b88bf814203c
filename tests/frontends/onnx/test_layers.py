"""Layers that are read from ONNX give the numbers of ONNX Runtime; other layers are refused by name."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx.reference import ReferenceEvaluator

import snncompile as sc
from snncompile.diagnostics import CompileError
from snncompile.ir.interp import run
from snncompile.ir.ops import Conv, Linear, Scale
from tests.frontends.onnx.models import model, node, save
from tests.frontends.onnx.running import steps

RNG = np.random.default_rng(0)


def dyadic(*shape: int) -> np.ndarray:
    return (RNG.integers(-8, 9, shape) / 8).astype(np.float32)


def longs(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def shape_of(made, shape):
    """The shape of a model's output, from ONNX's reference implementation; `[1, "n"]` where that refuses the model."""
    try:
        return ReferenceEvaluator(made).run(None, {"x": np.zeros((1, *shape), np.float32)})[0].shape
    except (RuntimeError, ValueError, TypeError, NotImplementedError, IndexError):
        return [1, "n"]


def loaded(path, nodes, shape, constants=None, opset=18, **options):
    """A model of nodes from the input `x` to the output `y`, and the graph that is loaded from it."""
    rank = shape_of(model(nodes, {"x": [1, *shape]}, {"y": []}, constants, opset), shape)
    made = model(nodes, {"x": [1, *shape]}, {"y": rank}, constants, opset)
    return made, sc.load(save(made, path / "net.onnx"), values="real", **options)


def agree(path, nodes, shape, constants=None, opset=18, tolerance=0.0):
    made, graph = loaded(path, nodes, shape, constants, opset)
    x = (np.random.default_rng(1).integers(-16, 17, (1, 3, *shape)) / 16).astype(np.float32)
    wanted = np.concatenate([steps(made, {"x": x[:, t:t + 1]}, {})["y"] for t in range(3)], 1)
    (computed,) = run(graph, {next(iter(graph.inputs)): x}, dtype=np.float32).outputs.values()
    assert computed.shape == wanted.shape
    assert np.allclose(computed, wanted, rtol=tolerance, atol=tolerance)
    return graph


W2, W1 = dyadic(4, 3, 3, 2), dyadic(4, 3, 3)
EXACT = {
    "gemm": ([node("Gemm", "x w b", "y")], (3,), {"w": dyadic(3, 5), "b": dyadic(5)}),
    "gemm transposed, scaled": ([node("Gemm", "x w b", "y", transB=1, alpha=0.5, beta=2.0)], (3,),
                                {"w": dyadic(5, 3), "b": dyadic(1, 5)}),
    "matmul and add": ([node("MatMul", "x w", "h"), node("Add", "b h", "y")], (3,),
                       {"w": dyadic(3, 5), "b": dyadic(5)}),
    "transposed weights": ([node("Transpose", "w", "wt", perm=[1, 0]), node("MatMul", "x wt", "y")], (3,),
                           {"w": dyadic(5, 3)}),
    "conv": ([node("Conv", "x w b", "y")], (3, 6, 5), {"w": W2, "b": dyadic(4)}),
    "conv with everything": ([node("Conv", "x w", "y", strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2])], (3, 7, 6),
                             {"w": W2}),
    "conv in groups": ([node("Conv", "x w", "y", group=2, pads=[1, 1, 1, 1])], (4, 5, 5), {"w": dyadic(6, 2, 3, 3)}),
    "conv 1d": ([node("Conv", "x w", "y", strides=[2], pads=[1, 0])], (3, 9), {"w": W1}),
    "same upper": ([node("Conv", "x w", "y", auto_pad="SAME_UPPER", strides=[2, 2])], (3, 7, 6), {"w": W2}),
    "same lower": ([node("Conv", "x w", "y", auto_pad="SAME_LOWER")], (3, 7, 6), {"w": W2}),
    "valid": ([node("Conv", "x w", "y", auto_pad="VALID")], (3, 7, 6), {"w": W2}),
    "average, padding counted": ([node("AveragePool", "x", "y", kernel_shape=[2, 2], pads=[1, 1, 0, 0],
                                       count_include_pad=1)], (2, 5, 4)),
    "maximum": ([node("MaxPool", "x", "y", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])], (2, 6, 5)),
    "maximum, over the edge": ([node("MaxPool", "x", "y", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)],
                               (2, 5, 5)),
    "global average": ([node("GlobalAveragePool", "x", "y")], (3, 4, 2)),
    "global maximum": ([node("GlobalMaxPool", "x", "y")], (3, 4, 2)),
    "sum over space": ([node("ReduceSum", "x axes", "y", keepdims=0)], (3, 4, 2), {"axes": longs(2, 3)}),
    "sum of all": ([node("ReduceSum", "x axes", "y")], (4,), {"axes": longs(-1)}),
    "flatten": ([node("Flatten", "x", "y")], (2, 3, 2)),
    "reshape": ([node("Reshape", "x s", "y")], (2, 3, 2), {"s": longs(0, -1, 2)}),
    "reshape by shape": ([node("Shape", "x", "s"), node("Gather", "s zero", "n", axis=0), node("Concat", "n all", "t",
                          axis=0), node("Reshape", "x t", "y")], (2, 3), {"zero": longs(0), "all": longs(-1)}),
    "squeeze": ([node("Unsqueeze", "x a", "u"), node("Squeeze", "u b", "y")], (3, 1), {"a": longs(1), "b": longs(3)}),
    "transpose": ([node("Transpose", "x", "y", perm=[0, 2, 3, 1])], (2, 3, 4)),
    "slice channels": ([node("Slice", "x a b c", "y")], (5, 3, 2), {"a": longs(1), "b": longs(4), "c": longs(1)}),
    "slice space backward": ([node("Slice", "x a b c d", "y")], (2, 5), {"a": longs(-1), "b": longs(-99),
                                                                         "c": longs(2), "d": longs(-2)}),
    "split and swap": ([node("Split", "x s", "a b", axis=1), node("Concat", "b a", "y", axis=1)], (5, 2, 2),
                       {"s": longs(2, 3)}),
    "gather": ([node("Gather", "x i", "y", axis=1)], (4, 2), {"i": longs(3, 1, 1)}),
    "pad": ([node("Pad", "x p", "y")], (2, 3), {"p": longs(0, 1, 0, 0, 0, 2)}),
    "resize": ([node("Resize", "x _ s", "y", mode="nearest", nearest_mode="floor",
                     coordinate_transformation_mode="asymmetric")], (2, 3, 2),
               {"s": np.array([1, 1, 2, 3], np.float32)}),
    "resize, as by default": ([node("Resize", "x _ s", "y", mode="nearest")], (2, 3, 2),
                              {"s": np.array([1, 1, 4, 3], np.float32)}),
    "reflected padding": ([node("Pad", "x p", "y", mode="reflect")], (2, 4, 3), {"p": longs(0, 0, 1, 2, 0, 0, 3, 1)}),
    "repeated edges": ([node("Pad", "x p", "y", mode="edge")], (2, 3), {"p": longs(0, 0, 2, 0, 0, 1)}),
    "padding around": ([node("Pad", "x p", "y", mode="wrap")], (2, 3), {"p": longs(0, 0, 2, 0, 0, 1)}),
    "cut by padding": ([node("Pad", "x p", "y")], (2, 4, 5), {"p": longs(0, 0, -1, 2, 0, 0, 1, -3)}),
    "einsum": ([node("Einsum", "x w", "y", equation="bi,oi->bo")], (3,), {"w": dyadic(5, 3)}),
    "einsum, weights first": ([node("Einsum", "w x", "y", equation="io, bi -> bo")], (3,), {"w": dyadic(3, 5)}),
    "einsum without an arrow": ([node("Einsum", "x w", "y", equation="ab,bc")], (3,), {"w": dyadic(3, 5)}),
    "einsum, last axis": ([node("Einsum", "x w", "y", equation="...i,oi->...o")], (2, 3), {"w": dyadic(5, 3)}),
    "einsum, channels": ([node("Einsum", "x w", "y", equation="bchw,oc->bohw")], (3, 4, 2), {"w": dyadic(5, 3)}),
    "einsum, channels of square size": ([node("Einsum", "x w", "y", equation="bci,dc->bdi")], (3, 3),
                                        {"w": dyadic(3, 3)}),
    "einsum, transposed result": ([node("Einsum", "x w", "y", equation="bci,oi->boc")], (2, 3), {"w": dyadic(5, 3)}),
    "einsum, heads": ([node("Einsum", "x w", "y", equation="bhc,hoc->bho")], (2, 3), {"w": dyadic(2, 5, 3)}),
    "einsum over all": ([node("Einsum", "x w", "y", equation="bci,oci->bo")], (2, 3), {"w": dyadic(5, 2, 3)}),
    "einsum, an axis of one weight": ([node("Einsum", "x w", "y", equation="bci,io->bcio")], (2, 3),
                                      {"w": dyadic(1, 5)}),
    "einsum of three": ([node("Einsum", "x w v", "y", equation="bi,oi,o->bo")], (3,),
                        {"w": dyadic(5, 3), "v": dyadic(5)}),
    "maximum over space": ([node("ReduceMax", "x", "y", axes=[2, 3], keepdims=0)], (3, 4, 2), {}, 13),
    "maximum over a row": ([node("ReduceMax", "x", "y", axes=[-1])], (3, 4, 2), {}, 13),
    "maximum of all": ([node("ReduceMax", "x", "y", axes=[1])], (5,), {}, 13),
    "sum over channels": ([node("ReduceSum", "x axes", "y", keepdims=0)], (3, 4, 2), {"axes": longs(1)}),
    "sum over channels and rows": ([node("ReduceSum", "x axes", "y")], (3, 4, 2), {"axes": longs(1, 2)}),
    "sum over a row": ([node("ReduceSum", "x axes", "y", keepdims=0)], (3, 4), {"axes": longs(2)}),
    "a sum of two at the end": ([node("Relu", "x", "a"), node("Neg", "x", "b"), node("Add", "a b", "y")], (4,)),
    "residual": ([node("Conv", "x w", "h", pads=[1, 1, 1, 1]), node("Add", "h x", "s"), node("Sub", "s x2", "t"),
                  node("Mul", "x half", "x2"), node("Sum", "t x x", "y")], (3, 4, 4),
                 {"w": dyadic(3, 3, 3, 3), "half": 0.5}),
    "scale and shift": ([node("Mul", "x a", "h"), node("Sub", "b h", "i"), node("Div", "i two", "y")], (3, 2, 2),
                        {"a": dyadic(1, 3, 1, 1), "b": 0.5, "two": 2.0}),
    "rectify": ([node("Relu", "x", "a"), node("Min", "x zero", "b"), node("Neg", "b", "c"), node("Add", "a c", "y")],
                (4,), {"zero": 0.0}),
    "dropout": ([node("Dropout", "x", "a"), node("Identity", "a", "y")], (4,)),
}


@pytest.mark.parametrize("name", EXACT)
def test_a_layer_gives_what_onnx_runtime_gives(tmp_path, name):
    nodes, *rest = EXACT[name]
    if name == "residual":  # nodes stand in the order in which they are computed
        nodes = [nodes[0], nodes[1], nodes[3], nodes[2], nodes[4]]
    agree(tmp_path, nodes, *rest)


CLOSE = {
    "batch norm": ([node("BatchNormalization", "x s b m v", "y")], (3, 2, 2),
                   {"s": dyadic(3), "b": dyadic(3), "m": dyadic(3), "v": np.array([0.5, 1, 2], np.float32)}),
    "average, padding not counted": ([node("AveragePool", "x", "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1])],
                                     (2, 5, 4)),
    "average, over the edge": ([node("AveragePool", "x", "y", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)],
                               (2, 5, 5)),
    "mean over space": ([node("ReduceMean", "x axes", "y")], (3, 4, 3), {"axes": longs(-1, -2)}),
}


@pytest.mark.parametrize("name", CLOSE)
def test_a_layer_that_divides_agrees_to_its_last_bits(tmp_path, name):
    agree(tmp_path, *CLOSE[name], tolerance=1e-5)


def test_the_sum_of_spikes_in_windows_is_a_norm(tmp_path):
    made, graph = loaded(tmp_path, [node("Greater", "x h", "f"), node("Cast", "f", "s", to=1),
                                    node("LpPool", "s", "y", kernel_shape=[2, 2], p=1)], (2, 3, 3), {"h": 0.25})
    x = (RNG.integers(-16, 17, (1, 4, 2, 3, 3)) / 16).astype(np.float32)
    assert np.array_equal(next(iter(run(graph, x).outputs.values())), steps(made, {"x": x}, {})["y"])


def test_a_division_of_whole_numbers_which_drops_the_rest_is_refused(tmp_path):
    nodes = [node("Cast", "x", "i", to=6), node("Div", "i two", "h"), node("Cast", "h", "y", to=1)]
    with pytest.raises(CompileError, match="division of whole numbers"):
        loaded(tmp_path, nodes, (4,), {"two": np.array(2, np.int32)})


REFUSED = {
    "weights that change": ([node("MatMul", "x x", "y")], (1,)),
    "a norm of numbers": ([node("LpPool", "x", "y", kernel_shape=[2, 2], p=1)], (2, 3, 3)),
    "linear resizing": ([node("Resize", "x _ s", "y", mode="linear")], (2, 3, 2),
                        {"s": np.array([1, 1, 2, 2], np.float32)}),
    "a reshape of the batch": ([node("Reshape", "x s", "y")], (2, 3), {"s": longs(2, 3)}),
    "padding with ones": ([node("Pad", "x p one", "y")], (2, 3), {"p": longs(0, 0, 1, 0, 0, 1), "one": 1.0}),
    "padding of the batch": ([node("Pad", "x p", "y", mode="edge")], (2, 3), {"p": longs(1, 0, 1, 0, 0, 1)}),
    "an einsum over the batch": ([node("Einsum", "x w", "y", equation="bi,bo->io")], (3,), {"w": dyadic(1, 3)}),
    "an einsum of changing values": ([node("Einsum", "x x", "y", equation="bi,bi->bi")], (3,)),
    "an einsum that sums the batch": ([node("Einsum", "x w", "y", equation="bi,oi->o")], (3,), {"w": dyadic(4, 3)}),
    "a softmax inside": ([node("Softmax", "x", "h"), node("Relu", "h", "y")], (3,)),
    "a softmax over one of two axes": ([node("Softmax", "x", "y")], (2, 3)),
    "a maximum of channels": ([node("ReduceMax", "x", "y", axes=[1])], (2, 3, 3), {}, 13),
    "three axes of space": ([node("Conv", "x w", "y")], (1, 3, 3, 3), {"w": dyadic(1, 1, 2, 2, 2)}),
    "the wrong channels": ([node("Conv", "x w", "y")], (2, 5, 5), {"w": W2}),
    "an axis too many": ([node("Transpose", "x", "y", perm=[1, 0, 2])], (2, 3)),
    "a dropout in training mode": ([node("Dropout", "x r t", "y")], (4,), {"r": 0.5, "t": np.array(True)}),
    "a kept aspect": ([node("Resize", "x _ _ n", "y", mode="nearest", nearest_mode="floor",
                            coordinate_transformation_mode="asymmetric", keep_aspect_ratio_policy="not_larger")],
                      (2, 4, 4), {"n": longs(1, 2, 8, 12)}),
    "growing by a constant": ([node("Mul", "x w", "y")], (1, 3), {"w": dyadic(1, 2, 3)}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_layers_without_an_operator_are_refused_by_name(tmp_path, name):
    nodes, *rest = REFUSED[name]
    with pytest.raises(CompileError, match=r"SNN104|SNN202") as e:
        loaded(tmp_path, nodes, *rest)
    assert nodes[0].name in str(e.value)


@pytest.mark.parametrize("axes", [None, [3], [2, 3], [1, 0], [1, "n"]])
def test_inputs_have_a_batch_axis_of_one_sample(tmp_path, axes):
    made = model([node("Identity", "x", "y")], {"x": axes or []}, {"y": axes or []})
    if axes is None:
        made.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(CompileError, match=r"batch axis|shape"):
        sc.load(save(made, tmp_path / "net.onnx"))


# --- quantized weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize("per", ["tensor", "channel"])
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_dequantized_weights_keep_their_integers(tmp_path, per, kind):
    codes = RNG.integers(3, 120, (4, 3, 3, 2)).astype(kind)
    scale = np.array([0.125, 0.25, 0.5, 0.0625] if per == "channel" else 0.25, np.float32)
    zero = np.full(scale.shape, 5, kind)
    graph = agree(tmp_path, [node("DequantizeLinear", "q s z", "w", axis=0), node("Conv", "x w b", "y")], (3, 6, 5),
                  {"q": codes, "s": scale, "z": zero, "b": dyadic(4)})
    conv = next(op for op in graph.nodes.values() if isinstance(op, Conv))
    assert conv.weight.dtype.kind == "i"
    assert np.array_equal(conv.weight, codes.astype(int) - 5)
    factor = next(op for op in graph.nodes.values() if isinstance(op, Scale)).factor
    assert np.array_equal(np.ravel(factor), np.ravel(scale))


def test_weights_quantized_in_the_file_keep_their_integers(tmp_path):
    weights = dyadic(3, 5)
    graph = agree(tmp_path, [node("QuantizeLinear", "w s z", "q"), node("DequantizeLinear", "q s z", "d"),
                             node("Gemm", "x d", "y")], (3,),
                  {"w": weights, "s": np.float32(0.25).reshape(()), "z": np.array(0, np.int8)})
    linear = next(op for op in graph.nodes.values() if isinstance(op, Linear))
    assert np.array_equal(linear.weight.T, np.rint(weights / 0.25))


@pytest.mark.parametrize(("kind", "inputs", "attributes", "codes"), [
    ("Quant", {"s": 0.25, "z": 0.0, "n": 4.0}, {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"},
     lambda w: np.clip(np.rint(w / 0.25), -7, 7)),
    ("Quant", {"s": 0.5, "z": 0.0, "n": 2.0}, {"signed": 1, "narrow": 0, "rounding_mode": "FLOOR"},
     lambda w: np.clip(np.floor(w / 0.5), -2, 1)),
    ("BipolarQuant", {"s": 0.5}, {}, lambda w: np.where(w >= 0, 1, -1)),
])
def test_qonnx_weights_keep_their_integers(tmp_path, kind, inputs, attributes, codes):
    from onnx import helper

    weights = dyadic(3, 5)
    quant = helper.make_node(kind, ["w", *inputs], ["d"], "quant", domain="qonnx.custom_op.general", **attributes)
    made = model([quant, node("MatMul", "x d", "y")], {"x": [1, 3]}, {"y": [1, 5]}, {"w": weights, **inputs},
                 opsets=[helper.make_opsetid("qonnx.custom_op.general", 1)])
    graph = sc.load(save(made, tmp_path / "net.onnx"))
    linear = next(op for op in graph.nodes.values() if isinstance(op, Linear))
    assert linear.weight.dtype.kind == "i"
    assert np.array_equal(linear.weight.T, codes(weights))


def truncated_membrane(tmp_path, out_bits):
    """The membrane that QONNX's Trunc (version 1: step 0.25, zero point 3, 6 bits in) keeps of `x`, and `x`."""
    from onnx import helper

    trunc = helper.make_node("Trunc", ["v", "s", "z", "in", "out"], ["mem_out"], "trunc", rounding_mode="FLOOR",
                             domain="qonnx.custom_op.general")
    made = model([node("Add", "mem x", "v"), trunc, node("Identity", "mem_out", "y")], {"x": [1, 4], "mem": [1, 4]},
                 {"y": [1, 4], "mem_out": [1, 4]}, {"s": 0.25, "z": 3.0, "in": 6.0, "out": out_bits},
                 opsets=[helper.make_opsetid("qonnx.custom_op.general", 1)])
    x = RNG.integers(-64, 65, (1, 1, 4)) / 16
    return run(sc.load(save(made, tmp_path / "net.onnx"), values="real"), x).outputs["y"], x


def test_a_truncation_of_no_bits_rounds_around_the_zero_point(tmp_path):
    membrane, x = truncated_membrane(tmp_path, 6.0)
    assert np.array_equal(membrane, (np.floor(np.rint(x / 0.25 + 3)) - 3) * 0.25)


def test_a_truncation_keeps_the_step(tmp_path):
    """The operator's definition in QONNX, version 1: `(floor(round(x / s + z) / 2 ** (in - out)) - z) * s`."""
    membrane, x = truncated_membrane(tmp_path, 4.0)
    assert np.array_equal(membrane, (np.floor(np.rint(x / 0.25 + 3) / 4) - 3) * 0.25)


def test_constants_are_truncated_with_the_same_step(tmp_path):
    from onnx import helper

    weights = dyadic(3, 5) * 4
    trunc = helper.make_node("Trunc", ["w", "s", "z", "in", "out"], ["d"], "trunc", domain="qonnx.custom_op.general")
    made = model([trunc, node("MatMul", "x d", "y")], {"x": [1, 3]}, {"y": [1, 5]},
                 {"w": weights, "s": 0.25, "z": 0.0, "in": 6.0, "out": 4.0},
                 opsets=[helper.make_opsetid("qonnx.custom_op.general", 1)])
    graph = sc.load(save(made, tmp_path / "net.onnx"))
    x = np.eye(3)[None]
    assert np.array_equal(run(graph, x).outputs["y"][0], np.floor(np.rint(weights / 0.25) / 4) * 0.25)


@pytest.mark.parametrize("constant", [True, False])
def test_the_second_version_of_a_truncation_is_refused(tmp_path, constant):
    from onnx import helper

    source = "w" if constant else "v"
    trunc = helper.make_node("Trunc", [source, "s", "z", "in", "so", "out"], ["d"], "trunc",
                             domain="qonnx.custom_op.general")
    numbers = {"s": 0.25, "z": 0.0, "in": 6.0, "so": 1.0, "out": 4.0}
    nodes, weights = ([trunc, node("MatMul", "x d", "y")], {"w": dyadic(4, 4)}) if constant else (
        [node("Add", "mem x", "v"), trunc, node("Identity", "d", "y")], {})
    states = {} if constant else {"mem": [1, 4]}
    made = model(nodes, {"x": [1, 4], **states}, {"y": [1, 4], **({} if constant else {"d": [1, 4]})},
                 {**numbers, **weights}, opsets=[helper.make_opsetid("qonnx.custom_op.general", 2)])
    options = {} if constant else {"states": {"mem": "d"}}
    with pytest.raises(sc.CompileError) as caught:
        sc.load(save(made, tmp_path / "net.onnx"), values="real", **options)
    assert "SNN104" in [d.code for d in caught.value.diagnostics]
    assert "version 1" in str(caught.value)


def test_a_quantized_membrane_is_part_of_the_rule(tmp_path):
    """A state that is quantized and dequantized in every tick stays a multiple of the step, also in integers."""
    made = model(
        [node("Add", "mem x", "v"), node("QuantizeLinear", "v s z", "q"), node("DequantizeLinear", "q s z", "g"),
         node("Greater", "g theta", "f"), node("Cast", "f", "spk", to=1), node("Where", "f zero g", "mem_out")],
        {"x": [1, 4], "mem": [1, 4]}, {"spk": [1, 4], "mem_out": [1, 4]},
        {"s": np.float32(0.375).reshape(()), "z": np.array(0, np.int8), "theta": 1.0, "zero": 0.0})
    graph = sc.load(save(made, tmp_path / "net.onnx"), values="real")
    x = (RNG.integers(-16, 17, (1, 30, 4)) / 16).astype(np.float32)
    wanted = steps(made, {"x": x}, {"mem": ("mem_out", 0.0)})["spk"]
    assert np.array_equal(run(graph, x, dtype=np.float32).outputs["spk"], wanted)
    compiled = sc.compile(graph, target="c99", calibration=x)
    assert np.array_equal(compiled.run(x).outputs, compiled.reference(x).outputs)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "ArgMax"])
def test_what_only_decides_at_the_end_is_left_out_and_said(tmp_path, op):
    nodes = [node("Gemm", "x w", "h", transB=1), node(op, "h", "y", axis=1)]
    made = model(nodes, {"x": [1, 3]}, {"y": [1, 1 if op == "ArgMax" else 4]}, {"w": dyadic(4, 3)})
    made.graph.output[0].type.tensor_type.elem_type = 7 if op == "ArgMax" else 1  # int64, float
    graph = sc.load(save(made, tmp_path / "net.onnx"), values="real")
    x = (RNG.integers(-16, 17, (1, 3, 3)) / 16).astype(np.float32)
    wanted = np.concatenate([steps(made, {"x": x[:, t:t + 1]}, {})["y"] for t in range(3)], 1)
    (left,) = run(graph, {"x": x}).outputs.values()
    choices = wanted[..., 0] if op == "ArgMax" else wanted.argmax(-1)
    assert left.argmax(-1).tolist() == choices.tolist()
    assert f"{op} at the end was left out" in graph.notes[0].found


def test_an_einsum_over_many_values_takes_little_memory(tmp_path):
    """A matrix of ones on the diagonal, of 12,000 * 12,000 values, would take 576 MB."""
    made = model([node("Einsum", "x", "y", equation="bij->bj")], {"x": [1, 6000, 2]}, {"y": [1, 2]})
    path = save(made, tmp_path / "net.onnx")
    tracemalloc.start()
    graph = sc.load(path, values="real")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6
    x = RNG.integers(-16, 17, (1, 2, 6000, 2)).astype(np.float32)
    assert np.array_equal(next(iter(run(graph, {"x": x}).outputs.values())), x.sum(2))


@pytest.mark.parametrize("weights", [1, 70_000])
def test_an_einsum_that_would_take_long_is_refused(tmp_path, weights):
    """The axis of the weights may have length 1, and is still multiplied with every value."""
    made = model([node("Einsum", "x w", "y", equation="bij,ik->bjk")], {"x": [1, 70_000, 1]}, {"y": [1, 1, 1]},
                 {"w": np.ones((weights, 1), np.float32)})
    with pytest.raises(CompileError, match="SNN104") as e:
        sc.load(save(made, tmp_path / "net.onnx"))
    assert e.value.diagnostics[0].found == f"{70_000 ** 2} products"


@pytest.mark.parametrize("nodes", [
    [node("Squeeze", "x a", "y")], [node("Gather", "x i", "y", axis=1)],
    [node("ReduceMax", "x", "y", axes=[1], keepdims=0)]], ids=["squeeze", "gather", "maximum"])
def test_one_number_a_sample_leaves_as_an_axis_of_one(tmp_path, nodes):
    """It must be the file's output: further nodes would count axes from another one."""
    constants = {"a": longs(1), "i": np.array(0)}
    made = model(nodes, {"x": [1, 1]}, {"y": [1]}, constants, 13)
    graph = sc.load(save(made, tmp_path / "net.onnx"), values="real")
    x = (RNG.integers(-16, 17, (1, 3, 1)) / 16).astype(np.float32)
    assert np.array_equal(next(iter(run(graph, {"x": x}).outputs.values())), x)
    more = model([*nodes, node("Unsqueeze", "y a", "z")], {"x": [1, 1]}, {"z": [1, 1]}, constants, 13)
    with pytest.raises(CompileError, match="SNN104"):
        sc.load(save(more, tmp_path / "more.onnx"))


def test_reflections_of_large_layers_are_the_same_in_every_channel(tmp_path):
    """One matrix over the places, for all channels: a matrix over all values would have 64 times as many entries."""
    graph = agree(tmp_path, [node("Pad", "x p", "y", mode="reflect")], (8, 24, 24),
                  {"p": longs(0, 0, 1, 1, 0, 0, 1, 1)})
    assert [type(op).__name__ for op in graph.nodes.values() if hasattr(op, "weight")] == ["TokenMix"]
