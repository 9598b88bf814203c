"""The folder that keeps what backends build on this machine, such as compiled libraries."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The folder that `SNNC_CACHE` names, or `snncompile` in the operating system's folder for caches of a user."""
    given = os.environ.get("SNNC_CACHE")
    if given:
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "snncompile" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "snncompile"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "snncompile"
