"""No compiler warns of any emitted file: of random networks, of networks that people trained, and of every kernel."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.artifact import Golden
from snncompile.backends.c.emit import emit
from snncompile.backends.plan.kernels.table import WEIGHTED
from snncompile.backends.plan.plan import plan
from tests.backends.exactness import WARNINGS, random_case
from tests.backends.machines import written
from tests.backends.test_kernels import (
    DENSE,
    EVENTS,
    NARROW,
    PLAIN,
    RANGES,
    Case,
    conv,
    linear,
    mixing,
    network,
    packed,
    rates,
    samples,
)
from tests.strategies import random_graph
from tests.tools import needs

GRAPHS, BLOCK = 40, 8
SOURCES = [*RANGES[:2], RANGES[5], RANGES[7], *RANGES[9:]]
"""Spikes, repeated counts, factors, and every type."""
ROOT = Path(__file__).parents[2]
COMMANDS = (("gcc", "-O1", "-c"), ("clang", "-fsyntax-only"), ("i686-linux-gnu-gcc", "-fsyntax-only"))
"""Of the compilers, gcc finds some faults only while it optimises."""
compilers = pytest.mark.parametrize("command", [pytest.param(c, marks=needs(c[0]), id=c[0]) for c in COMMANDS])


def warnings(command: tuple[str, ...], files: Mapping[str, str | bytes], folder: Path) -> str:
    """What a compiler says of the library, the probe, the self-test and the example."""
    written(files, folder)
    said = ""
    for flags in ((), ("-DSNN_COUNT",)):
        done = subprocess.run([*command, *WARNINGS, *flags, *(n for n in files if n.endswith(".c"))], cwd=folder,
                              capture_output=True, text=True, check=False)
        said += done.stderr
        assert done.returncode == 0, said
    return said


@compilers
@pytest.mark.parametrize("first", range(0, GRAPHS, BLOCK))
def test_random_graphs_give_no_warning(command: tuple[str, ...], first: int, tmp_path: Path) -> None:
    for seed in range(first, first + BLOCK):
        case = random_case(random_graph(seed), seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        files = emit(case.graph, rates=case.rates, golden=Golden(case.x, case.wanted.outputs)).files
        assert len([n for n in files if n.endswith(".c")]) == 5
        assert warnings(command, files, folder) == "", f"seed {seed}"


def every_kernel() -> list[Case]:
    """Cases that take each kernel, on sources of each type."""
    weighted = [make(*r, rate, bits) for make, r, rate, bits in
                product((linear, conv, mixing), SOURCES, (EVENTS, DENSE), (8, 16))]
    grouped = [conv(*r, rate, groups=groups, dilation=dilation) for r, rate, groups, dilation in
               product(SOURCES, (EVENTS, DENSE), (1, 2, 6), ((1, 1), (2, 2)))]
    bits = [packed(*r, bipolar, 35, flat) for r, bipolar, flat in product(NARROW, (True, False), (True, False))]
    return [*weighted, *grouped, *bits, *(Case(ops, shape, *r) for r in SOURCES[::3] for ops, shape, _ in PLAIN)]


@compilers
def test_every_kernel_gives_no_warning(command: tuple[str, ...], tmp_path: Path) -> None:
    cases = every_kernel()
    graph = network(cases)
    taken = {type(k) for p in plan(graph, rates(cases), {}).projections for k in p.kernels}
    assert set(WEIGHTED) <= taken
    x = {f"x{k}": samples(case, k)[:1] for k, case in enumerate(cases)}
    golden = Golden(x, sc.run(graph, x).outputs)
    quick = (command[0], "-fsyntax-only")
    assert warnings(quick, emit(graph, rates=rates(cases), golden=golden).files, tmp_path) == ""


@compilers
@pytest.mark.parametrize(("file", "options", "ticks"), [
    ("examples/digits/digits.nir", {}, 10),
    ("nir/braille_noDelay_bias_zero.nir", {"as_": "snntorch"}, 20),
    ("nir/cnn_sinabs.nir", {"as_": "sinabs", "max_spikes": 1, "v_min": None}, 10),
])
def test_trained_networks_give_no_warning(command: tuple[str, ...], file: str, options: dict[str, object], ticks: int,
                                          shared_data: Path, tmp_path: Path) -> None:
    graph = sc.load((ROOT if file.startswith("examples") else shared_data) / file, **options)
    shape = next(iter(graph.inputs.values())).shape
    x = (np.random.default_rng(0).random((2, ticks, *shape)) < 0.1).astype(float)
    for weights_as in ("text", "binary"):
        files = sc.compile(graph, calibration=x, weights_as=weights_as).artifact.files
        assert warnings(command, files, tmp_path) == ""
