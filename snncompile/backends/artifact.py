"""What a backend gives: files by relative path, and facts for the report. Only the driver writes files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from snncompile.ir.types import Array


@dataclass(frozen=True)
class Golden:
    """Inputs and outputs that every emitted program must reproduce, `[sample, tick, *shape]` integers by name."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


@dataclass(frozen=True)
class Artifact:
    """Emitted files by path relative to the build folder, and named sizes in bytes."""

    files: Mapping[str, str | bytes]
    sizes_bytes: Mapping[str, int] = field(default_factory=dict)
