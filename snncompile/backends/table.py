"""Every backend by the name that targets give it. What a backend needs is imported when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from snncompile.backends.backend import Backend


def _later(module: str, name: str) -> Callable[..., Any]:
    """A function of a module that is imported when it is called."""
    def call(*args: Any, **named: Any) -> Any:
        return getattr(import_module(f"snncompile.backends.{module}"), name)(*args, **named)

    return call


BACKENDS: dict[str, Backend] = {b.name: b for b in (
    Backend("c", _later("c.emit", "emit"), _later("c.host", "host")),
    Backend("lava", _later("lava.emit", "emit"), _later("lava.host", "host")),
)}
