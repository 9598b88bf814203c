"""Tensors without numbers, told apart and described without importing torch; see `bare` for how they are run."""

from __future__ import annotations

from typing import Any

from snncompile.ir.types import ShapeOnly


def is_bare(value: Any) -> bool:
    """Whether a value is a tensor without numbers."""
    return getattr(value, "is_meta", False) is True


def shape_only(tensor: Any) -> ShapeOnly:
    """The shape of a tensor without numbers, and the type of its elements: `float32` also for 16-bit floats."""
    name = str(tensor.dtype).removeprefix("torch.")
    return ShapeOnly(tuple(tensor.shape), "float32" if name in ("bfloat16", "float16") else name)
