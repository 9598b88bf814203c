"""What is emitted: Lava's own processes where they are exact, and packages that are whole and safe."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Request
from snncompile.backends.lava.backend import LavaBackend
from snncompile.backends.lava.synapses import synapses
from snncompile.diagnostics import CompileError
from snncompile.ir.expr import Program, Step
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.loihi import LoihiLif, Periodic
from snncompile.ir.ops import Input, Linear, MaxPool, Output, Rectify, Scale
from snncompile.ir.populations import IntState, Neuron, Population
from snncompile.ir.types import Stage
from snncompile.targets.load import load_target
from tests.lava.emitting import network, package
from tests.lava.networks import LINKS, REGISTERS, SIZE, loihi, spikes
from tests.passes.chains import integer
from tests.passes.retimed import wired
from tests.strategies import random_graph


def kinds(artifact: Artifact) -> list[str]:
    """The classes of the processes that are made, in order."""
    tree = ast.parse(network(artifact.files))
    return [c.func.id for c in ast.walk(tree) if isinstance(c, ast.Call) and isinstance(c.func, ast.Name)
            and c.func.id[0].isupper() and c.func.id != "Path"]


def population(registers: Any, **entry: Any) -> str:
    """The class that a population with these registers becomes."""
    links = [("x", "a", 0), ("a", "y", 0)]
    return kinds(package(loihi({"a": registers}, links, **entry)))[1]


# --- Lava's own processes ----------------------------------------------------------------------------------

def test_populations_of_loihis_form_are_lavas_own():
    assert set(kinds(package(loihi(REGISTERS, LINKS)))) == {"Source", "LIF", "Sparse", "Delay", "Recorder", "Membranes"}


def test_the_name_of_a_rule_says_nothing_of_its_program():
    assert population(replace(LoihiLif(100).population(), rule="mine")) == "LIF"
    assert population(replace(LoihiLif(100).population(), params={"threshold": 6401})) == "Loihi"


@pytest.mark.parametrize(("registers", "expected"), [
    (LoihiLif((1 << 17) - 1), "LIF"),
    (LoihiLif(1 << 17), "Loihi"),
    (LoihiLif(1 << 16, bias=4095 << 7), "LIF"),
    (LoihiLif(1 << 16, bias=(4095 << 7) + 128), "Loihi"),
    (LoihiLif(100, bias=4097), "Loihi"),
    (LoihiLif(np.arange(SIZE) + 90), "Loihi"),
    (LoihiLif(100, voltage_decay=np.arange(SIZE)), "Loihi"),
    (LoihiLif(100, resets=Periodic(5)), "Loihi"),
    (LoihiLif(np.full(SIZE, 90)), "LIF"),
], ids=str)
def test_registers_that_lava_has_not_make_a_generated_process(registers: LoihiLif, expected: str) -> None:
    assert population(registers) == expected


def test_sums_that_lavas_current_would_wrap_twice_make_a_generated_process():
    wide: dict[str, Any] = {"values": "real", "low": 0, "high": (1 << 18) // (8 * 2 * 128)}
    largest = (1 << 18) // (8 * 2 * 128)
    assert population(LoihiLif(100, 1000), weights=(-128, -127), **wide) == "LIF"
    assert population(LoihiLif(100, 1000), weights=(-128, -127), **{**wide, "high": largest + 1}) == "Loihi"


def synapse(weight: Any, source: Input = Input((3,)), *others: Any) -> tuple[int | None, str, int]:
    graph = Graph("net", {"x": source, "n": LoihiLif(1).population(), "y": Output()},
                  (Edge("x", "n", 1, (*others, Linear(np.asarray(weight)))), Edge("n", "y")), Stage.INT)
    found, = synapses(graph, graph.edges[0], generated=True)
    return found.exponent, found.sign, found.message_bits


@pytest.mark.parametrize(("weight", "exponent", "sign"), [
    ([[1, 3, 255]], 0, "EXCITATORY"), ([[1, 3, 256]], None, ""), ([[2, 4, 510]], 1, "EXCITATORY"),
    ([[-1, -3, -255]], 0, "INHIBITORY"), ([[-1, -3, -256]], None, ""),
    ([[-1, 1, 127]], -1, "MIXED"), ([[-128, 1, 127]], -1, "MIXED"), ([[-1, 1, 128]], None, ""),
    ([[-129, 1, 127]], None, ""), ([[-256, 2, 254]], 0, "MIXED"), ([[-512, 4, 508]], 1, "MIXED"),
    ([[0, 0, 0]], 0, "EXCITATORY"),
], ids=str)
def test_weights_are_put_on_lavas_grid_or_into_synapses_of_their_own(
        weight: Any, exponent: int | None, sign: str) -> None:
    assert synapse(weight)[:2] == (exponent, sign)


@pytest.mark.parametrize("weight", [[[1, 3, 256]], [[-129, 1, 127]], [[40000, -3, 0]], [[-32768, 32767, 1]],
                                    [[1 << 24, 3, -1]]], ids=str)
def test_wide_weights_into_lavas_own_neurons_are_the_sum_of_their_digits(weight: Any) -> None:
    graph = Graph("net", {"x": Input((3,)), "n": LoihiLif(1).population(), "y": Output()},
                  (Edge("x", "n", 1, (Linear(np.asarray(weight)),)), Edge("n", "y")), Stage.INT)
    parts = synapses(graph, graph.edges[0], generated=False)
    assert len(parts) > 1
    total = 0
    for part in parts:
        assert part.exponent is not None
        values = np.asarray(part.matrix.todense())
        assert part.sign != "MIXED" or (np.all(values % 2 == 0) and values.min() >= -256 and values.max() <= 254)
        total = total + np.ldexp(values, part.exponent)
    assert np.array_equal(total, weight)


def test_graded_values_and_sums_beyond_32_bits():
    assert synapse([[1, 1, 1]], Input((3,), "real", 0, 1))[2] == 0
    assert synapse([[1, 1, 1]], Input((3,), "real", 0, 255))[2] == 9
    limit = (1 << 31) // 3
    assert synapse([[1, 1, 1]], Input((3,), "real", 0, limit - 1))[0] == 0
    assert synapse([[1, 1, 1]], Input((3,), "real", 0, limit + 1))[0] is None


def test_what_no_matrix_expresses_happens_before_synapses_of_their_own():
    assert synapse([[1, 1, 1]], Input((3,)), Rectify())[0] is None
    image = Input((1, 3))
    graph = Graph("net", {"x": image, "n": LoihiLif(1).population(), "y": Output()},
                  (Edge("x", "n", 1, (MaxPool((2,), (1,), ((0, 0),)), Scale(3))), Edge("n", "y")), Stage.INT)
    found, = synapses(graph, graph.edges[0], generated=True)
    assert np.array_equal(found.before[0], [[0, 1], [1, 2]])
    assert found.times == 3
    assert synapses(graph, graph.edges[0], generated=False)[0].times is None


# --- the package -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_every_emitted_file_is_python_3_10_or_data(seed: int) -> None:
    files = package(integer(random_graph(seed))).files
    for name, content in files.items():
        assert PurePosixPath(name).parts == tuple(p for p in name.split("/") if p.isascii() and p not in ("", ".."))
        if name.endswith(".py"):
            assert isinstance(content, str)
            ast.parse(content, feature_version=(3, 10))
    json.loads(files["manifest.json"])
    with np.load(io.BytesIO(files["weights.npz"])) as arrays:
        assert all(v.dtype.kind in "iu" for v in arrays.values())


def test_a_process_class_has_a_folder_with_nothing_else_in_it():
    """Lava executes every file beside a process."""
    files = package(integer(random_graph(5))).files
    folders = {n.rsplit("/", 1)[0] for n in files if "/procs/" in n and n.count("/") == 3}
    for folder in folders:
        assert {n.rsplit("/", 1)[1] for n in files if n.startswith(f"{folder}/")} == {
            "__init__.py", "process.py", "models.py"}


def test_names_of_populations_and_states_cannot_become_code():
    nasty = '"]; import os; os.abort() #'
    graph = wired([("x", nasty, 0), (nasty, "class", 0), ("class", "y", 0)])
    text = network(package(graph).files)
    assert "abort" not in {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
    assert "abort" not in {n.attr for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute)}
    assert 'populations["import_os_os_abort"]' in text
    assert 'populations["nclass"]' in text


@pytest.mark.parametrize("rule", ["if", "sparse", "lif", "recorder", "Delay", "", "../x", "class"])
def test_names_of_rules_become_names_of_folders_that_clash_with_nothing(rule: str) -> None:
    graph = wired([("x", "a", 0), ("a", "y", 0)])
    op = graph.nodes["a"]
    files = package(graph.replace(nodes={**graph.nodes, "a": replace(op, rule=rule)})).files
    made = {n.split("/")[2] for n in files if "/procs/" in n and n.count("/") == 3}
    assert len(made) == 4  # the source, the recorder, the membranes, and the rule
    assert all(part.isidentifier() for part in made)
    for name in files:
        if name.endswith("process.py"):
            ast.parse(str(files[name]))


def test_names_of_states_and_parameters_clash_with_nothing():
    nasty = ["size", "self", "super", "name", "run_spk", "time_step", "x", "t2", "lambda", "a_in0", "times0", "s_out",
             "v'"]
    program = Program((Step("input"), *(Step("state", (), n) for n in nasty), Step("param", (), "np")), 0,
                      tuple((n, i + 1) for i, n in enumerate(nasty)))
    op = Population(program, {"np": 3}, {n: IntState(4) for n in nasty}, rule="odd")
    graph = wired([("x", "a", 0), ("a", "y", 0)])
    files = package(graph.replace(nodes={**graph.nodes, "a": op})).files
    for name in files:
        if name.endswith(".py"):
            compile(str(files[name]), name, "exec")
    tree = ast.parse(str(files["net_lava/procs/odd/process.py"]))
    start = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))
    assert len({a.arg for a in start.args.kwonlyargs} - {"times0"}) == len(nasty) + 3


def test_a_target_whose_hops_take_no_ticks_is_refused():
    graph = wired([("x", "a", 0), ("a", "y", 0)])
    (problem,) = LavaBackend().check(graph, load_target("c99"))
    assert (problem.code, problem.place) == ("SNN404", 'target "c99", timing.hop_ticks')
    with pytest.raises(CompileError, match=r"(?s)SNN404.*the synapses of Lava take one tick"):
        LavaBackend().emit(Request(graph, load_target("c99")))
    assert LavaBackend().check(graph, load_target("loihi2")) == ()


def test_populations_with_the_same_program_share_a_class():
    graph = wired([("x", "a", 0), ("a", "b", 0), ("b", "y", 0)], lambda: Neuron.of("lif", decay=0.75, threshold=1.0))
    made = kinds(package(graph))
    assert made[1] == made[2] == "Lif"


def test_the_manifest_says_when_everything_happens():
    graph = loihi(REGISTERS, LINKS)
    manifest = json.loads(package(graph).files["manifest.json"])
    assert manifest["depth"] == 5
    assert manifest["period"] == 1
    assert {r["name"]: r["first"] for r in manifest["emitted"]} == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
    assert manifest["outputs"] == [{"name": "y", "emitted": 4, "delay": 0, "first": 5}]


def test_golden_vectors_are_beginnings_of_a_few_samples():
    files = package(loihi(REGISTERS, LINKS), spikes(5, 50)).files
    with np.load(io.BytesIO(files["golden.npz"])) as golden:
        assert golden["input0"].shape == (2, 32, SIZE)
        assert golden["emitted0"].shape == (2, 32, SIZE)


@pytest.mark.parametrize(("name", "content", "words"), [
    ("golden.npz", None, "golden.npz: no such file"), ("golden.npz", b"PK", "golden.npz: no .npz file"),
    ("weights.npz", b"", "weights.npz: no .npz file"), ("manifest.json", b"{", "Expecting property name"),
    ("samples.npy", b"no archive", "samples.npy: no .npz file"),
])
def test_files_that_are_damaged_are_said_in_a_line(tmp_path, name, content, words):
    graph = loihi({"a": REGISTERS["a"]}, [("x", "a", 0), ("a", "y", 0)])
    for path, text in package(graph, spikes()).files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / name).unlink(missing_ok=True)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    given = ["--input", str(tmp_path / name), "--output", str(tmp_path / "found.npz")] if name == "samples.npy" else []
    done = subprocess.run([sys.executable, str(tmp_path / "run.py"), *given], capture_output=True, text=True)
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1]


def test_the_compiler_itself_never_imports_lava():
    assert not any(name == "lava" or name.startswith("lava.") for name in sys.modules)
