"""Tools that are not Python packages: tests that need one skip where it is absent, or fail where all must be there."""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest

REQUIRED = "SNNC_TOOLS_REQUIRED"
"""An environment variable: where it is set, a tool that is absent is a failure, as in continuous integration."""


def needs(*tools: str) -> pytest.MarkDecorator:
    """A mark for tests that need programs, or packages that bring them."""
    absent = [t for t in tools if shutil.which(t) is None and importlib.util.find_spec(t) is None]
    return pytest.mark.skipif(bool(absent) and not os.environ.get(REQUIRED), reason=f"not here: {', '.join(absent)}")
