"""ONNX files that are damaged, hostile or too large are refused with a diagnostic, and nothing else happens."""

from __future__ import annotations

import random
from contextlib import suppress

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

import snncompile as sc
from snncompile.diagnostics import CompileError
from snncompile.frontends.onnx import file as onnx_file
from tests.frontends.onnx.models import lif_model, model, node, save
from tests.strategies import random_graph


def refused(path, code):
    with pytest.raises(CompileError) as e:
        sc.load(path)
    assert code in {d.code for d in e.value.diagnostics}, str(e.value)
    return str(e.value)


@pytest.mark.parametrize(("data", "code"), [
    (b"", "SNN101"), (b"no model at all", "SNN101"), (b"\x89PNG\r\n\x1a\n", "SNN101"),
    (b"version https://git-lfs.github.com/spec/v1\n", "SNN101"), (b"\x80\x04K\x01.", "SNN101")])
def test_what_is_no_onnx_file_is_refused(tmp_path, data, code):
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    refused(path, code)


def test_a_missing_file_is_refused(tmp_path):
    refused(tmp_path / "net.onnx", "SNN101")


def test_a_file_beyond_the_bound_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "MAX_BYTES", 100)
    refused(save(lif_model(), tmp_path / "net.onnx"), "SNN103")


def test_a_cut_file_never_ends_in_a_traceback(tmp_path):
    data = lif_model().SerializeToString()
    path = tmp_path / "net.onnx"
    for size in range(0, len(data), 7):
        path.write_bytes(data[:size])
        with suppress(CompileError):
            sc.load(path)


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_flipped_bytes_never_end_in_a_traceback(tmp_path, first):
    sources = [lif_model().SerializeToString(), sc.export_onnx(random_graph(3), tmp_path / "a.onnx").read_bytes()]
    path = tmp_path / "net.onnx"
    for seed in range(first, first + 100):
        rng = random.Random(seed)
        data = bytearray(sources[seed % 2])
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        with suppress(CompileError):
            sc.load(path)


def test_a_cycle_is_refused(tmp_path):
    made = model([node("Add", "x b", "a"), node("Add", "a x", "b")], {"x": [1, 3]}, {"b": [1, 3]})
    refused(save(made, tmp_path / "net.onnx"), "SNN102")


def test_a_value_from_nowhere_is_refused(tmp_path):
    made = model([node("Add", "x nothing", "y")], {"x": [1, 3]}, {"y": [1, 3]})
    refused(save(made, tmp_path / "net.onnx"), "SNN102")


@pytest.mark.parametrize("dims", [[1 << 40], [1 << 31, 1 << 31, 1 << 31], [-1], [1] * 20, [3, 0]])
def test_declared_sizes_are_not_believed(tmp_path, dims):
    made = lif_model()
    del made.graph.initializer[0].dims[:]
    made.graph.initializer[0].dims.extend(dims)
    with pytest.raises(CompileError):
        sc.load(save(made, tmp_path / "net.onnx"))


@pytest.mark.parametrize("nodes", [
    [node("ConstantOfShape", "big", "c"), node("ReduceSum", "c", "r", keepdims=0), node("Add", "x r", "y")],
    [node("Expand", "one big", "c"), node("Add", "x c", "y")],
    [node("Range", "zero huge one", "c"), node("Add", "x c", "y")],
    [node("Concat", "c0 c0 c0 c0", "c1", axis=0), *(node("Concat", f"c{i} c{i} c{i} c{i}", f"c{i + 1}", axis=0)
                                                   for i in range(1, 30)), node("Add", "x c30", "y")],
])
def test_constants_are_not_grown_without_bound(tmp_path, nodes):
    made = model(nodes, {"x": [1, 3]}, {"y": [1, 3]}, {
        "big": np.array([1 << 30, 1 << 10], np.int64), "one": np.float32(1).reshape(()),
        "zero": np.float32(0).reshape(()), "huge": np.float32(1e12).reshape(()), "c0": np.zeros(64, np.float32)})
    assert "SNN103" in refused(save(made, tmp_path / "net.onnx"), "SNN103")


