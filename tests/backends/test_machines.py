"""The emitted C computes the same on machines of either byte order, of 32 and of 64 bits, spikes and states alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from snncompile.backends.c.emit import emit
from tests.backends.exactness import random_case
from tests.backends.machines import MACHINES, Machine, differences, written
from tests.strategies import random_graph
from tests.tools import needs

GRAPHS = 8
BIG_ENDIAN = MACHINES[0]


def everywhere(*more: Any) -> list[Any]:
    return [pytest.param(m, *more, marks=needs(*m.tools), id=m.name) for m in MACHINES]


@pytest.mark.parametrize("seed", range(GRAPHS))
@pytest.mark.parametrize("machine", everywhere())
def test_random_graphs_are_exact_on(machine: Machine, seed: int, tmp_path: Path) -> None:
    assert differences(random_case(random_graph(seed), seed), machine, tmp_path) == []


@pytest.mark.parametrize("machine", everywhere())
def test_weights_in_a_file_are_refused_where_they_would_be_wrong(machine: Machine, tmp_path: Path) -> None:
    """Their bytes lie in one order only, so that another machine would read other numbers."""
    case = random_case(random_graph(5), 5)
    files = emit(case.graph, weights_as="binary").files
    assert "a_net_weights.bin" in files
    written(files, tmp_path)
    made = machine.compiled(tmp_path, "-c", "a_net_weights.S")
    assert (made.returncode != 0) == (machine is BIG_ENDIAN), made.stderr
    assert ("compile the network again, with --weights-as text" in made.stderr) == (machine is BIG_ENDIAN)
