"""No compiler warns of any emitted file: of random networks, of networks that people trained, and of every kernel.

The same holds of what is emitted for microcontrollers, and for each family of vector instructions.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.artifact import Golden
from snncompile.backends.c.emit import artifact, emit
from snncompile.backends.c.lower import lower
from snncompile.backends.firmware.lower import lowered
from snncompile.backends.plan.kernels.table import WEIGHTED
from snncompile.backends.plan.plan import plan
from snncompile.targets.load import load_target
from tests.backends.exactness import WARNINGS, random_case
from tests.backends.machines import written
from tests.backends.test_kernels import (
    COSTS,
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
from tests.backends.test_small_kernels import BITS, CONV, FORCED, LINEAR, POOLED, SMALL, WIDE
from tests.strategies import random_graph
from tests.tools import needs

GRAPHS, BLOCK = 40, 8
SOURCES = [*RANGES[:2], RANGES[5], RANGES[7], *RANGES[9:]]
"""Spikes, repeated counts, factors, and every type."""
ROOT = Path(__file__).parents[2]
COMMANDS = (("gcc", "-O1", "-c"), ("clang", "-fsyntax-only"), ("i686-linux-gnu-gcc", "-fsyntax-only"))
"""Of the compilers, gcc finds some faults only while it optimises."""
VECTORS = ("-DSNN_PORTABLE", "-mssse3", "-mavx2")
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
        host = emit(case.graph, rates=case.rates, golden=case.golden)
        small = artifact(case.graph, lowered(case.graph, load_target("cortex-m4"), case.rates), case.golden, "text")
        for found in (host, small):
            assert len([n for n in found.files if n.endswith(".c")]) == 5
            assert warnings(command, found.files, folder) == "", f"seed {seed}"


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
    """Chosen by the rate alone, and those of spikes also by the estimated time, as `conv_table` is."""
    taken, every = set[str](), every_kernel()
    for cases, costs in ((every, COSTS), ([c for c in every if (c.low, c.high) == (0, 1)], {})):
        graph = network(cases)
        taken |= {k.name for p in plan(graph, rates(cases), costs).projections for k in p.kernels}
        x = {f"x{k}": samples(case, k)[:1] for k, case in enumerate(cases)}
        golden = Golden(x, sc.run(graph, x).outputs)
        files = emit(graph, rates=rates(cases), golden=golden, costs=costs).files
        for vectors in VECTORS:
            assert warnings((command[0], "-fsyntax-only", vectors), files, tmp_path) == ""
    assert {k.name for k in WEIGHTED} - taken <= set(SMALL)


@compilers
def test_every_kernel_for_small_processors_gives_no_warning(command: tuple[str, ...], tmp_path: Path) -> None:
    graph = network([*LINEAR, *WIDE, *BITS, *CONV, *POOLED])
    planned = plan(graph, {}, FORCED, max_lanes=0)
    assert set(SMALL) <= {k.name for p in planned.projections for k in p.kernels}
    files = artifact(graph, lower(planned, "kernels", graph.schedule, 1), None, "text").files
    assert warnings((command[0], "-fsyntax-only"), files, tmp_path) == ""


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
