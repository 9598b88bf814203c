"""What a backend returns: the emitted files in memory, and sizes for the report. A backend writes no files itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from snncompile.ir.types import Array


@dataclass(frozen=True)
class Golden:
    """Golden vectors: recorded inputs, and the outputs that every emitted program must give for them.

    Attributes:
        inputs, outputs: integers `[sample, tick, *shape]` by the name of the input or output. Their ticks are those of
            the network or of the hardware; whoever passes them on says which.
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


@dataclass(frozen=True)
class Artifact:
    """An emitted program.

    Attributes:
        files: the content of each file, text or bytes, by its path relative to the backend's folder in a build, with
            forward slashes.
        sizes_bytes: bytes of memory that the program takes, by what they hold; "weights" is one of them.
        figures: what else is known of it before it runs, by name, as the report shows it.
        layers: what the backend chose for single populations, by the names of the options.
    """

    files: Mapping[str, str | bytes]
    sizes_bytes: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
