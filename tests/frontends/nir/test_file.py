"""Damaged and hostile NIR files are refused quickly with a diagnostic, and nothing else happens."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snncompile.diagnostics import CompileError
from snncompile.frontends import load
from snncompile.frontends.nir.export import export_nir
from snncompile.frontends.nir.file import MAX_DEPTH, MAX_NODES
from snncompile.ir.text import from_text, to_text
from tests.frontends.nir.files import affine, chain, codes, if_, inner, lif, node, refusal, write
from tests.strategies import Features, random_graph

MIXED = Features(rules=("if", "lif", "cubalif"), graded=("li",), layers=2)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A network with strings, matrices, metadata and a loop."""
    path = chain(tmp_path / "net.nir", (3,), affine(np.eye(3)), lif(3), affine(np.ones((2, 3)), [1, 2]), lif(2))
    return export_nir(load(path), tmp_path / "net.nir")


def survives(path: Path) -> bool:
    """Whether a file loads; an exception other than a diagnostic fails the test."""
    try:
        load(path)
    except CompileError:
        return False
    return True


def test_every_cut_of_a_file_is_refused(net: Path, tmp_path: Path) -> None:
    data = net.read_bytes()
    cut = tmp_path / "cut.nir"
    for end in {*range(0, 64), *range(64, len(data) - 1, 97)}:
        cut.write_bytes(data[:end])
        assert not survives(cut)
    for end in (0, 1, 7, 8, 20, 100, len(data) // 2):
        cut.write_bytes(data[:end])
        assert codes(cut) == ["SNN101"]


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_load_or_are_refused(net: Path, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    good = net.read_bytes()
    structure = [i for i, b in enumerate(good) if b]
    refused = 0
    for _ in range(10):
        data = bytearray(good)
        for _ in range(rng.choice([1, 2, 5, 20])):
            at = rng.choice(structure) if rng.random() < 0.7 else rng.randrange(len(data))
            data[at] = rng.choice([0, 1, 255, rng.randrange(256), data[at] ^ 1 << rng.randrange(8)])
        (tmp_path / "flipped.nir").write_bytes(data)
        refused += not survives(tmp_path / "flipped.nir")
    assert refused > 0


def test_a_file_that_is_not_hdf5_is_named_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.nir").write_bytes(b"PK\x03\x04archive/data.pkl")
    assert 'it begins with "PK..archive/data"' in refusal(tmp_path / "x.nir")


@pytest.mark.parametrize(("content", "told"), [
    (b"", "an empty file"), (bytes(500), "begins with zeros"),
    (b"version https://git-lfs.github.com/spec/v1", "git-lfs"),
    (b"\x80\x04\x95abc", "a pickled object"), (b"PK\x03\x04", "a zip archive"),
])
def test_what_is_no_hdf5_file_is_told_from_one_that_is_not_whole(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "x.nir").write_bytes(content)
    assert told in refusal(tmp_path / "x.nir")
    assert "its writer ended before it closed" not in refusal(tmp_path / "x.nir")


@pytest.mark.parametrize("end", [20, 60, 500, -1])
def test_a_file_that_was_cut_says_how_much_is_there(net: Path, tmp_path: Path, end: int) -> None:
    data = net.read_bytes()
    (tmp_path / "cut.nir").write_bytes(data[:end])
    found = refusal(tmp_path / "cut.nir")
    assert f"the file ends after {len(data[:end])} " in found
    assert end < 48 or f"of {len(data)} bytes" in found


DYING = """
import os, sys, h5py, numpy as np
file = h5py.File(sys.argv[1], "w", libver=sys.argv[2])
file["version"] = "1.0.8"
for i in range(40):
    file[f"node/nodes/n{i}/weight"] = np.ones((40, 40))
    if i == int(sys.argv[3]):
        file.flush()
os._exit(0)
"""


@pytest.mark.parametrize("version", ["earliest", "latest"])
@pytest.mark.parametrize("flushed", [-1, 20])
def test_a_file_whose_writer_died_is_told_from_one_that_is_no_nir(tmp_path: Path, version: str, flushed: int) -> None:
    subprocess.run([sys.executable, "-c", DYING, tmp_path / "x.nir", version, str(flushed)], check=True, timeout=60)
    assert "its writer ended before it closed the file" in refusal(tmp_path / "x.nir")


def test_a_file_in_which_nir_stopped_at_a_node_names_it(tmp_path: Path) -> None:
    """`nir.write` raises a TypeError for parameters without axes, after it wrote the nodes before."""
    with h5py.File(tmp_path / "x.nir", "w") as file:
        file["version"] = "1.0.8"
        file["node/nodes/w/weight"], file["node/nodes/w/type"] = np.eye(3), "Linear"
        file.create_group("node/nodes/lif")
    found = refusal(tmp_path / "x.nir")
    assert '2 nodes and no edges: nir.write ended half-way, at node "lif"' in found
    assert "np.array([v])" in found


def test_a_file_of_lava_dl_under_the_name_of_nir(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.nir", "w") as file:
        file.create_group("layer/0")
    assert "give it the suffix .net" in refusal(tmp_path / "x.nir")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    assert codes(tmp_path / "none.nir") == ["SNN101"]
    (tmp_path / "folder.nir").mkdir()
    assert codes(tmp_path / "folder.nir") == ["SNN101"]


def test_a_file_without_a_graph(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.nir", "w") as file:
        file["version"] = "1.0.8"
    assert codes(tmp_path / "x.nir") == ["SNN102"]
    with h5py.File(tmp_path / "x.nir", "w") as file:
        file["node/type"] = "Linear"
        file["node/weight"] = np.eye(2)
    assert "not a NIRGraph" in refusal(tmp_path / "x.nir")


def test_an_empty_graph_has_no_input(tmp_path: Path) -> None:
    assert codes(write(tmp_path / "x.nir", {}, [])) == ["SNN201", "SNN201"]


def test_all_missing_and_unknown_fields_are_reported_together(tmp_path: Path) -> None:
    path = chain(tmp_path / "x.nir", (1,), node("LIF", tau=[1.0]), node("IF", r=[1.0], v_threshold=[1.0], extra=[1.0]))
    text = refusal(path)
    assert text.count("error[SNN102]") == 4
    assert all(word in text for word in ("r", "v_leak", "v_threshold", '"extra"', '"n0"', '"n1"'))


def test_an_unknown_node_type_is_named(tmp_path: Path) -> None:
    assert 'node type "Spiketron"' in refusal(chain(tmp_path / "x.nir", (1,), node("Spiketron")))


@pytest.mark.parametrize(("fields", "code"), [
    ({"weight": "text"}, "SNN102"),
    ({"weight": np.array([b"a", b"b"])}, "SNN102"),
    ({"weight": np.zeros((2, 2), "c8")}, "SNN101"),
    ({"weight": np.zeros((2, 2, 2))}, "SNN104"),
    ({"weight": np.zeros(2)}, "SNN104"),
    ({"weight": np.float64(3)}, "SNN104"),
    ({"weight": np.zeros((0, 2))}, "SNN104"),
    ({"weight": {"group": 1}}, "SNN102"),
    ({"weight": np.array([[np.nan, 1], [np.inf, 1]])}, "SNN203"),
    ({"weight": np.eye(2), "bias": np.ones(3)}, "SNN202"),
    ({"weight": np.eye(3)}, "SNN202"),
    ({"weight": np.eye(2), "type": 5}, "SNN102"),
])
def test_fields_of_wrong_type_shape_or_value(tmp_path: Path, fields: dict[str, Any], code: str) -> None:
    path = chain(tmp_path / "x.nir", (2,), {"type": "Affine", "bias": np.zeros(2), **fields})
    assert codes(path) == [code]


def test_nan_weights_are_counted_and_named(tmp_path: Path) -> None:
    text = refusal(chain(tmp_path / "x.nir", (2,), affine([[np.nan, 1], [2, np.nan]])))
    assert '"n0", weight' in text
    assert "2 of 4 values" in text


@pytest.mark.parametrize("field", ["tau", "r", "v_leak", "v_threshold"])
def test_nan_neuron_parameters_are_named(tmp_path: Path, field: str) -> None:
    text = refusal(chain(tmp_path / "x.nir", (2,), lif(2, **{field: np.array([1.0, np.nan])})))
    assert f'"n0", {field}' in text
    assert "1 of 2 values" in text


def test_too_many_nodes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.nir", "w") as file:
        file["node/type"] = "NIRGraph"
        file["node/nodes/first/type"] = "Input"
        for i in range(MAX_NODES + 5):
            file[f"node/nodes/n{i}"] = file["node/nodes/first"]
        file.create_dataset("node/edges", (0, 2), h5py.string_dtype())
    assert codes(tmp_path / "x.nir") == ["SNN103"]


def test_a_million_nodes_out_of_a_small_file(tmp_path: Path) -> None:
    """Ten levels of graphs, each of which holds the next level ten times."""
    with h5py.File(tmp_path / "x.nir", "w") as file:
        last = file.create_group("leaf")
        last["type"] = "Input"
        last["shape"] = [1]
        for level in range(10):
            graph = file.create_group(f"graph{level}")
            graph["type"] = "NIRGraph"
            graph.create_dataset("edges", (0, 2), h5py.string_dtype())
            for i in range(10):
                graph[f"nodes/n{i}"] = last
            last = graph
        file["node"] = last
    assert codes(tmp_path / "x.nir") == ["SNN103"]


def test_a_graph_that_holds_itself(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.nir", "w") as file:
        file["node/type"] = "NIRGraph"
        file.create_dataset("node/edges", (0, 2), h5py.string_dtype())
        file["node/nodes/again"] = file["node"]
    assert codes(tmp_path / "x.nir") == ["SNN103"]


def nested(levels: int) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    ends = {"i": node("Input", shape=[2]), "o": node("Output", shape=[2])}
    content: dict[str, Any] = if_(2)
    for _ in range(levels):
        content = inner({**ends, "x": content}, [("i", "x"), ("x", "o")])
    return {**ends, "x": content}, [("i", "x"), ("x", "o")]


@pytest.mark.parametrize("levels", [1, 10, MAX_DEPTH - 1])
def test_nested_graphs_load(tmp_path: Path, levels: int) -> None:
    graph = load(write(tmp_path / "x.nir", *nested(levels)))
    assert list(graph.nodes) == ["i", ".".join("x" * (levels + 1)), "o"]


def test_deeper_nesting_is_refused(tmp_path: Path) -> None:
    assert codes(write(tmp_path / "x.nir", *nested(MAX_DEPTH + 1))) == ["SNN103"]


def test_a_small_file_that_declares_terabytes(tmp_path: Path) -> None:
    path = chain(tmp_path / "x.nir", (2,), affine(np.eye(2)))
    with h5py.File(path, "a") as file:
        del file["node/nodes/n0/weight"]
        file["node/nodes/n0"].create_dataset("weight", (1 << 20, 1 << 20), "f8", compression="gzip")
    assert codes(path) == ["SNN103"]


def test_a_compressed_bomb_stays_within_its_budget(tmp_path: Path) -> None:
    path = chain(tmp_path / "x.nir", (2,), affine(np.eye(2)))
    with h5py.File(path, "a") as file:
        for i in range(6):
            file["node/nodes"].copy("n0", f"b{i}")
            del file[f"node/nodes/b{i}/weight"]
            file[f"node/nodes/b{i}"].create_dataset("weight", (1 << 24,), "f4", compression="gzip", chunks=(1 << 24,))
            if i < 2:
                file[f"node/nodes/b{i}/weight"][:1] = 0
    assert path.stat().st_size < 1 << 20
    assert codes(path) in (["SNN103"], ["SNN101"])


HOSTILE = ["a; rm -rf /", "../../x", "line\nbreak", "tab\t", "ä ö", "<script>", "%s%n", "{0}", "a" * 150, "'\"\\", " "]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_kept_as_they_are(tmp_path: Path, name: str) -> None:
    spelled = name.replace("/", "|")
    nodes = {"in": node("Input", shape=[2]), spelled: if_(2), "out": node("Output", shape=[2])}
    graph = load(write(tmp_path / "x.nir", nodes, [("in", spelled), (spelled, "out")]))
    assert list(graph.nodes) == ["in", spelled, "out"]
    assert to_text(from_text(to_text(graph))) == to_text(graph)
    exact = graph.replace(nodes={name if n == spelled else n: op for n, op in graph.nodes.items()},
                          edges=tuple(type(e)(e.src.replace("|", "/"), e.dst.replace("|", "/")) for e in graph.edges))
    again = load(export_nir(exact, tmp_path / "again.nir"))
    assert to_text(again) == to_text(exact)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.nir", "x.nir"]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = chain(tmp_path / "x.nir", (2,), affine(np.eye(2)))
    path.write_bytes(path.read_bytes().replace(b"output", b"out\xff\xfet"))
    assert codes(path) == ["SNN101"]


def test_edges_that_are_not_utf8(tmp_path: Path) -> None:
    path = chain(tmp_path / "x.nir", (2,), affine(np.eye(2)))
    with h5py.File(path, "a") as file:
        del file["node/edges"]
        file["node/edges"] = np.array([[b"in\xff\xfe", b"n0"], [b"n0", b"output"]])
    assert codes(path) == ["SNN102"]


@pytest.mark.parametrize("edges", [np.zeros((2, 2)), np.array([b"a", b"b"]), np.array([[b"a", b"b", b"c"]])])
def test_edges_of_another_form(tmp_path: Path, edges: Any) -> None:
    path = chain(tmp_path / "x.nir", (2,), affine(np.eye(2)))
    with h5py.File(path, "a") as file:
        del file["node/edges"]
        file["node/edges"] = edges
    assert codes(path) == ["SNN102"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    path = chain(tmp_path / "x.nir", (2,), affine(np.eye(2)))
    with h5py.File(path, "a") as file:
        del file["node/nodes/n0/weight"]
        file["node/nodes/n0/weight"] = h5py.ExternalLink("/etc/hostname", "/x")
    assert "link to another place" in refusal(path)


def test_metadata_of_others_are_left_alone(tmp_path: Path) -> None:
    path = chain(tmp_path / "x.nir", (2,), affine(np.eye(2)), metadata={"author": {"mood": "fine", "flag": True}})
    assert codes(path) == []


@pytest.mark.parametrize("metadata", [
    {"graph": "{"}, {"graph": "[]"}, {"graph": "[" * 100_000}, {"graph": '{"name": 1, "meta": {}, "nodes": []}'},
    {"graph": 5}, {"dt": -1.0}, {"dt": "soon"}, {"reset": "sometimes"}, {"max_spikes": 0}, {"inner": {"a": 1}},
])
def test_damaged_metadata_of_the_graph(tmp_path: Path, metadata: dict[str, Any]) -> None:
    path = chain(tmp_path / "x.nir", (1,), lif(), metadata={"snncompile": metadata})
    assert codes(path) in (["SNN102"], ["SNN404"])


@pytest.mark.parametrize("metadata", [
    {"neuron": "{"}, {"neuron": 1}, {"neuron": "[]"}, {"neuron": '{"rule": "alif"}'}, {"neuron": '{"rule": []}'},
    {"neuron": '{"rule": "lif", "params": {"decay": NaN}, "options": {}, "initial": {}}'},
    {"neuron": '{"rule": "lif", "params": {"decay": true}, "options": {}, "initial": {}}'},
    {"neuron": '{"rule": "lif", "params": {"decay": {"array": "x"}}, "options": {}, "initial": {}}'},
    {"neuron": '{"rule": "lif", "params": {"speed": 1}, "options": {}, "initial": {}}'},
    {"neuron": '{"rule": "lif", "params": {}, "options": {"filter": "x"}, "initial": {}}'},
    {"neuron": '{"rule": "lif", "params": {}, "options": {}, "initial": {"w": 1}}'},
    {"neuron": '{"rule": "lif", "params": {"decay": {"array": "a"}}, "options": {}, "initial": {}}', "a": np.ones(7)},
    {"neuron": '{"rule": "lif", "params": {"decay": 1' + "0" * 400 + '}, "options": {}, "initial": {}}'},
    {"compare": "=="}, {"max_spikes": 1.5}, {"v_min": "low"}, {"name": '"input"'}, {"name": "5"}, {"name": "{"},
])
def test_damaged_metadata_of_a_node(tmp_path: Path, metadata: dict[str, Any]) -> None:
    path = chain(tmp_path / "x.nir", (1,), {**lif(), "metadata": {"snncompile": metadata}})
    assert codes(path) in (["SNN102"], ["SNN404"])


@pytest.mark.slow
def test_damaged_files_of_random_networks(tmp_path: Path) -> None:
    rng = random.Random(1)
    path, tried = tmp_path / "x.nir", 0
    for seed in range(400):
        try:
            export_nir(random_graph(seed, MIXED), path)
        except CompileError:
            continue
        good = path.read_bytes()
        structure = [i for i, b in enumerate(good) if b]
        for _ in range(5):
            data = bytearray(good)
            for at in rng.sample(structure, 4):
                data[at] = rng.randrange(256)
            path.write_bytes(data)
            survives(path)
            tried += 1
    assert tried > 100


@pytest.mark.parametrize("missing", ["nodes", "edges"])
@pytest.mark.parametrize("other", [None, "dataset", "group"])
def test_a_graph_has_a_group_of_nodes_and_a_dataset_of_edges(tmp_path: Path, missing: str, other: str | None) -> None:
    path = chain(tmp_path / "net.nir", (4,), lif(4), out=(4,))
    with h5py.File(path, "a") as file:
        del file[f"node/{missing}"]
        if other == "dataset":
            file[f"node/{missing}"] = np.zeros(3) if missing == "nodes" else np.zeros((0, 3))
        elif other == "group":
            file.create_group(f"node/{missing}")
    with pytest.raises(CompileError) as caught:
        load(path)
    assert {d.code for d in caught.value.diagnostics} <= {"SNN102", "SNN104", "SNN202", "SNN201", "SNN101"}
    if other is None or (missing, other) in (("nodes", "dataset"), ("edges", "group")):
        assert [d.code for d in caught.value.diagnostics] == ["SNN102"]
