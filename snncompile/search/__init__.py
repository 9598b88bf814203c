"""Searching for networks that fit hardware: candidates built layer by layer, spaces of them, verdicts on a whole space,
scores of untrained networks, and what candidates take of memory.

    from snncompile.search import Chain, Net, Space, screen
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snncompile.search.chain import Chain as Chain
    from snncompile.search.hardware import variants as variants
    from snncompile.search.judged import Judged as Judged
    from snncompile.search.net import Net as Net
    from snncompile.search.screening import Screener as Screener
    from snncompile.search.screening import Screening as Screening
    from snncompile.search.screening import screen as screen
    from snncompile.search.shards import screen_files as screen_files
    from snncompile.search.space import Space as Space

_HOMES = {"Chain": "chain", "Judged": "judged", "Net": "net", "Screener": "screening", "Screening": "screening",
          "screen": "screening", "screen_files": "shards", "Space": "space", "variants": "hardware"}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    """The public names, whose modules are imported when they are first used. No module has a public name itself."""
    if name not in _HOMES:
        raise AttributeError(f"module 'snncompile.search' has no attribute {name!r}")
    return getattr(import_module(f"snncompile.search.{_HOMES[name]}"), name)
