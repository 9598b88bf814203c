"""The table of backends, by the name with which target files choose them.

A backend imports the modules that it needs when it is first used.
"""

from __future__ import annotations

from snncompile.backends.backend import Backend
from snncompile.backends.c.backend import CBackend
from snncompile.backends.firmware.backend import FirmwareBackend
from snncompile.backends.hls.backend import HlsBackend
from snncompile.backends.lava.backend import LavaBackend
from snncompile.backends.verilog.backend import VerilogBackend

BACKENDS: dict[str, Backend] = {b.name: b for b in (
    CBackend(), FirmwareBackend(), LavaBackend(), VerilogBackend(), HlsBackend())}
