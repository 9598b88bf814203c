"""Firmware: its files, its memory against the linked program, what `check` refuses, and what is said without tools."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.c.host import Host, build, compiler
from snncompile.backends.c.weights import weight_files
from snncompile.backends.firmware.build import FLAGS, OPTIMIZE, built
from snncompile.backends.firmware.lower import lowered
from snncompile.backends.firmware.memory import constant_bytes, memory_use
from snncompile.backends.firmware.processors import PROCESSORS
from snncompile.backends.network_ticks import magnitudes
from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.targets.layer_table import layer_table
from snncompile.targets.load import load_target
from snncompile.targets.memory import ram_bytes
from snncompile.targets.sections import MAX_KIB
from snncompile.targets.sections import PROCESSORS as NAMES
from snncompile.targets.target import Target
from tests.backends.exactness import random_case
from tests.backends.firmware.running import ALL, firmware, linked, on_this_machine, program_bytes, tools
from tests.backends.machines import written
from tests.cli.running import answer, snnc
from tests.nets import small, spikes
from tests.strategies import random_graph

DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "digits.nir"
PLAIN = ("-std=c99", "-fPIC", "-shared", "-DSNN_COUNT")
ENOUGH = "cortex-m3 ram_kib=64"


def frames(samples: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 17, (samples, 1, 1, 8, 8)).repeat(6, 1) / 16


def one_layer(inputs: int, outputs: int) -> Graph:
    weights = np.random.default_rng(1).normal(0, 0.2, (outputs, inputs)).astype(np.float32)
    neuron = Neuron.of("lif", Firing(), decay=0.875, threshold=1.0)
    nodes = {"in": Input((inputs,)), "fc": Linear(weights), "hidden": neuron, "out": Output()}
    return Graph("one", nodes, (Edge("in", "fc"), Edge("fc", "hidden"), Edge("hidden", "out")))


def test_every_processor_of_a_target_is_known():
    assert tuple(PROCESSORS) == NAMES


# --- memory -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [pytest.param(n, marks=tools[n]) for n in ("cortex-m3", "cortex-m4", "rv32imac")])
def test_the_memory_of_the_digits_is_that_of_the_linked_program(name):
    """RAM within 1 %, flash within 5 %: what is reported, against what `size` tells of the program."""
    model = sc.compile(DIGITS, f"{name} ram_kib=64", calibration=frames())
    flash, ram = program_bytes(linked(model.mapped, model.artifact, name))
    assert model.report.sizes_bytes["ram"] == pytest.approx(ram, rel=0.01)
    assert model.report.sizes_bytes["flash"] == pytest.approx(flash, rel=0.05)


@tools["cortex-m4"]
def test_the_ram_of_random_networks_is_that_of_the_linked_program():
    for seed in (700, 701, 702):
        case = random_case(random_graph(seed), seed)
        found = firmware(case.graph, "cortex-m4", case.rates, case.golden)
        _, ram = program_bytes(linked(case.graph, found, "cortex-m4"))
        assert found.sizes_bytes["ram"] == pytest.approx(ram, rel=0.01, abs=8), f"seed {seed}"


def test_a_network_that_is_too_large_is_refused_before_it_is_compiled():
    """200,000 weights of 8 bits take 200,000 bytes, whatever else there is."""
    verdict = sc.check(one_layer(1000, 200), "cortex-m3")
    (violation,) = verdict.violations
    assert (violation.rule, violation.used, violation.limit) == ("flash", 200_000, 128 << 10)
    assert '200,000 of them of "hidden"' in violation.diagnostic.found
    assert violation.diagnostic.code == "SNN416"


def test_ram_is_refused_with_the_layer_that_takes_most():
    """A byte for a membrane of any width."""
    (violation,) = sc.check(one_layer(40, 20_000), "cortex-m3 flash_kib=1024").violations
    assert (violation.rule, violation.used, violation.limit) == ("ram", 20_000, (20 << 10) - 1024)
    assert "20,000 of them" in violation.diagnostic.found


def test_integers_tell_the_memory_exactly():
    model = sc.compile(DIGITS, ENOUGH, calibration=frames())
    sizes = model.report.sizes_bytes
    margins = sc.check(model.graph, ENOUGH).margins
    assert margins["ram"] == pytest.approx(sizes["ram"] / ((64 << 10) - 1024) - 1)
    assert margins["flash"] == pytest.approx(sizes["flash"] / (128 << 10) - 1, abs=0.01)  # rates choose some kernels
    tight = f"cortex-m3 ram_kib={sizes['ram'] >> 10}"
    (violation,) = sc.check(model.graph, tight).violations
    assert (violation.rule, violation.used) == ("ram", sizes["ram"])
    with pytest.raises(CompileError) as caught:
        sc.compile(DIGITS, tight, calibration=frames())
    assert caught.value.diagnostics == (violation.diagnostic,)


def test_help_of_a_refusal_can_be_followed():
    with pytest.raises(CompileError) as caught:
        sc.compile(DIGITS, "cortex-m3 ram_kib=12", calibration=frames())
    (found,) = caught.value.diagnostics
    wanted = found.help.rpartition('--target "')[2].rstrip('"')
    assert wanted.startswith("cortex-m3 ram_kib=")
    assert sc.compile(DIGITS, wanted, calibration=frames()).report.target == wanted


@pytest.mark.parametrize("name", ["cortex-m3", "rv32imac"])
def test_the_digits_fit_a_board_with_20_kib_of_ram(name):
    """They did not before sums, scratch memory and rows shared memory."""
    assert sc.compile(DIGITS, name, calibration=frames()).report.sizes_bytes["ram"] < 19 << 10


def test_a_firmware_target_without_a_processor_is_refused():
    with pytest.raises(CompileError) as caught:
        sc.compile(small(), Target("mine", "Mine", "firmware"), calibration=spikes())
    assert [(d.code, d.place) for d in caught.value.diagnostics] == [("SNN404", 'target "mine", board.processor')]


def deep(layers: int, size: int = 300) -> Graph:
    rng = np.random.default_rng(2)
    nodes: dict[str, Op] = {"in": Input((size,))}
    for i in range(layers):
        nodes[f"fc{i}"] = Linear(rng.normal(0, 0.2, (size, size)).astype(np.float32))
        nodes[f"n{i}"] = Neuron.of("lif", Firing(), decay=0.875, threshold=1.0)
    return Graph("deep", {**nodes, "out": Output()}, tuple(Edge(a, b) for a, b in pairwise([*nodes, "out"])))


@tools["cortex-m4"]
def test_a_network_that_fits_because_it_shares_memory_runs_and_is_verified():
    """The program that the tests look into shares nothing, and takes more than the board has."""
    x = np.random.default_rng(0).random((1, 3, 300)) < 0.1
    model = sc.compile(deep(8), "cortex-m4 ram_kib=8 flash_kib=2048 stack_bytes=512", calibration=x)
    apart = sum(300 * (1 + 2 + 2) for _ in range(8))  # what neurons emit, membranes and sums of 16 bits
    assert model.report.sizes_bytes["ram"] < (8 << 10) - 512 < apart
    assert model.verify().ok
    np.testing.assert_array_equal(model.run(x).outputs, model.reference(x).outputs)


def test_no_population_takes_more_than_all_and_bounds_are_bounds():
    for seed in range(20_130, 20_142):
        case = random_case(random_graph(seed), seed)
        for name in ("cortex-m4", "rv32imac"):
            target = load_target(f"{name} flash_kib={MAX_KIB} ram_kib={MAX_KIB}")
            use = memory_use(lowered(case.graph, target, case.rates), name)
            assert max(use.ram.by_population.values()) <= use.ram.used, f"seed {seed}"
            assert ram_bytes(layer_table(case.graph)).sum() <= use.ram.used, f"seed {seed}"


def test_wide_membranes_that_stay_narrow_are_not_refused():
    """Each neuron reads one other, and keeps a membrane and whether it fired: 24 bits are allowed, and fewer used."""
    nodes: dict[str, Op] = {"in": Input((300,))}
    for i in range(4):
        nodes[f"fc{i}"] = Linear(np.eye(300, dtype=np.float32) * np.float32(0.6))
        nodes[f"n{i}"] = Neuron.of("lif", Firing(when="before-decay"), decay=0.9)
    graph = Graph("net", {**nodes, "out": Output()}, tuple(Edge(a, b) for a, b in pairwise([*nodes, "out"])))
    target, x = "cortex-m3 ram_kib=7 flash_kib=1024", np.random.default_rng(0).random((2, 5, 300)) < 0.3
    assert sc.check(graph, target, membrane_bits=24).ok
    assert sc.compile(graph, target, calibration=x, membrane_bits=24).report.sizes_bytes["ram"] <= 6144


@pytest.mark.skipif(compiler() is None, reason="no C compiler")
@pytest.mark.parametrize("seed", range(11_000, 11_016))
def test_shared_memory_gives_the_same_on_this_machine(seed):
    """The program as it is for a microcontroller, built for this machine: with shared memory, and for tests."""
    case = random_case(random_graph(seed), seed)
    outputs, counts = Host.load(case.graph, build(on_this_machine(case), (*PLAIN, "-O3"))).run(case.x)
    for name, wanted in case.wanted.outputs.items():
        np.testing.assert_array_equal(outputs[name], wanted)
    for name, emitted in case.wanted.emitted.items():
        np.testing.assert_array_equal(counts[name], magnitudes(emitted))


@pytest.mark.skipif(compiler() is None, reason="no C compiler")
def test_files_with_and_without_memory_for_tests_do_not_link(tmp_path):
    files = sc.compile(small(), "cortex-m4", calibration=spikes()).artifact.files
    written({n: f for n, f in files.items() if "/" not in n}, tmp_path)
    (tmp_path / "main.c").write_text('#include "small.h"\nstatic small_t net;\nint main(void) { small_init(&net); }\n')
    command = [*(compiler() or ()), "-std=c99", "-w", "-I."]
    for inside, links in (("-DSNN_INSIDE", True), ("-USNN_INSIDE", False)):
        for name, flag in (("small.c", "-DSNN_INSIDE"), ("small_weights.c", inside), ("main.c", inside)):
            subprocess.run([*command, flag, "-c", name], cwd=tmp_path, check=True)
        done = subprocess.run([*command, "small.o", "small_weights.o", "main.o"], cwd=tmp_path, capture_output=True,
                              text=True, check=False)
        assert (done.returncode == 0) == links
        assert links or "small_init" in done.stderr


# --- the program ------------------------------------------------------------------------------------------------

@tools["cortex-m4"]
def test_a_build_is_verified_with_its_instructions(tmp_path):
    sc.compile(small(), "cortex-m4", calibration=spikes()).save(tmp_path / "build")
    assert "instructions a sample" in snnc("verify", tmp_path / "build").output
    found = answer("verify", tmp_path / "build")
    assert found["backend"] == "firmware"
    assert 1000 < found["instructions"] < 100_000


@pytest.mark.parametrize("name", [pytest.param(n, marks=tools[n]) for n in ("cortex-m4", "rv32imac")])
@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_make_runs_the_golden_vectors(tmp_path, name):
    model = sc.compile(small(), name, calibration=spikes())
    folder = model.save(tmp_path / "build") / "firmware"
    done = subprocess.run(["make", "-s", "-C", folder, "run"], capture_output=True, text=True, check=True)
    said = done.stdout + done.stderr
    assert "small: exact, 4 samples of 9 ticks, " in said
    assert "warning" not in said
    counted = int(said.rpartition("ticks, ")[2].split()[0])
    assert counted == pytest.approx(model.verify().instructions, rel=0.05)


@tools["cortex-m4"]
def test_weights_are_text_of_any_size_and_a_file_where_it_is_asked_for():
    """Constants begin at whole words in both, so that they take the same flash."""
    large = sc.compile(one_layer(1000, 80), "cortex-m4", calibration=np.ones((1, 2, 1000))).artifact
    assert large.sizes_bytes["weights"] > 64 << 10
    assert "one_weights.c" in large.files
    text, binary = (sc.compile(small(), "cortex-m4", calibration=spikes(), weights_as=w) for w in ("text", "binary"))
    assert {"small_weights.S", "small_weights.bin"} <= set(binary.artifact.files)
    assert binary.verify().ok
    assert linked(binary.mapped, binary.artifact, "cortex-m4")[".text"] == linked(
        text.mapped, text.artifact, "cortex-m4")[".text"]


@tools["rv32imac"]
def test_a_wrong_output_is_told(tmp_path):
    model = sc.compile(small(), "rv32imac", calibration=spikes())
    folder = model.save(tmp_path / "build") / "firmware"
    source = (folder / "small_selftest.c").read_text()
    head, mark, rest = source.partition("golden_out_out[")
    (folder / "small_selftest.c").write_text(head + mark + rest.replace("0,", "1,", 1))
    done = subprocess.run(["make", "-s", "-C", folder, "run"], capture_output=True, text=True, check=False)
    assert "small: WRONG" in done.stdout + done.stderr
    assert done.returncode


@tools["cortex-m4"]
def test_instructions_are_counted_one_by_one(tmp_path):
    """One instruction more in a loop of 1,000 rounds is 1,000 more."""
    files = dict(sc.compile(small(), "cortex-m4", calibration=spikes()).artifact.files)
    counted = []
    for more in ("", "nop\\n"):
        loop = f'__asm__ volatile("movw r3, #1000\\n1: {more}subs r3, #1\\nbne 1b" : : : "r3", "cc");'
        files["small_selftest.c"] = f"""
            #include "small_start.h"
            int main(void) {{
                const uint32_t before = instructions();
                {loop}
                print_number(instructions() - before);
                return 0;
            }}"""
        program = built(files, PROCESSORS["cortex-m4"], "small", "selftest")
        done = subprocess.run([*PROCESSORS["cortex-m4"].qemu, "-nographic", "-monitor", "none", "-serial", "none",
                               "-semihosting-config", "enable=on,target=native", "-kernel", program],
                              capture_output=True, text=True, check=True)
        counted.append(int(done.stdout + done.stderr))
    assert counted[1] - counted[0] == 1000


def test_the_sources_include_nothing_of_the_c_library_but_memory_functions(tmp_path):
    artifact = sc.compile(small(), "cortex-m4", calibration=spikes()).artifact
    text = "".join(f for n, f in artifact.files.items() if isinstance(f, str) and n.endswith((".c", ".h")))
    headers = {line.split()[1] for line in text.splitlines() if line.startswith("#include <")}
    assert headers == {"<stdint.h>", "<stddef.h>", "<string.h>", "<stdio.h>"}  # stdio only without an emulator
    assert "-nostdlib" in str(artifact.files["Makefile"])
    assert set(artifact.files) >= {"small.ld", "small_start.c", "small_selftest.c", "processor.txt"}
    assert [*OPTIMIZE, *FLAGS] == [w for w in str(artifact.files["Makefile"]).split() if w in (*OPTIMIZE, *FLAGS)]


# --- without tools ------------------------------------------------------------------------------------------------

def test_what_is_absent_is_named_with_its_package(tmp_path, monkeypatch):
    sc.compile(small(), "rv32imac", calibration=spikes()).save(tmp_path / "build")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = answer("verify", tmp_path / "build", code=1)
    (diagnostic,) = found["diagnostics"]
    assert diagnostic["code"] == "SNN608"
    assert "riscv64-unknown-elf-gcc (Debian package gcc-riscv64-unknown-elf)" in diagnostic["expected"]
    assert "qemu-system-riscv32 (Debian package qemu-system-misc)" in diagnostic["expected"]


def test_a_build_that_names_no_processor_is_refused(tmp_path):
    model = sc.compile(small(), "cortex-m4", calibration=spikes())
    model.artifact.files["processor.txt"] = "../x"
    with pytest.raises(CompileError) as caught:
        model.verify()
    assert caught.value.diagnostics[0].code == "SNN609"


def test_the_boards_of_targets_are_all_emulated():
    assert set(ALL) == {sc.load_target(n).board.processor for n in NAMES}


# --- in a project of one's own ------------------------------------------------------------------------------------

MAIN = """
#include "small.h"
static small_t net;
int main(void) {
    uint8_t in[SMALL_IN_IN_SIZE] = {1, 1, 1, 1, 1, 1}, out[SMALL_OUT_OUT_SIZE];
    int spikes = 0;
    small_init(&net);
    for (int t = 0; t < 9; t++) {
        small_step(&net, in, out);
        for (int i = 0; i < SMALL_OUT_OUT_SIZE; i++)
            spikes += out[i];
    }
    return spikes;
}
"""


@pytest.mark.skipif(shutil.which("make") is None or shutil.which("cc") is None, reason="no make or cc")
def test_the_lines_of_the_page_build_a_project_of_ones_own(tmp_path):
    """The lines for plain make, on this machine: the program ends with the interpreter's number of spikes."""
    page = (Path(__file__).parents[3] / "docs" / "firmware.md").read_text(encoding="utf-8")
    lines = page.partition("```make\n")[2].partition("```")[0].replace("NAME", "small")
    assert len(lines.splitlines()) <= 10
    (tmp_path / "Makefile").write_text(lines)
    (tmp_path / "main.c").write_text(MAIN)
    model = sc.compile(small(), "cortex-m4", calibration=spikes())
    (tmp_path / "snn").mkdir()
    for name in ("small.h", "small.c", "small_snn.h", "small_weights.h", "small_weights.c"):
        (tmp_path / "snn" / name).write_text(str(model.artifact.files[name]))
    subprocess.run(["make", "-s", "CC=cc"], cwd=tmp_path, check=True, capture_output=True)
    wanted = int(model.reference(np.ones((1, 9, 6))).outputs.sum())
    assert wanted > 0
    assert subprocess.run([tmp_path / "app"], check=False).returncode == wanted


def test_constants_are_counted_from_what_is_printed():
    """Each array of the emitted weights takes whole words of four bytes."""
    graph, target = random_case(random_graph(5), 5).graph, sc.load_target("cortex-m4")
    net = lowered(graph, target, {})
    printed = "".join(str(text) for text in weight_files(net).values())
    arrays = re.findall(r"const u?int(\d+)_t \w+\[(\d+)\]", printed)
    assert len(arrays) > 1
    assert constant_bytes(net) == sum(-(-(int(bits) // 8 * int(size)) // 4) * 4 for bits, size in arrays)
