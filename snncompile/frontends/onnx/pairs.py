"""Which output of a step function gives the next value of which input: its states."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from snncompile.diagnostics import Collector, fail, shorten
from snncompile.frontends.onnx.export import STEP
from snncompile.frontends.onnx.file import Model

BEFORE = re.compile(r"^(?:in|prev|old|last|cur)_|(?:_|\.)(?:in|prev|old|last|cur|t|input)$")
AFTER = re.compile(r"^(?:out|next|new)_|(?:_|\.)(?:out|next|new|output)$")


def find_pairs(model: Model, place: str, given: Mapping[str, str]) -> dict[str, str]:
    """The state outputs by state input: as given, as our own metadata say, or by their names.

    By name, an output whose name without `out_`, `next_`, `new_`, `_out`, `_next`, `_new` (or with a dot) is an
    input's, with or without `in_`, `prev_`, `old_`, `last_`, `cur_`, `_in`, `_prev`, ..., `_t`, is its next value.

    Raises:
        CompileError: SNN404 where the option names what does not exist, SNN102 where shapes differ or a name fits
            several.
    """
    found = Collector()
    for before, after in given.items():
        if before not in model.inputs or after not in model.outputs:
            found.error("SNN404", f"option states, {shorten(before)}: {shorten(after)}", "no such input or output",
                        f"inputs {_few(model.inputs)}; outputs {_few(model.outputs)}")
    found.finish()
    pairs = dict(given) or _by_metadata(model) or _by_name(model, place)
    for before, after in pairs.items():
        axes = model.inputs[before].axes, model.outputs[after].axes
        if not _meet(*axes):
            found.error("SNN102", f"{place}, state {shorten(before)}", f"goes in as {list(axes[0] or ())}, "
                        f"comes out as {list(axes[1] or ())}", "equal shapes")
    found.finish()
    return pairs


def _few(names: Mapping[str, object]) -> str:
    listed = [shorten(n, 30) for n in names]
    return ", ".join(listed[:8]) + (", ..." if len(listed) > 8 else "")


def _meet(a: tuple[int | None, ...] | None, b: tuple[int | None, ...] | None) -> bool:
    if a is None or b is None:
        return True
    return len(a) == len(b) and all(m == n or m is None or n is None for m, n in zip(a, b, strict=True))


def find_initial(model: Model) -> dict[str, Any]:
    """The states' first values that our own metadata name, those that are 0 apart."""
    found = {s["in"]: s.get("initial", 0) for s in _described(model)}
    values = {n: model.constants.get(v) if isinstance(v, str) else v for n, v in found.items()}
    return {n: v for n, v in values.items() if isinstance(v, (int, float, np.ndarray)) and np.any(v)}


def _described(model: Model) -> list[dict[str, Any]]:
    """The states in our own metadata, each with an input and an output."""
    try:
        states = json.loads(model.metadata.get(STEP, "{}"))["states"]
        return [s for s in states if isinstance(s["in"], str) and isinstance(s["out"], str)]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []


def _by_metadata(model: Model) -> dict[str, str]:
    pairs = {s["in"]: s["out"] for s in _described(model)}
    fits = all(i in model.inputs and o in model.outputs for i, o in pairs.items())
    return pairs if fits and len(set(pairs.values())) == len(pairs) else {}


def _by_name(model: Model, place: str) -> dict[str, str]:
    inputs: dict[str, list[str]] = {}
    for name in model.inputs:
        for base in {name, BEFORE.sub("", name)}:
            inputs.setdefault(base, []).append(name)
    pairs: dict[str, str] = {}
    for name in model.outputs:
        base = AFTER.sub("", name)
        matches = inputs.get(base, []) if base != name else []
        if len(matches) > 1 or any(m in pairs for m in matches):
            fail("SNN102", f"{place}, output {shorten(name)}",
                 "a name that fits several inputs, or one of several that fit an input", "one output a state",
                 "say which belong together: states={'input': 'output', ...}")
        pairs.update(dict.fromkeys(matches, name))
    return pairs
