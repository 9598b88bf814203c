"""Q-SNN: backbones with weights of one bit and membranes of a few bits.

`1w2u` stands for weights of 1 bit and membranes of 2 bits; 32 of either stands for real numbers. The first and the last
layer keep weights of 8 bits. A membrane of k bits has `2^(k-1) - 1` levels on each side of 0, the outermost of which
are at -2 and 2 here: the largest membrane has to be measured on a trained network, since hardware needs a fixed grid.

    qsnn:resnet19:1w8u                  as in the paper: membranes are rounded, compared, and reset
    qsnn:resnet19:1w8u:cifar100:code    as in the authors' code: compared (strictly), reset, and rounded

With the outermost level at twice the threshold, the threshold lies half-way between two levels: both orders then fire
alike but for a membrane that is exactly 1. In the authors' code the grid follows the largest membrane of each batch,
behind a tanh; no fixed grid equals that.
"""

from __future__ import annotations

from collections.abc import Mapping

from snncompile.ir.graph import Graph
from snncompile.ir.rules import Firing
from snncompile.search.families.backbones import (
    BACKBONES,
    DATA,
    HARD,
    HARD_STRICT,
    Bits,
    Data,
    Fire,
    Shaper,
    build,
)
from snncompile.search.families.family import Family, Preset, number, one_of, refuse, split
from snncompile.search.net import Net
from snncompile.search.space import Space

DECAY, THRESHOLD, ALPHA = 0.5, 1.0, 2.0
"""Of all neurons; ALPHA is the outermost level of a membrane."""
ENDS_BITS, REAL = 8, 32
"""The bits of the weights of the first and the last layer, and what stands for real numbers."""
MOST_BITS = 16
ORDERS: Mapping[str, tuple[str, Firing]] = {"paper": ("before", HARD), "code": ("after", HARD_STRICT)}
"""Whether a membrane is rounded before or after it is compared, and how it is compared."""


def neurons(membrane_bits: int | None, order: str = "paper", alpha: float = ALPHA) -> Fire:
    """LIF neurons, `v' = v / 2 + x`, with membranes of so many bits; None for real numbers.

    Args:
        order: of `ORDERS`.
        alpha: the outermost level.
    """
    grid, firing = ORDERS[order]

    def fire(net: Net, layer: int) -> Net:
        name = f"lif{layer + 1}"
        if membrane_bits is None:
            return net.neuron("lif", firing=firing, decay=DECAY, threshold=THRESHOLD, name=name)
        levels = (1 << (membrane_bits - 1)) - 1
        return net.neuron("qlif", firing=firing, options={"grid": grid}, decay=DECAY, threshold=THRESHOLD,
                          step=alpha / levels, levels=levels, name=name)

    return fire


def network(shape: Shaper, weight_bits: int | None, membrane_bits: int | None, data: Data, *, order: str = "paper",
            alpha: float = ALPHA, name: str = "qsnn") -> Graph:
    """A backbone with few bits.

    Args:
        shape: of `backbones.BACKBONES`, or a function of your own.
        weight_bits: of the layers between the first and the last one, which have 8; None for real numbers in all.
        membrane_bits: 2 or more, or None for real numbers.
        data: what the network receives.
        order: "paper" or "code"; see the module.
        alpha: the outermost level of a membrane.
    """
    bits = Bits() if weight_bits is None else Bits(weight_bits, ENDS_BITS)
    return build(name, shape, data, neurons(membrane_bits, order, alpha), bits).net.graph()


def graph(text: str) -> Graph:
    """The network that a notation names."""
    backbone, bits, data, order = split("qsnn", text, "BACKBONE:BITS:DATA:ORDER", 2)
    weight_bits, membrane_bits = _bits(bits)
    one_of("qsnn", "order", order or "paper", ORDERS)
    return network(one_of("qsnn", "backbone", backbone, BACKBONES), weight_bits, membrane_bits,
                   one_of("qsnn", "data", data or "cifar10", DATA), order=order or "paper", name=f"qsnn:{text}")


def _bits(text: str) -> tuple[int | None, int | None]:
    """The bits of weights and membranes that a text such as `1w2u` names; None for 32."""
    weights, w, rest = text.partition("w")
    membranes, u, end = rest.partition("u")
    if not (w and u) or end:
        refuse("qsnn", "bits", f'"{text[:20]}"', "WwUu, such as 1w2u")
    found = (number("qsnn", f"bits of {what}", digits, least, REAL) for what, digits, least in (
        ("weights", weights, 1), ("membranes", membranes, 2)))
    kept = [None if bits == REAL else bits for bits in found]
    if any(bits is not None and bits > MOST_BITS for bits in kept):
        refuse("qsnn", "bits", f'"{text[:20]}"', f"up to {MOST_BITS} bits, or {REAL} for real numbers")
    return kept[0], kept[1]


def space() -> Space:
    """The backbones of the paper with weights of 1, 2, 4 or 8 bits and membranes of 2, 4, 8 bits or real numbers."""
    return Space("qsnn", {"backbone": _PAPER, "weight_bits": (1, 2, 4, 8), "membrane_bits": (2, 4, 8, None)}, _of)


def _of(backbone: str, weight_bits: int, membrane_bits: int | None) -> Graph:
    return network(BACKBONES[backbone], weight_bits, membrane_bits, DATA["cifar10"], name=f"qsnn:{backbone}")


_PAPER = ("resnet19", "vgg16", "vggsnn")
_COUNTS = {"resnet19": 12_569_226, "vgg16": 14_724_042, "vggsnn": 9_228_362}
FAMILY = Family(
    "qsnn", "Q-SNN, Wei et al., ACM MM 2024",
    "BACKBONE:BITS, BACKBONE:BITS:DATA or BACKBONE:BITS:DATA:ORDER, bits such as 1w2u, order paper or code",
    graph,
    {f"{backbone}-{bits}": Preset(f"{backbone}:{bits}", "Q-SNN, Wei et al., ACM MM 2024, table 2", _COUNTS[backbone])
     for backbone in _PAPER for bits in ("1w8u", "1w4u", "1w2u")},
    {"paper": space})
