"""The examples in docstrings are true, and the dense algorithms have some."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil

import pytest

import snncompile

OPTIONAL = ("mtkahypar", "onnx", "torch")
WITH_EXAMPLES = {
    f"snncompile.{name}" for name in (
        "ir.windows", "mapping.connections", "mapping.fill_cores", "mapping.hilbert", "mapping.tile_shapes",
        "mapping.tiles", "mapping.traffic", "targets.memory", "targets.reach")
}
MODULES = sorted(m.name for m in pkgutil.walk_packages(snncompile.__path__, "snncompile.", onerror=lambda name: None)
                 if not m.name.endswith("__main__"))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as e:
        if (e.name or "").split(".")[0] not in OPTIONAL:
            raise
        pytest.skip(f"{e.name} is not installed")
    result = doctest.testmod(module)
    assert result.failed == 0
    assert result.attempted or name not in WITH_EXAMPLES


def test_all_modules_are_looked_at():
    assert set(MODULES) >= WITH_EXAMPLES
    assert len(MODULES) > 100
