"""Finds the states of a step function: which output returns the next value of which input."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from snncompile.diagnostics import Collector, fail, few, shorten
from snncompile.frontends.onnx.export import STEP
from snncompile.frontends.onnx.file import Model

BEFORE = re.compile(r"^(?:in|prev|old|last|cur)_|(?:_|\.)(?:in|prev|old|last|cur|t|input)$")
ONE_TICK = ("export one tick, torch.onnx.export(step, (x, *states), path), where step(x, *states) returns the output "
            "and the next states, and name them by states={...} or --states IN=OUT,... (docs/onnx.md)")
"""What to do about a file that is not one tick of a network."""
AFTER = re.compile(r"^(?:out|next|new)_|(?:_|\.)(?:out|next|new|output)$")


def find_pairs(model: Model, place: str, given: Mapping[str, str]) -> dict[str, str]:
    """The name of each state's output, by the name of its input.

    The pairs come from the first of these that has any: the option `states`, the metadata `snncompile.step`, the names.
    An output belongs to an input by name, if the two are equal once the output's prefix or suffix is removed (`out_`,
    `next_`, `new_`, `_out`, `_next`, `_new`, `_output`; suffixes also with a dot) and, where there is one, the input's
    (`in_`, `prev_`, `old_`, `last_`, `cur_`, and the same as suffixes, `_t` and `_input`). `mem` and `mem_out` are such
    a pair, and so are `prev_v` and `next_v`.

    Args:
        place: the file's name in messages.
        given: the option `states`, outputs by inputs.

    Raises:
        CompileError: SNN404 where the option names an input or output that does not exist; SNN102 where the shapes of
            a pair differ, or where a name fits several others.
    """
    problems = Collector()
    for before, after in given.items():
        if before not in model.inputs or after not in model.outputs:
            problems.error("SNN404", f"option states, {shorten(before)}: {shorten(after)}", "no such input or output",
                           f"inputs {few(model.inputs)}; outputs {few(model.outputs)}")
    problems.finish()
    pairs = dict(given) or _by_metadata(model) or _by_name(model, place)
    for before, after in pairs.items():
        axes = model.inputs[before].axes, model.outputs[after].axes
        if not compatible(*axes):
            problems.error("SNN102", f"{place}, state {shorten(before)}",
                           f"its input has the shape {list(axes[0] or ())}, its output {list(axes[1] or ())}",
                           "equal shapes")
    problems.finish()
    return pairs


def compatible(a: tuple[int | None, ...] | None, b: tuple[int | None, ...] | None) -> bool:
    """Whether two shapes can be equal; None stands for a free length, or for a shape that the file does not give."""
    if a is None or b is None:
        return True
    return len(a) == len(b) and all(m == n or m is None or n is None for m, n in zip(a, b, strict=True))


def find_initial(model: Model) -> dict[str, Any]:
    """The initial values of states that the metadata `snncompile.step` give, by state input, without those of 0."""
    given = {s["in"]: s.get("initial", 0) for s in _described(model)}
    values = {n: model.constants.get(v) if isinstance(v, str) else v for n, v in given.items()}
    return {n: v for n, v in values.items() if isinstance(v, (int, float, np.ndarray)) and np.any(v)}


def _described(model: Model) -> list[dict[str, Any]]:
    """The states in the metadata `snncompile.step`; an empty list where the metadata are missing or damaged."""
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
                 "its name fits several inputs, or an input to which another output fits too",
                 "one output for each state", "say which belong together: states={'input': 'output', ...}")
        pairs.update(dict.fromkeys(matches, name))
    return pairs
