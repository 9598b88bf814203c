"""Firmware computes what the integer interpreter computes, in an emulator: in every spike and membrane."""

from __future__ import annotations

import pytest

from tests.backends.exactness import random_case
from tests.backends.firmware.running import ALL, differences, tools
from tests.strategies import random_graph

GRAPHS = 3


@pytest.mark.parametrize("name", [pytest.param(n, marks=tools[n]) for n in ALL])
def test_firmware_equals_the_interpreter_on_random_graphs(name: str) -> None:
    first = 500 + 100 * ALL.index(name)
    for seed in range(first, first + GRAPHS):
        assert differences(random_case(random_graph(seed), seed), name) == [], f"seed {seed}"
