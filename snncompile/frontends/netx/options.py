"""The options that NetX takes beside the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snncompile.diagnostics import Collector, did_you_mean, shorten
from snncompile.ir.types import Shape

LIMITS: Mapping[str, tuple[int, int]] = {
    "skip_layers": (0, 1 << 16), "num_layers": (1, 1 << 16), "reset_interval": (1, 1 << 30),
    "reset_offset": (0, 1 << 30),
}
MAX_LENGTH = 1 << 24


@dataclass(frozen=True)
class Options:
    """The options that NetX takes beside the file.

    Attributes:
        skip_layers: how many layers to leave out, from the first on. The graph's input then is the spikes of the last
            layer that was left out.
        num_layers: how many layers to read, from the first on; None for all of them.
        input_shape: `[channel, height, width]` of the data of a convolution that is the first layer; None where the
            caller did not give it. Callers give it in NetX's order, `(width, height, channels)`.
        reset_interval: the number of ticks between two resets of a layer; None for no resets.
        reset_offset: the tick of the first layer's first reset. Each further layer is reset one tick later.
    """

    skip_layers: int = 0
    num_layers: int | None = None
    input_shape: tuple[int, ...] | None = None
    reset_interval: int | None = None
    reset_offset: int = 0

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """The options as the caller gave them. Raises SNN404 for unknown names and for values out of range."""
        chosen = {n: v for n, v in given.items() if v is not None}
        problems = Collector()
        for name, value in chosen.items():
            low, high = LIMITS.get(name, (0, 0))
            if name == "input_shape":
                chosen[name] = _shape(value)
                if chosen[name] is None:
                    problems.error("SNN404", f"option {name}", shorten(value),
                                   f"one or three whole numbers from 1 to {MAX_LENGTH}: the width, or width, height "
                                   "and channels", "input_shape=(32, 32, 2), on the command line --input-shape 32,32,2")
            elif name not in LIMITS:
                names = (*LIMITS, "input_shape")
                problems.error("SNN404", f"option {shorten(name)}", "there is no option of this name",
                               ", ".join(names), did_you_mean(name, names))
            elif type(value) is not int or not low <= value <= high:
                problems.error("SNN404", f"option {name}", shorten(value), f"a whole number from {low} to {high}")
        problems.finish()
        return cls(**chosen)


def _shape(value: Any) -> Shape | None:
    """NetX's `(width, height, channels)`, or a text of these numbers, in the compiler's order; None for all else."""
    items: Sequence[Any] = value.split(",") if isinstance(value, str) else value if isinstance(
        value, (tuple, list)) else ()
    numbers = [int(n) if isinstance(n, str) and n.strip().isdecimal() and len(n) < len(str(MAX_LENGTH)) + 2 else n
               for n in items[:4]]
    if len(numbers) not in (1, 3) or not all(type(n) is int and 1 <= n <= MAX_LENGTH for n in numbers):
        return None
    return tuple(reversed(numbers))
