"""Samples from what people train with: tensors, data loaders, and datasets of (sample, label)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from snncompile.data.files import check_room
from snncompile.diagnostics import CompileError, fail, shorten
from snncompile.ir.layouts import sample_first
from snncompile.ir.types import Array

FRAMES = "frames of equally many ticks: for recordings of events, a transform such as tonic.transforms.ToFrame"


def as_numbers(value: Any, place: str) -> Array:
    """A tensor of torch, on whatever device and with whatever gradient, or anything that NumPy takes, as an array.

    Raises:
        CompileError: SNN501 for a tensor without numbers, and for what NumPy cannot take.
    """
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = value.float() if str(value.dtype) == "torch.bfloat16" else value  # which NumPy does not have
        return np.asarray(value)
    except Exception as e:  # tensors and arrays of the user's own classes may raise anything
        fail("SNN501", place, f"an object of type {shorten(type(value).__name__)}: {shorten(e, 120)[1:-1]}",
             "numbers in a tensor or an array")


def collect(given: Any, layout: str, kind: str) -> tuple[Any, Array | None]:
    """Samples `[sample, tick, ...]`, or a mapping of them, and the labels that a dataset has beside them.

    A data loader, or another iterable of batches, gives its batches one after the other, each in the layout. A dataset
    gives its samples `[tick, ...]`. Each item is the data, or the data with its label.

    Args:
        given: data as `compile` takes it.
        layout: of tensors and batches, one of LAYOUTS.
        kind: the word for the samples in messages.

    Raises:
        CompileError: SNN501 for items of different shapes, and for whatever the user's code raises.
    """
    if isinstance(given, Mapping):
        return {n: sample_first(as_numbers(v, f"{kind} samples"), layout) for n, v in given.items()}, None
    place = f"{kind} samples"
    if _holds_numbers(given):
        return sample_first(as_numbers(given, place), layout), None
    if _is_dataset(given):
        parts = [(x[None], label)
                 for x, label in _items(lambda: (given[i] for i in range(len(given))), place, lambda: len(given))]
    elif isinstance(given, Iterable):
        parts = [(sample_first(_batch(x, place), layout), label) for x, label in _items(lambda: iter(given), place)]
    else:
        fail("SNN501", place, f"an object of type {shorten(type(given).__name__)}",
             "a tensor, a mapping of tensors, a data loader, or a dataset with __len__ and __getitem__")
    if len({x.shape[1:] for x, _ in parts}) != 1:
        shapes = sorted({x.shape[1:] for x, _ in parts})
        fail("SNN501", place, f"items of the shapes {', '.join(str(list(s)) for s in shapes[:3])}" if parts
             else "no items", FRAMES)
    return np.concatenate([x for x, _ in parts]), _labels([label for _, label in parts])


def _holds_numbers(given: Any) -> bool:
    """Whether data are numbers themselves: a tensor, an array, or nested lists."""
    return hasattr(given, "shape") or hasattr(given, "__array__") or isinstance(given, (list, tuple, int, float, str))


def _is_dataset(given: Any) -> bool:
    """Whether items are asked for by their numbers. Iterable datasets of torch inherit `__getitem__`, and have none."""
    iterable = any(c.__name__ == "IterableDataset" for c in type(given).__mro__)
    return hasattr(given, "__getitem__") and hasattr(given, "__len__") and not iterable


def _batch(x: Array, place: str) -> Array:
    if x.ndim < 2:
        fail("SNN501", place, f"items of the shape {list(x.shape)}", "batches [sample, tick, ...]")
    return x


def _items(start: Callable[[], Iterator[Any]], place: str, count: Callable[[], int] = lambda: 1
           ) -> Iterator[tuple[Array, Any]]:
    """The data and the label of each item. All of the user's code runs here: what it raises becomes SNN501.

    Args:
        start: begins with the first item.
        count: how many items like the first there are at least.
    """
    values, items, expected = 0, None, 1
    while True:
        try:
            if items is None:
                items, expected = start(), count()
            item = next(items)
        except StopIteration:
            return
        except CompileError:
            raise
        except Exception as e:  # data loaders of users may raise anything
            fail("SNN501", place, f"{type(e).__name__}: {shorten(e, 200)[1:-1]}", "data that can be read")
        data, label = (item[0], item[1] if len(item) > 1 else None) if isinstance(item, (tuple, list)) and item else (
            item, None)
        x = as_numbers(data, place)
        if x.dtype.names is not None or x.dtype.kind not in "biuf":
            fail("SNN501", place, "items of events" if x.dtype.names else f"items of type {x.dtype}", FRAMES)
        values += x.size * (expected if not values else 1)
        check_room((values,), place)
        yield x, label


def _labels(labels: list[Any]) -> Array | None:
    """The classes of all samples; None where there are none, or where they are not whole numbers."""
    if not labels or any(label is None for label in labels):
        return None
    found = [np.atleast_1d(as_numbers(label, "labels")) for label in labels]
    whole = all(v.ndim == 1 and v.dtype.kind in "iu" for v in found)
    return np.concatenate(found) if whole else None
