"""The emitted C: it builds and tests itself, computes the same in every form, and needs no other library."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.artifact import Artifact
from snncompile.backends.c import weights
from snncompile.backends.c.emit import emit
from snncompile.backends.c.host import FLAGS, Host, build, compiler
from snncompile.backends.c.weights import numbers
from snncompile.backends.names import comment, identifier, identifiers, prefix
from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import Neuron
from tests.backends.exactness import Case, differences, random_case
from tests.nets import small
from tests.passes.chains import integer
from tests.strategies import Features, random_graph

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
PLAIN = ("-std=c99", "-O1", "-fPIC", "-shared", "-DSNN_COUNT")


@pytest.fixture(scope="module")
def model() -> sc.CompiledModel:
    graph = small()
    x = (np.random.default_rng(0).random((6, 9, *next(iter(graph.inputs.values())).shape)) < 0.3).astype(float)
    return sc.compile(graph, calibration=x)


def written(artifact: Artifact, folder: Path) -> Path:
    for name, content in artifact.files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def make(folder: Path, *targets: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-s", *targets], cwd=folder, capture_output=True, text=True, check=False)


def test_the_emitted_c_is_the_golden_one(model, golden):
    golden("small.c", str(model.artifact.files["small.c"]))
    golden("small.h", str(model.artifact.files["small.h"]))


@needs_compiler
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not here")
def test_make_test_passes_and_fails_when_a_weight_is_altered(model, tmp_path):
    folder = written(model.artifact, tmp_path)
    done = make(folder, "test")
    assert done.returncode == 0, done.stderr
    assert "exact" in done.stdout
    source = folder / "small_weights.c"
    text = source.read_text()
    source.write_text(re.sub(r"-?\d+,", lambda m: f"{-int(m[0][:-1])},", text))
    assert make(folder, "test").returncode != 0


@needs_compiler
@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not here")
def test_cmake_builds_and_tests_it(model, tmp_path):
    written(model.artifact, tmp_path)
    for option in ("OFF", "ON"):
        for command in (["cmake", "-S", ".", "-B", "b", f"-DSMALL_SELFTEST={option}"], ["cmake", "--build", "b"]):
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        assert (tmp_path / "b" / "small_selftest").exists() == (option == "ON")
    done = subprocess.run(["ctest", "--test-dir", "b"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def by_example(folder: Path, x: np.ndarray) -> np.ndarray:
    """What the emitted example prints for one sample `[tick, *shape]`, `[tick, output]`."""
    assert make(folder, "example").returncode == 0
    text = "\n".join(" ".join(f"{v!r}" for v in frame.ravel().tolist()) for frame in x)
    done = subprocess.run(["./example"], cwd=folder, input=text, capture_output=True, text=True, check=True)
    return np.array([[float(v) for v in line.split()] for line in done.stdout.splitlines()])


@needs_compiler
def test_the_example_takes_real_numbers_and_gives_them(tmp_path):
    """Real input becomes steps as `run` makes them, ties and values out of range too; readouts are real again."""
    nodes = {"in": Input((3,), "real", low=-2.0, high=2.0),
             "fc": Linear(np.array([[0.5, -0.25, 1.0], [1.0, 0.5, 0.25]])), "v": Neuron.of("li", decay=0.5),
             "out": Output()}
    graph = sc.Graph("real", nodes, (sc.Edge("in", "fc"), sc.Edge("fc", "v"), sc.Edge("v", "out")))
    x = np.random.default_rng(0).uniform(-2, 2, (4, 6, 3))
    model = sc.compile(graph, calibration=x)
    unit = model.graph.inputs["in"].unit
    x[0, :2] = [[0.5 * unit, 1.5 * unit, -2.5 * unit], [9, -9, 0]]
    written(model.artifact, tmp_path)
    result = model.run(x[:1])
    wanted = result.outputs[0] * result.units["out"]
    printed = by_example(tmp_path, x[0])
    assert np.allclose(printed, wanted, rtol=1e-8)
    real = sc.run(graph, np.clip(x[:1], -unit * model.graph.inputs["in"].high, unit * model.graph.inputs["in"].high))
    assert np.allclose(printed, real.outputs["out"][0], atol=0.1)
    assert np.abs(printed).max() > 1
    header = (tmp_path / "real.h").read_text()
    assert f"in steps of {unit:.9g}" in header
    assert f"#define REAL_IN_IN_UNIT {unit:.17g}\n" in header


@needs_compiler
def test_the_example_takes_and_gives_spikes(model, tmp_path):
    written(model.artifact, tmp_path)
    x = model.golden.inputs["in"][0]
    assert np.array_equal(by_example(tmp_path, x), model.golden.outputs["out"][0])


@needs_compiler
@pytest.mark.parametrize("chunk", [1, 7, None])
def test_the_header_says_how_much_memory_the_network_takes(chunk, tmp_path):
    """What alignment adds is less than a word for each array."""
    written(sc.compile(small(), chunk=chunk).artifact, tmp_path)
    (tmp_path / "size.c").write_text('#include "small.h"\n#include <stdio.h>\n'
                                     'int main(void) { printf("%zu\\n", sizeof(small_t)); return 0; }\n')
    subprocess.run([*compiler(), "-I.", "size.c", "-o", "size"], cwd=tmp_path, check=True)
    size = int(subprocess.run(["./size"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout)
    told = int(re.search(r"takes about ([\d,]+) bytes", (tmp_path / "small.h").read_text())[1].replace(",", ""))
    assert told <= size <= told + 64


def test_the_network_includes_nothing_but_stdint_and_string(model):
    own = [str(t) for n, t in model.artifact.files.items() if n.endswith((".c", ".h")) and "selftest" not in n
           and "probe" not in n and "example" not in n]
    vectors = {"immintrin.h", "tmmintrin.h"}  # on machines that have the instructions, and not with SNN_PORTABLE
    assert set(re.findall(r"#include <(.*?)>", "\n".join(own))) - vectors == {"stdint.h", "string.h"}
    assert not re.search(r"\b(malloc|float|double|printf)\b", "\n".join(own))


@needs_compiler
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_the_header_can_be_included_from_cpp(model, tmp_path):
    written(model.artifact, tmp_path)
    (tmp_path / "t.cpp").write_text('#include "small.h"\nint main() { static small_t net; small_init(&net); }\n')
    done = subprocess.run(["g++", "-Wall", "-Werror", "-c", "t.cpp"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@needs_compiler
@pytest.mark.parametrize("seed", [3, 11, 42])
def test_a_chunk_of_one_tick_gives_the_same(seed):
    case = random_case(random_graph(seed), seed)
    assert differences(case, PLAIN, chunk=1) == []
    assert differences(case, PLAIN, chunk=3) == []


@needs_compiler
def test_a_chunk_cannot_be_another_one_than_that_of_the_library(tmp_path):
    """A program that is built for other chunks than its library would write past the end of the network."""
    written(sc.compile(small(), chunk=2).artifact, tmp_path)
    (tmp_path / "main.c").write_text('#include "small.h"\nint main(void) { static small_t net; small_init(&net); }\n')
    command = [*compiler(), "-c", "main.c"]
    assert "#define SMALL_CHUNK 2\n" in (tmp_path / "small.h").read_text()
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    refused = subprocess.run([*command, "-DSMALL_CHUNK=1"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "compile the network again, with --chunk" in refused.stderr


@pytest.mark.parametrize(("target", "chunk"), [("c99", 0), ("c99", 1.5), ("loihi2", 8), ("ecp5-25f", 8)])
def test_chunks_that_cannot_be_are_refused(target, chunk):
    with pytest.raises(CompileError) as caught:
        sc.compile(small(), target, chunk=chunk)
    assert caught.value.diagnostics[0].code == "SNN404"
    assert "chunk" in caught.value.diagnostics[0].place


@needs_compiler
@pytest.mark.parametrize("seed", [5, 17, 29])
def test_weights_in_a_binary_file_are_the_same_weights(seed, monkeypatch, tmp_path):
    case = random_case(random_graph(seed), seed)
    monkeypatch.setattr(weights, "TEXT_LIMIT_BYTES", 0)
    artifact = emit(case.graph, rates=case.rates)
    assert any(n.endswith("_weights.bin") for n in artifact.files)
    assert differences(case, PLAIN) == []


@pytest.mark.parametrize(("size", "asked", "binary"), [
    (200, None, False), (300, None, True), (300, "text", False), (200, "binary", True)])
def test_constants_above_64_kib_are_a_file_unless_text_is_asked_for(size, asked, binary):
    nodes = {"in": Input((size,)), "fc": Linear(np.random.default_rng(0).normal(0, 1, (size, size))),
             "n": Neuron.of("if", threshold=1.0), "out": Output()}
    graph = sc.Graph("wide", nodes, (sc.Edge("in", "fc"), sc.Edge("fc", "n"), sc.Edge("n", "out")))
    artifact = sc.compile(graph, weight_bits=8, weights_as=asked).artifact
    assert ("wide_weights.bin" in artifact.files, "wide_weights.S" in artifact.files) == (binary, binary)
    assert ("wide_weights.c" in artifact.files) == (not binary)
    assert ("enable_language(ASM)" in str(artifact.files["CMakeLists.txt"])) == binary


@needs_compiler
@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("bits", [1, "ternary", 8, 12])
def test_every_rate_and_width_has_kernels_that_agree(rate, bits):
    """Sparse, event-driven and dense kernels compute the same, with packed and with plain weights."""
    for seed in range(4):
        graph = random_graph(seed, Features(loops=False))
        silence = {n: np.zeros((1, 4, *op.shape)) for n, op in graph.inputs.items()}
        compiled = sc.compile(graph, calibration=silence, weight_bits=bits).graph
        rng = np.random.default_rng(seed)
        x = {n: rng.integers(int(op.low), int(op.high) + 1, (2, 5, *op.shape)) for n, op in compiled.inputs.items()}
        wanted = sc.run(compiled, x, record=True, states=True)
        assert differences(Case(compiled, x, dict.fromkeys(compiled.nodes, rate), wanted), PLAIN) == []


@needs_compiler
def test_no_ticks_give_no_output(model):
    assert model.host is not None
    assert Host.of(model.graph, {}, FLAGS).run({n: np.zeros((2, 0, *op.shape)) for n, op in model.graph.inputs.items()}
                                               )[0].popitem()[1].shape[:2] == (2, 0)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"])
def test_numbers_in_text_read_back(dtype):
    info = np.iinfo(dtype)
    values = np.array([0, 1, info.min, info.max, info.max // 3], dtype)
    if dtype == "int64":
        values = values[:2]
    texts = numbers(values).replace("(-2147483647 - 1)", "-2147483648").replace("u", "").replace("\n", "").split(",")
    assert [int(t) for t in texts if t.strip()] == values.tolist()


@pytest.mark.parametrize("name", ["a; rm -rf /", "../../x", "*/ int main(){}", "int", "net", "9", "", "ä", "a\nb",
                                  "x" * 99, "__attribute__", "%s%n", "small", "selftest"])
def test_hostile_names_become_harmless(name):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", identifier(name))
    assert re.fullmatch(r"[a-z][a-z0-9_]*", prefix(name))
    assert "*/" not in comment(name)
    assert "\n" not in comment(name)
    assert "\\" not in comment(name)


def test_names_that_would_meet_are_kept_apart():
    by_name = identifiers(["a.b", "a b", "a_b", "a_b_2", "A-B"])
    assert len(set(by_name.values())) == 5


@needs_compiler
@pytest.mark.parametrize("seed", range(9000, 9016))
def test_the_sizes_are_those_of_the_struct(seed):
    case = random_case(random_graph(seed), seed)
    the_sizes_are_those_of_the_struct(case.graph, emit(case.graph, rates=case.rates, chunk=seed % 5 + 1))


@needs_compiler
@pytest.mark.parametrize("widths", [(300, 500, 200), (300, 200, 500), (500, 200, 300)])
@pytest.mark.parametrize("values", ["real", "spike"])
def test_sums_that_stand_and_the_largest_of_the_others_are_counted(values, widths):
    """Sums of a population that reads real numbers stand still, and have memory of their own."""
    rng = np.random.default_rng(3)
    nodes = {"x": Input((widths[0],), values), "a": Neuron.of("lif", decay=0.9), "b": Neuron.of("lif", decay=0.9),
             "c": Neuron.of("lif", decay=0.9), "y": Output()}
    sizes = [*widths, 400]
    chains = [(Linear(rng.normal(0, 0.2, (after, before))),) for before, after in pairwise(sizes)]
    edges = [Edge(a, b, 0, chain) for (a, b), chain in zip(pairwise("xabc"), chains, strict=True)]
    graph = integer(Graph("net", nodes, (*edges, Edge("c", "y"))))
    the_sizes_are_those_of_the_struct(graph, emit(graph))


def the_sizes_are_those_of_the_struct(graph: Graph, artifact: Artifact) -> None:
    """But for what a C compiler leaves empty to align fields: at most 7 bytes before or behind each."""
    host = Host.load(graph, build(artifact.files, PLAIN))
    size = getattr(host.library, f"{host.interface.prefix}_size")()
    counted = 8 * max(len(graph.populations), 1)
    told = sum(artifact.sizes_bytes[name] for name in ("states", "working", "rows"))
    fields = 4 * len(graph.nodes) + 2 * len(graph.edges) + 4
    assert told <= size - counted <= told + 7 * fields


def test_the_header_has_units_where_a_number_is_not_itself(model):
    real = sc.compile(Graph("net", {"x": Input((2,), "real"), "n": Neuron.of("if"), "y": Output()},
                            (Edge("x", "n"), Edge("n", "y"))), calibration=np.full((1, 2, 2), 0.5))
    assert "_UNIT" not in model.artifact.files["small.h"]
    (unit,) = re.findall(r"#define NET_IN_X_UNIT (\S+)", real.artifact.files["net.h"])
    assert float(unit) == real.graph.inputs["x"].unit != 1
