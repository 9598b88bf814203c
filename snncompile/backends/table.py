"""Every backend by the name that targets give it. What a backend needs is imported when it is first used."""

from __future__ import annotations

from snncompile.backends.backend import Backend
from snncompile.backends.c.backend import CBackend
from snncompile.backends.lava.backend import LavaBackend

BACKENDS: dict[str, Backend] = {b.name: b for b in (CBackend(), LavaBackend())}
