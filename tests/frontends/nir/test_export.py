"""A network that is written as NIR is read back unchanged, and the NIR package reads the file too."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings

from snncompile.diagnostics import CompileError
from snncompile.frontends import load
from snncompile.frontends.nir.export import export_nir, nir_bytes
from snncompile.frontends.nir.file import NirNode, read_nir
from snncompile.frontends.nir.graph import to_graph
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.op import Op
from snncompile.ir.ops import (
    AvgPool,
    Conv,
    Identity,
    Input,
    Linear,
    MaxPool,
    Output,
    Pad,
    Rectify,
    Reshape,
    Scale,
    SumPool,
    Upsample,
)
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing, Membrane, Real, neuron_rule
from snncompile.ir.spike_product import SpikeProduct
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Shape, ShapeOnly, Stage
from tests.frontends.nir.files import chain, if_, lif, spikes
from tests.frontends.nir.graphs import expressible, expressible_graphs
from tests.frontends.nir.graphs import neuron as random_neuron
from tests.strategies import Choices, Dice, inputs_for


def line(shape: Shape, *ops: Op, **about: Any) -> Graph:
    """A graph with a chain of operators."""
    nodes: dict[str, Op] = {"in": Input(shape), **{f"n{i}": op for i, op in enumerate(ops)}, "out": Output()}
    names = list(nodes)
    return Graph("net", nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(names)), **about)


def again(graph: Graph, tmp_path: Path, **options: Any) -> Graph:
    return load(export_nir(graph, tmp_path / "again.nir"), **options)


@settings(max_examples=150)
@given(expressible_graphs())
def test_random_graphs_survive_the_round_trip(tmp_path_factory: pytest.TempPathFactory, graph: Graph) -> None:
    back = again(graph, tmp_path_factory.getbasetemp())
    assert str(back) == str(graph)
    assert not back.notes


@pytest.mark.slow
def test_many_random_graphs_survive_the_round_trip(tmp_path: Path) -> None:
    for seed in range(300):
        graph = expressible(Choices(Dice(seed)))
        assert str(again(graph, tmp_path)) == str(graph), f"seed {seed}"


def test_fields_alone_mean_the_same_neurons(tmp_path: Path) -> None:
    """Without exact constants in the metadata, the equations give the same constants up to rounding."""
    for seed in range(120):
        graph = line((4,), random_neuron(Choices(Dice(seed)), (4,)))
        path = export_nir(graph, tmp_path / "x.nir")
        with h5py.File(path, "a") as file:
            del file["node/nodes/n0/metadata/snncompile/neuron"]
        op, reread = graph.nodes["n0"], load(path).nodes["n0"]
        assert isinstance(op, Neuron)
        if op.rule.name == "accumulator":
            assert isinstance(reread, Scale)
            continue
        assert isinstance(reread, Neuron)
        plain = {k: v for k, v in op.params.items() if k not in ("bias", "v_min", "w", "v_reset")}
        if op.rule.name == "threshold":
            plain = {"gain": 1.0, "threshold": op.params["threshold"] / op.params["gain"]}
        if "rate" in plain:
            gain = 1.0 if op.options["input"] == "whole" else plain["rate"]
            plain = {"decay": 1 - plain["rate"], "gain": gain} | (
                {"decay_syn": 1 - plain["rate_syn"], "gain_syn": 1.0} if "rate_syn" in plain else {})
        if op.rule.name != "plif":
            for key, value in plain.items():
                assert np.allclose(np.broadcast_to(reread.params[key], 4), value, rtol=1e-9), (seed, key)


def test_a_file_keeps_what_an_option_does_not_override(tmp_path: Path) -> None:
    op = Neuron.of("lif", Firing(">", "subtract", "after-decay", None), decay=0.7, gain=0.3, threshold=1.25, v_min=-2.0)
    reread = again(line((3,), op), tmp_path, compare=">=", v_min=None).nodes["n0"]
    assert isinstance(reread, Neuron)
    assert reread.firing == Firing(">=", "subtract", "after-decay", None)
    assert dict(reread.params) == {"decay": 0.7, "gain": 0.3, "threshold": 1.25}


def test_another_time_step_discretizes_the_equations_anew(tmp_path: Path) -> None:
    graph = line((3,), Neuron.of("lif", decay=0.5, gain=1.0))
    path = export_nir(graph, tmp_path / "x.nir", dt=1e-3)
    same, finer = load(path, dt=1e-3), load(path, dt=1e-4)
    assert str(same) == str(graph)
    op = finer.nodes["n0"]
    assert isinstance(op, Neuron)
    assert op.params["decay"] == pytest.approx(0.95)


def test_the_time_step_of_the_graph_is_used(tmp_path: Path) -> None:
    path = export_nir(line((1,), Neuron.of("lif", decay=0.5), meta={"dt": 0.25}), tmp_path / "x.nir")
    with h5py.File(path) as file:
        assert file["node/nodes/n0/tau"][()].tolist() == [0.5]
        assert file["node/metadata/snncompile/dt"][()] == 0.25


def test_changed_fields_beat_metadata_that_no_longer_fit(tmp_path: Path) -> None:
    path = export_nir(line((2,), Neuron.of("lif", Firing(">"), decay=0.5, gain=1.0, threshold=1.0)), tmp_path / "x.nir")
    with h5py.File(path, "a") as file:
        file["node/nodes/n0/v_threshold"][...] = 3.0
    graph = load(path)
    op = graph.nodes["n0"]
    assert isinstance(op, Neuron)
    assert op.params["threshold"] == 3.0
    assert op.firing.compare == ">"
    assert any("the fields were used" in n.found for n in graph.notes)


def test_a_loaded_file_survives_with_its_conventions(tmp_path: Path) -> None:
    source = chain(tmp_path / "x.nir", (2,), lif(2), if_(2))
    graph = load(source, as_="spikingjelly")
    assert str(again(graph, tmp_path)) == str(graph)


def recurrent(delay: int) -> Graph:
    nodes: dict[str, Op] = {"in": Input((2,)), "a": Neuron.of("lif"), "w": Linear(np.eye(2)), "out": Output()}
    return Graph("net", nodes, (Edge("in", "a"), Edge("a", "w", delay), Edge("w", "a"), Edge("a", "out")))


def test_a_recurrence_is_written_as_nir_writes_it(tmp_path: Path) -> None:
    path = export_nir(recurrent(1), tmp_path / "x.nir")
    assert "Delay" not in {getattr(n, "type", "") for n in read_nir(path).nodes.values()}
    path = export_nir(recurrent(2), tmp_path / "x.nir")
    assert "Delay" in {getattr(n, "type", "") for n in read_nir(path).nodes.values()}


def test_the_bytes_of_a_file_depend_on_the_graph_alone() -> None:
    graph = expressible(Choices(Dice(3)))
    assert bytes(nir_bytes(graph)) == bytes(nir_bytes(graph))


# --- what NIR cannot express -----------------------------------------------------------------------------


def namesake() -> Neuron:
    """A neuron of a user's own rule that has the name of the library's `lif`."""

    @neuron_rule(decay=Real(0.5), threshold=Membrane(1.0))
    def lif(state: Any, x: Any, p: Any) -> Any:
        state.v = state.v + x
        return state.v >= p.threshold

    return Neuron(lif)


INEXPRESSIBLE: list[tuple[Shape, Op]] = [
    ((3,), Neuron.of("alif")),
    ((3,), namesake()),
    ((3,), Neuron.of("lif", decay=1.5)),
    ((3,), Neuron.of("lif", decay=-0.5)),
    ((3,), Neuron.of("lif", decay=np.array([1.0, 0.5, 0.5]))),
    ((3,), Neuron.of("cubalif", decay_syn=1.0)),
    ((3,), Neuron.of("if", bias=0.5)),
    ((3,), Neuron.of("threshold", gain=-1.0)),
    ((3,), Neuron.of("threshold", Firing(max_spikes=None))),
    ((3,), Neuron.of("lif", decay=0.9999999999999999, gain=1e300)),
    ((3,), Rectify()),
    ((3,), Pad(((1, 0),))),
    ((3,), Scale(2.0, 1.0)),
    ((4,), Reshape((2, 2))),
    ((3,), Linear(ShapeOnly((3, 3)))),
    ((3,), Neuron.of("if", threshold=ShapeOnly((3,)))),
    ((2, 3), TokenMix(np.ones((1, 3, 3)))),
    ((2, 3), SpikeProduct(1, 3, "tokens")),
    ((1, 4, 4), MaxPool((2, 2), (2, 2))),
    ((1, 4, 4), Upsample((2, 2))),
    ((1, 4, 4), Conv(np.ones((1, 1, 2, 2)), padding=((1, 0), (1, 0)))),
]
KINDS = [op.kind() + str(i) for i, (_, op) in enumerate(INEXPRESSIBLE)]


@pytest.mark.parametrize(("shape", "op"), INEXPRESSIBLE, ids=KINDS)
def test_what_nir_cannot_express_is_named_and_nothing_is_written(tmp_path: Path, shape: Shape, op: Op) -> None:
    with pytest.raises(CompileError) as e:
        export_nir(line(shape, op), tmp_path / "x.nir")
    assert [(d.code, d.place) for d in e.value.diagnostics] == [("SNN106", 'node "n0"')]
    assert list(tmp_path.iterdir()) == []


def test_all_inexpressible_nodes_are_named_together(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as e:
        export_nir(line((3,), Rectify(), Identity(), Rectify()), tmp_path / "x.nir")
    assert [d.place for d in e.value.diagnostics] == ['node "n0"', 'node "n2"']


def test_only_float_graphs_are_written(tmp_path: Path) -> None:
    graph = Graph("net", {"i": Input((2,)), "n": Neuron.of("if"), "o": Output()},
                  (Edge("i", "n", 0, (Linear(np.eye(2)),)), Edge("n", "o")), Stage.LEGAL)
    with pytest.raises(CompileError, match="SNN106"):
        export_nir(graph, tmp_path / "x.nir")


@pytest.mark.parametrize("dt", [0, -1, float("nan"), "soon"])
def test_a_time_step_that_cannot_be(tmp_path: Path, dt: Any) -> None:
    with pytest.raises(CompileError, match="SNN404"):
        export_nir(recurrent(1), tmp_path / "x.nir", dt)


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="SNN602"):
        export_nir(recurrent(1), tmp_path / "none" / "x.nir")


def test_metadata_that_are_no_json(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="SNN106"):
        export_nir(recurrent(1).replace(meta={"f": object}), tmp_path / "x.nir")


def test_an_existing_file_is_replaced_whole_or_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.nir"
    path.write_bytes(b"before")
    with pytest.raises(CompileError):
        export_nir(line((3,), Rectify()), path)
    assert path.read_bytes() == b"before"
    export_nir(recurrent(1), path)
    assert list(tmp_path.iterdir()) == [path]
    assert load(path).nodes


# --- the NIR package -------------------------------------------------------------------------------------

# Fields that the package computes itself or names differently.
OURS_ALONE = {"shape", "input_type"}


def test_the_nir_package_reads_our_files(tmp_path: Path) -> None:
    nir = pytest.importorskip("nir")
    for seed in range(60):
        graph = expressible(Choices(Dice(seed)))
        path = export_nir(graph, tmp_path / "x.nir")
        theirs = nir.read(path, type_check=False)
        ours = read_nir(path)
        assert set(theirs.nodes) == set(ours.nodes)
        assert sorted(theirs.edges) == sorted(ours.edges)
        for name, node in ours.nodes.items():
            other = theirs.nodes[name]
            assert isinstance(node, NirNode)
            assert type(other).__name__ == node.type
            for key in set(node.fields) - OURS_ALONE:
                assert np.array_equal(getattr(other, key), node.fields[key])


def test_the_nir_package_agrees_on_types_and_writes_what_we_read(tmp_path: Path) -> None:
    """A network that its type check accepts: square kernels, one group, no loop."""
    nir = pytest.importorskip("nir")
    rng = np.random.default_rng(0)
    graph = line((2, 8, 8), Conv(rng.standard_normal((4, 2, 3, 3)).astype(np.float32), rng.standard_normal(4)),
                 Neuron.of("lif", decay=0.5, gain=0.5), Reshape((144,)), Linear(rng.standard_normal((5, 144))),
                 Neuron.of("cubalif", decay=0.5, decay_syn=0.25), Scale(2.0))
    theirs = nir.read(export_nir(graph, tmp_path / "x.nir"))
    nir.write(tmp_path / "y.nir", theirs)
    assert str(load(tmp_path / "y.nir")) == str(graph)


def test_networks_without_metadata_run_the_same(tmp_path: Path) -> None:
    """Without metadata, options can say everything that changes the spikes."""
    graph = line((3,), Linear(np.array([[1.0, 0.5, 0.25]])), Neuron.of("lif", Firing(">"), decay=0.5, gain=1.0))
    path = export_nir(graph, tmp_path / "x.nir")
    with h5py.File(path, "a") as file:
        del file["node/metadata"], file["node/nodes/n1/metadata"]
    plain = load(path, compare=">", reset="subtract")
    x = spikes(50, 3)
    assert np.array_equal(run(plain, x).outputs["out"], run(graph, x).outputs["out"])


def test_exported_graphs_run_the_same(tmp_path: Path) -> None:
    for seed in range(30):
        graph = expressible(Choices(Dice(seed)))
        x = inputs_for(graph)
        first, second = run(graph, x), run(to_graph(read_nir(export_nir(graph, tmp_path / "x.nir")), {}, ""), x)
        assert all(np.array_equal(first.outputs[n], second.outputs[n], equal_nan=True) for n in graph.outputs)


@pytest.mark.parametrize("pool", [AvgPool((2,), (2,), ((0, 0),)), SumPool((2, 2), (1, 1), ((1, 0), (0, 0))),
                                  SumPool((2, 2), (1, 1), ((0, 0), (0, 1)))])
def test_pools_that_nir_has_no_words_for_are_refused(tmp_path: Path, pool: Op) -> None:
    shape = (2, 6) if len(pool.kernel) == 1 else (2, 6, 6)
    with pytest.raises(CompileError, match="pool"):
        export_nir(line(shape, pool, Neuron.of("if")), tmp_path / "net.nir")


def test_the_padding_of_a_pool_is_that_of_each_axis(tmp_path: Path) -> None:
    back = again(line((2, 6, 6), SumPool((3, 2), (2, 1), ((1, 1), (0, 0))), Neuron.of("if")), tmp_path)
    (pool,) = (op for op in back.nodes.values() if isinstance(op, SumPool))
    assert (pool.kernel, pool.stride, pool.padding) == ((3, 2), (2, 1), ((1, 1), (0, 0)))
