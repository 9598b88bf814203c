"""A Python that has Lava: the one that SNNC_LAVA_PYTHON names, or an environment in the user's own cache."""

from __future__ import annotations

import pytest

from snncompile.backends.lava.environment import python
from snncompile.diagnostics import CompileError


@pytest.fixture(scope="session")
def lava_python() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SNNC_CACHE", raising=False)
        try:
            return python()
        except CompileError as e:
            pytest.skip(f"no Lava here: {e.diagnostics[0].found}")


@pytest.fixture
def lava(lava_python: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Tests that run Lava find it whatever their cache is."""
    monkeypatch.setenv("SNNC_LAVA_PYTHON", lava_python)
    return lava_python
