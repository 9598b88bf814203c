"""An estimate of the bytes of code that a cross compiler makes of a network."""

from __future__ import annotations

from snncompile.backends.c.context import Net


def code_bytes(net: Net) -> int:
    return 2000 + 600 * len(net.populations)
