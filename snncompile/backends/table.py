"""Every backend by the name that targets give it."""

from __future__ import annotations

from snncompile.backends.backend import Backend
from snncompile.backends.c.emit import emit as emit_c
from snncompile.backends.c.host import host as host_c
from snncompile.backends.lava.emit import emit as emit_lava
from snncompile.backends.lava.host import host as host_lava

BACKENDS: dict[str, Backend] = {b.name: b for b in (
    Backend("c", emit_c, host_c),
    Backend("lava", emit_lava, host_lava),
)}
