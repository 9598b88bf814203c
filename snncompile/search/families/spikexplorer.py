"""SpikExplorer: fully connected networks of one kind of snnTorch neurons, and their area.

A network is its number of inputs, its hidden layers, its outputs, the kind of its neurons, and the powers p of its
decays, which are 1 - 2^p / 100: beta of the membrane and alpha of the current are 0.98, 0.96, 0.92 or 0.84 for p of 1
to 4.

    spikexplorer:784:128,64:10:rlif:2              membranes decay by 0.96
    spikexplorer:700:200:20:syn:1:3                and currents by 0.92

Neurons fire strictly above a threshold of 1, which is subtracted in the next tick. In `rlif` and `rsyn` all neurons of
a layer reach each other through weights, a tick later. The published loop hands every layer its first membrane in each
tick; the neurons here keep theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from snncompile.ir.graph import Graph
from snncompile.ir.rules import Firing
from snncompile.search.families.family import Family, Preset, number, one_of, parts, split
from snncompile.search.net import Net
from snncompile.search.space import Space

NEURON_AREA = {"lif": 2, "rlif": 3, "syn": 4, "rsyn": 6}
"""The area of a neuron of each kind, in units of SpikExplorer."""
WEIGHT_AREA = 6
POWERS = (1, 2, 3, 4)
MAX_LAYERS, MAX_SIZE = 8, 1 << 16
SNNTORCH = Firing(">", "subtract", "after-decay")
NAME = "spikexplorer"


def area(inputs: int, hidden: Sequence[int], classes: int, kind: str) -> int:
    """The area of a network, for budgets: 6 a weight, and 2, 3, 4 or 6 a neuron. Biases have none.

    >>> area(4, (3,), 2, "lif"), area(4, (3,), 2, "rlif")
    (118, 201)
    """
    sizes = (inputs, *hidden, classes)
    weights = sum(a * b for a, b in pairwise(sizes))
    recurrent = sum(n * n for n in sizes[1:]) if kind.startswith("r") else 0
    return WEIGHT_AREA * (weights + recurrent) + NEURON_AREA[kind] * sum(sizes[1:])


def network(inputs: int, hidden: Sequence[int], classes: int, kind: str, beta: int, alpha: int = 1, *,
            name: str = NAME) -> Graph:
    """A network of input spikes.

    Args:
        hidden: the neurons of each hidden layer.
        kind: of `NEURON_AREA`.
        beta, alpha: the powers of the decays.
    """
    net = Net((inputs,), name=name)
    for place, size in enumerate((*hidden, classes), start=1):
        net.linear(size, bias=True, name=f"fc{place}")
        current = net.tap()
        _neurons(net, kind, beta, alpha, f"{kind}{place}")
        if kind.startswith("r"):
            spikes = net.tap()
            net.late(1, name=f"{kind}{place}.last").linear(size, bias=True, name=f"recurrent{place}")
            net.back(current, 0).at(spikes)
    return net.graph()


def _neurons(net: Net, kind: str, beta: int, alpha: int, name: str) -> None:
    decay = 1 - 2 ** beta / 100
    if kind.endswith("lif"):
        net.neuron("lif", firing=SNNTORCH, decay=decay, name=name)
    else:
        net.neuron("cubalif", firing=SNNTORCH, decay=decay, decay_syn=1 - 2 ** alpha / 100, name=name)


def graph(text: str) -> Graph:
    """The network that a notation names."""
    inputs, hidden, classes, kind, beta, alpha = split(NAME, text, "INPUTS:HIDDEN:CLASSES:KIND:BETA:ALPHA", 5)
    one_of(NAME, "neurons", kind, NEURON_AREA)
    layers = [number(NAME, "hidden layer", word, 1, MAX_SIZE) for word in parts(NAME, "hidden", hidden, 1, MAX_LAYERS)]
    return network(number(NAME, "inputs", inputs, 1, MAX_SIZE), layers, number(NAME, "classes", classes, 1, MAX_SIZE),
                   kind, number(NAME, "beta", beta, POWERS[0], POWERS[-1]),
                   number(NAME, "alpha", alpha or "1", POWERS[0], POWERS[-1]), name=f"{NAME}:{text}")


def space(inputs: int, classes: int, sizes: Sequence[int] = (32, 64, 128, 256)) -> Space:
    """One to three hidden layers, all kinds of neurons and all decays; 0 stands for a layer that is not there."""
    further = (0, *sizes)
    return Space(f"{NAME}-{inputs}-{classes}", {
        "hidden1": tuple(sizes), "hidden2": further, "hidden3": further, "kind": tuple(NEURON_AREA), "beta": POWERS,
        "alpha": POWERS}, partial(_chosen, inputs, classes))


def _chosen(inputs: int, classes: int, *, hidden1: int, hidden2: int, hidden3: int, kind: str, beta: int,
            alpha: int) -> Graph:
    hidden = [size for size in (hidden1, hidden2, hidden3) if size]
    return network(inputs, hidden, classes, kind, beta, alpha)


FAMILY = Family(
    NAME, "SpikExplorer, Padovano et al., 2024", "INPUTS:HIDDEN:CLASSES:KIND:BETA or INPUTS:HIDDEN:CLASSES:KIND:BETA:"
    "ALPHA, hidden layers between commas, a kind of lif, rlif, syn, rsyn, and powers of 1 to 4", graph,
    {"example": Preset("784:128,64:10:rlif:2", "an example of this notation")},
    {"mnist": partial(space, 784, 10), "shd": partial(space, 700, 20)})
