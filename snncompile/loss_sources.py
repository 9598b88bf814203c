"""`losses`: where the difference between the float and the integer network comes from, one source at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from snncompile.comparison import compare
from snncompile.diagnostics import fail
from snncompile.frontends import load
from snncompile.inputs import expect_numbers
from snncompile.ir.verify import verify
from snncompile.lowering import Calibrated, Order, Samples, calibrated
from snncompile.observer import Observer
from snncompile.report.report import Agreement
from snncompile.targets.arithmetic import AUTO
from snncompile.targets.layer_options import Layers
from snncompile.targets.load import load_target
from snncompile.targets.target import Target

FINE: Mapping[str, Mapping[str, Any]] = {
    "weights": {"weight_bits": 16, "weight_grid": "even", "per": "channel", "neuron": "any"},
    "inputs": {"input_bits": 16},
    "decays": {"decay_bits": 24, "rounding": "nearest"},
    "membranes": {"membrane_bits": 32, "overflow": "saturate"},
}
"""The sources of loss, and the options with which each loses next to nothing. Registers of a hardware's own neuron,
whose weights have few bits, become a program with the weights."""
ALL, NONE = "all", "none"


class Loss(NamedTuple):
    """What one source of loss does.

    Attributes:
        source: a key of `FINE`; or `ALL` for the network as it is compiled, and `NONE` for one in which every source is
            fine.
        alone: how far float and integer network agree where this source alone is as it will be, all others fine.
        without: the same where this source alone is fine, all others as they will be.
    """

    source: str
    alone: Agreement
    without: Agreement


def losses(source: Any, target: str | Path | Target = "c99", *, calibration: Any, labels: Any = None,
           layers: Layers = None, observer: Observer | None = None, load_options: Mapping[str, Any] | None = None,
           **arithmetic: Any) -> list[Loss]:
    """Where the difference between the float and the integer network comes from.

    The network is quantized twice for each source of loss: with this source alone as it will be, and with this source
    alone fine. If weights alone explain the loss, more bits for weights help; if the network without the loss of its
    membranes is nearly exact, wider membranes do.

    Args:
        source, target, calibration, labels, layers, observer, load_options, arithmetic: see `compile`.

    Returns:
        A row for `ALL` first, then one for each source, those that lose most alone first, and one for `NONE`.

    Raises:
        CompileError: as `compile` does.
    """
    observer = observer or Observer()
    order = Order.of(load_target(target), arithmetic, layers, calibration=Samples(calibration, labels))
    if order.wish is not None:
        fail("SNN404", f"option {order.wish.options[0]}", AUTO, "a width, or the file layers.toml of a build")
    graph = verify(expect_numbers(load(source, **(load_options or {}))))
    found = calibrated(graph, order, observer)
    if found.samples is None:
        fail("SNN404", "option calibration", "no samples", "samples on which the networks are compared")
    parts = _sources(found)
    whole, fine = _agreement(found, (), observer), _agreement(found, parts, observer)
    rows = [Loss(name, _agreement(found, [n for n in parts if n != name], observer),
                 _agreement(found, [name], observer)) for name in parts]
    return [Loss(ALL, whole, fine), *sorted(rows, key=_kept), Loss(NONE, fine, whole)]


def _kept(row: Loss) -> tuple[float, float]:
    """How much a source alone leaves, of the counts of spikes and, where these are equal, of graded values."""
    return row.alone.counts_shared, -(row.alone.graded_error or 0.0)


def _sources(found: Calibrated) -> list[str]:
    """The sources of loss that a network has."""
    every = (found.choices.arithmetic, *found.choices.own.values())
    absent = {"inputs": all(op.values != "real" for op in found.legal.inputs.values()),
              "membranes": all(arithmetic.membrane_bits is None for arithmetic in every)}
    return [name for name in FINE if not absent.get(name)]


def _agreement(found: Calibrated, fine: Collection[str], observer: Observer) -> Agreement:
    """How far float and integer network agree where these sources lose next to nothing."""
    options = {option: value for name in fine for option, value in FINE[name].items()}
    choices = found.choices
    changed = dataclasses.replace(choices, arithmetic=choices.arithmetic.with_options(options),
                                  own={name: own.with_options(options) for name, own in choices.own.items()})
    integer = dataclasses.replace(found, choices=changed).quantize.run(found.legal)
    samples = found.samples or {}
    agreement: Agreement = observer.timed("compare", lambda: compare(
        found.legal, integer, samples, found.labels, seen=choices.calibration, progress=observer.counter("compare")))
    return agreement
