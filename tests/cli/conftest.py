"""What the tests of the command line work on."""

from __future__ import annotations

import numpy as np
import pytest

import snncompile as sc
from tests.nets import nir_file, small, spikes


@pytest.fixture(autouse=True)
def _plain(monkeypatch):
    """What the environment says of colour and width must not matter here."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A network, samples with labels, and a build; tests write elsewhere."""
    folder = tmp_path_factory.mktemp("cli")
    x = spikes()
    decisions = sc.compile(small(), calibration=x).reference(x).decisions
    np.savez(folder / "data.npz", x=x, y=decisions)
    np.save(folder / "wrong.npy", np.zeros((2, 3, 7)))
    nir_file(folder)
    nir_file(folder, silent=True)
    sc.compile(folder / "small.nir", calibration=x).save(folder / "build")
    return folder