@pytest.mark.parametrize("shape", [[1, 1 << 40], [1, 1 << 20, 1 << 20]])
def test_inputs_are_bounded(tmp_path, shape):
    made = model([node("Transpose", "x", "y")], {"x": shape}, {"y": shape})
    refused(save(made, tmp_path / "net.onnx"), "SNN103")


@pytest.mark.parametrize("attributes", [
    {"kernel_shape": 3}, {"kernel_shape": [2.5, 2.5]}, {"kernel_shape": [2]}, {"kernel_shape": [0, 1]},
    {"kernel_shape": [2, 2], "auto_pad": 3}, {"kernel_shape": [2, 2], "pads": [1]}, {},
    {"kernel_shape": [2, 2], "strides": [-1, 1]}])
def test_attributes_of_the_wrong_kind_are_refused(tmp_path, attributes):
    made = model([node("AveragePool", "x", "y", **attributes)], {"x": [1, 2, 4, 4]}, {"y": [1, 2, 3, 3]})
    with pytest.raises(CompileError):
        sc.load(save(made, tmp_path / "net.onnx"))


@pytest.mark.parametrize("kind", ["If", "Loop"])
def test_control_flow_is_refused(tmp_path, kind):
    inner = helper.make_graph([node("Identity", "x", "z")], "inner", [],
                              [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 3])])
    one = {"then_branch": inner, "else_branch": inner} if kind == "If" else {"body": inner}
    made = model([helper.make_node(kind, ["c"], ["y"], "branch", **one)], {"x": [1, 3]}, {"y": [1, 3]},
                 {"c": np.array(True)})
    assert "branch" in refused(save(made, tmp_path / "net.onnx"), "SNN104")


def test_unknown_domains_are_refused_by_name(tmp_path):
    made = model([helper.make_node("Magic", ["x"], ["y"], "spell", domain="com.example")], {"x": [1, 3]},
                 {"y": [1, 3]}, opsets=[helper.make_opsetid("com.example", 1)])
    assert "com.example" in refused(save(made, tmp_path / "net.onnx"), "SNN104")


def test_inputs_that_are_no_tensors_are_refused(tmp_path):
    made = lif_model()
    made.graph.input[0].type.CopyFrom(helper.make_sequence_type_proto(
        helper.make_tensor_type_proto(TensorProto.FLOAT, [1, 3])))
    refused(save(made, tmp_path / "net.onnx"), "SNN102")


def test_text_is_refused(tmp_path):
    made = lif_model()
    made.graph.initializer[0].CopyFrom(helper.make_tensor("w", TensorProto.STRING, [1], [b"weights"]))
    refused(save(made, tmp_path / "net.onnx"), "SNN102")


# --- functions -------------------------------------------------------------------------------------------


def with_functions(depth: int, calls: int) -> onnx.ModelProto:
    """A model with a chain of functions, each of which calls the next several times: `calls ** depth` nodes in all."""
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    functions = []
    for i in range(depth):
        inner, domain = ("Neg", "") if i == 0 else (f"f{i - 1}", "own")
        chain = [helper.make_node(inner, [f"t{k}"], [f"t{k + 1}"], domain=domain) for k in range(calls)]
        functions.append(helper.make_function("own", f"f{i}", ["t0"], [f"t{calls}"], chain, opsets))
    made = model([helper.make_node(f"f{depth - 1}", ["x"], ["y"], "call", domain="own")], {"x": [1, 3]}, {"y": [1, 3]},
                 opsets=[helper.make_opsetid("own", 1)])
    made.functions.extend(functions)
    return made


def test_functions_are_inlined(tmp_path):
    from snncompile.ir.interp import run

    graph = sc.load(save(with_functions(2, 3), tmp_path / "net.onnx"))
    x = np.ones((1, 1, 3))
    assert np.array_equal(run(graph, x).outputs["y"], -x)


