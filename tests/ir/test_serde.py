"""A graph as text and safetensors bytes."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from safetensors.numpy import load, save

from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.serde import dump, restore
from snncompile.ir.text import to_text
from tests.strategies import graphs, random_graph


@given(graphs())
def test_a_graph_survives_dump_and_restore(graph):
    text, weights = dump(graph)
    assert to_text(restore(text, weights)) == text


def test_equal_weights_are_stored_once():
    weight = np.ones((3, 3))
    graph = Graph("g", {"x": Input((3,)), "a": Linear(weight), "b": Linear(weight.copy()), "y": Output()},
                  (Edge("x", "a"), Edge("a", "b"), Edge("b", "y")))
    assert len(load(dump(graph)[1])) == 1


def test_weights_of_any_layout_are_stored_by_value():
    weight = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    graph = Graph("g", {"x": Input((3,)), "a": Linear(weight), "y": Output()}, (Edge("x", "a"), Edge("a", "y")))
    np.testing.assert_array_equal(restore(*dump(graph)).nodes["a"].arrays["weight"], weight)


def test_changed_weights_are_noticed_by_their_hash():
    text, weights = dump(random_graph(9))
    arrays = {name: a.copy() for name, a in load(weights).items()}
    next(iter(arrays.values())).flat[0] += 1
    with pytest.raises(CompileError, match="other content than its hash says"):
        restore(text, save(arrays))


def test_missing_weights_are_named():
    text, weights = dump(random_graph(9))
    name = next(iter(load(weights)))
    with pytest.raises(CompileError, match="is not among the weights") as caught:
        restore(text, save({k: v for k, v in load(weights).items() if k != name}), where="net.snn")
    assert caught.value.diagnostics[0].place.startswith("net.snn, line ")


def header(dtype: str, size: int) -> bytes:
    text = json.dumps({"a": {"dtype": dtype, "shape": [2], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(size)


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"not safetensors at all", b"\xff" * 64, header("F32", 8)[:-1],
                                  header("BF16", 4), header("NONE", 4), header("F32", 8)],
                         ids=["empty", "short", "text", "huge", "truncated", "bfloat16", "no-type", "wrong-name"])
def test_bytes_that_are_not_our_weights_are_refused(data):
    with pytest.raises(CompileError, match="SNN102"):
        restore(dump(random_graph(9))[0], data)


def test_a_pickle_is_not_weights():
    with pytest.raises(CompileError, match="SNN102"):
        restore("snnc 1\n", b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94.")