def test_functions_are_not_inlined_without_bound(tmp_path):
    refused(save(with_functions(30, 3), tmp_path / "net.onnx"), "SNN103")


def test_functions_that_call_themselves_are_refused(tmp_path):
    made = with_functions(2, 1)
    made.functions[0].node[0].op_type, made.functions[0].node[0].domain = "f1", "own"
    refused(save(made, tmp_path / "net.onnx"), "SNN102")


# --- external data ---------------------------------------------------------------------------------------


def external(location: str, offset: int = 0, length: int | None = None) -> onnx.ModelProto:
    made = lif_model()
    weights = made.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": offset, **({} if length is None else {"length": length})}
    for key, value in entries.items():
        weights.external_data.add(key=key, value=str(value))
    return made


def test_external_data_are_read_from_the_models_folder(tmp_path):
    from snncompile.ir.ops import Linear

    data = numpy_helper.to_array(lif_model().graph.initializer[0])
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "weights.bin").write_bytes(b"skip" + data.tobytes())
    graph = sc.load(save(external("sub/weights.bin", 4), tmp_path / "net.onnx"))
    assert np.array_equal(next(op for op in graph.nodes.values() if isinstance(op, Linear)).weight, data)


@pytest.mark.parametrize("location", ["../weights.bin", "/secret.bin", "sub/../../weights.bin", "link.bin",
                                      "missing.bin", "", "..\\weights.bin", "C:\\weights.bin", "sub", "a\0b"])
def test_external_data_stay_in_the_models_folder(tmp_path, location):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "weights.bin").write_bytes(bytes(48))
    (folder / "link.bin").symlink_to(tmp_path / "weights.bin")
    refused(save(external(location), folder / "net.onnx"), "SNN102")


@pytest.mark.parametrize(("offset", "length"), [(8, None), (-4, None), (0, 12), (1 << 62, None), (0, 1 << 62)])
def test_external_data_are_as_long_as_their_shape(tmp_path, offset, length):
    (tmp_path / "w.bin").write_bytes(bytes(48))
    refused(save(external("w.bin", offset, length), tmp_path / "net.onnx"), "SNN102")


def test_huge_external_data_are_not_read(tmp_path):
    made = external("w.bin")
    made.graph.initializer[0].dims[:] = [1 << 20, 1 << 20]
    (tmp_path / "w.bin").write_bytes(bytes(48))
    refused(save(made, tmp_path / "net.onnx"), "SNN103")


# --- metadata --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "snnc 1", "snnc 1\ngraph", "[" * 10_000, "snnc 1\n" + "x" * 1000])
def test_a_broken_graph_in_the_metadata_does_not_count(tmp_path, text):
    made = lif_model()
    helper.set_model_props(made, {"snncompile.graph": text})
    assert [n.code for n in sc.load(save(made, tmp_path / "net.onnx")).notes] == ["SNN109"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"states": 3}', '{"states": [{"in": "mem"}]}', "[" * 100_000,
                                  '{"states": [{"in": "mem", "out": "spk"}, {"in": "x", "out": "spk"}]}'])
def test_broken_pairs_in_the_metadata_do_not_count(tmp_path, text):
    made = lif_model()
    helper.set_model_props(made, {"snncompile.step": text})
    assert len(sc.load(save(made, tmp_path / "net.onnx")).inputs) == 1


def test_without_the_package_there_is_a_diagnostic(tmp_path, monkeypatch):
    import snncompile.frontends.onnx as frontend

    path = save(lif_model(), tmp_path / "net.onnx")
    monkeypatch.setattr(frontend, "find_spec", lambda name: None)
    assert "pip install snncompile[onnx]" in refused(path, "SNN108")
    with pytest.raises(CompileError, match="SNN108"):
        sc.export_onnx(random_graph(1), tmp_path / "b.onnx")
