"""Random spaces of candidates, from a seed: chains of random layers, and spaces of whole graphs with links in them.

A layer is a few random parts, each with choices of its own. What a part makes of some shapes is no network, so that a
space has candidates that cannot be built too.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any, NamedTuple

from snncompile.ir.graph import Graph
from snncompile.ir.ops import Input
from snncompile.ir.rules import Firing
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import ShapeOnly
from snncompile.search.chain import Chain
from snncompile.search.net import Net, Tap
from snncompile.search.space import Space

INPUTS = (Input((2, 6, 6)), Input((3, 9, 9)), Input((2, 12, 12), "real", -1, 1), Input((2, 7, 7), "spike", high=3),
          Input((1, 16, 16)), Input((24,)), Input((4, 5, 5), "real", 0, 1))
MAX_PICKS = 16
"""The most combinations of the choices of a layer."""
LATE, STRICT = Firing(reset="value", when="after-decay"), Firing(">", "value")
NEURONS: Mapping[str, tuple[str, Firing, Mapping[str, Any]]] = {
    "lif": ("lif", Firing(), {"decay": 0.5}),
    "strict": ("lif", STRICT, {"decay": 0.9, "v_reset": 0.1}),
    "late": ("lif", LATE, {"decay": 0.5}),
    "slow": ("if", Firing(when="before-decay"), {}),
    "if": ("if", Firing(), {}),
    "hard": ("if", Firing(reset="value"), {}),
    "several": ("if", Firing(max_spikes=3), {}),
    "any": ("lif", Firing(max_spikes=None), {"decay": 1.0}),
    "synaptic": ("cubalif", Firing(reset="value"), {"decay": 0.8}),
    "adaptive": ("alif", Firing(), {}),
    "learned": ("plif", Firing(reset="value"), {"w": ShapeOnly(())}),
    "coarse": ("qlif", Firing(), {"levels": 7}),
    "fine": ("qlif", Firing(), {"levels": 100}),
    "euler": ("euler_lif", Firing(reset="value"), {"rate": 0.25}),
    "biased": ("lif", Firing(), {"decay": 0.5, "bias": 0.1}),
    "graded": ("li", Firing(), {"decay": 0.5}),
    "memoryless": ("threshold", Firing(reset="none"), {}),
    "channels": ("lif", Firing(reset="value"), {"decay": 0.5, "threshold": "channels"}),
    "places": ("if", Firing(), {"threshold": "places"}),
}
"""Neurons by a word: rule, firing and parameters. "channels" and "places" stand for a bare shape: a number for each
channel, or for each neuron."""


class Draw(random.Random):
    """Random numbers, and what is chosen with them."""

    def some(self, values: Sequence[Any], most: int = 3) -> tuple[Any, ...]:
        """One to `most` different values, in random order."""
        return tuple(self.sample(list(values), min(len(values), self.randint(1, most))))

    def chance(self, percent: int) -> bool:
        return self.randrange(100) < percent


class Part(NamedTuple):
    """A part of a layer: its choices, and what it adds to a net, given a value of each."""

    choices: Mapping[str, tuple[Any, ...]]
    build: Callable[..., Any]


@dataclass(frozen=True, eq=False)
class RandomLayer:
    """A layer of a chain. Its signature says its choices, as `Chain` reads them."""

    parts: tuple[Part, ...]

    @property
    def __signature__(self) -> Signature:
        names = (Parameter(f"{name}{i}", Parameter.KEYWORD_ONLY, default=values)
                 for i, part in enumerate(self.parts) for name, values in part.choices.items())
        return Signature([Parameter("net", Parameter.POSITIONAL_OR_KEYWORD), *names])

    def __call__(self, net: Net, **picked: Any) -> None:
        for i, part in enumerate(self.parts):
            part.build(net, **{name: picked[f"{name}{i}"] for name in part.choices})


# --- what a layer is made of ---

def fire(net: Net, neuron: str) -> Net:
    """Neurons by their word."""
    rule, firing, params = NEURONS[neuron]
    shapes = {"channels": (net.shape[0], *(1,) * (len(net.shape) - 1)), "places": net.shape}
    return net.neuron(rule, firing=firing, **{
        n: ShapeOnly(shapes[v]) if isinstance(v, str) else v for n, v in params.items()})


def weigh(net: Net, width: int, kernel: int = 3, **more: Any) -> Net:
    """A convolution, or a fully connected layer where the tensor has one axis."""
    if len(net.shape) > 1:
        return net.conv(width, kernel, **more)
    return net.linear(width, **{n: v for n, v in more.items() if n in ("bias", "bits", "density")})


def _weights(draw: Draw) -> Part:
    choices = {"width": draw.some((2, 4, 6, 9, 12)), "kernel": draw.some((1, 3, 5), 2)}
    more = {"stride": (1, 2), "bias": (False, True), "bits": (None, 1, 3, 8), "density": (None, 0.1, 0.5),
            "groups": (1, 2), "dilation": (1, 2), "padding": (None, 0)}
    picked = draw.some(list(more), 2)
    return Part({**choices, **{n: draw.some(more[n], 2) for n in picked}}, weigh)


def _neurons(draw: Draw) -> Part:
    return Part({"neuron": draw.some(list(NEURONS))}, fire)


def _norm(draw: Draw) -> Part:
    def build(net: Net, normed: bool) -> None:
        if normed:
            net.norm()

    return Part({"normed": draw.some((False, True), 2)}, build)


def _pool(draw: Draw) -> Part:
    def build(net: Net, side: int, kind: str, step: int, padding: int) -> None:
        net.pool(side, kind=kind, stride=step or None, padding=padding)

    return Part({"side": draw.some((1, 2, 3), 2), "kind": draw.some(("avg", "max", "sum"), 2),
                 "step": draw.some((0, 1, 2), 2), "padding": draw.some((0, 0, 1), 1)}, build)


def _change(draw: Draw) -> Part:
    """An operator without weights."""
    makers: dict[str, Callable[[Net], Any]] = {
        "nothing": lambda net: net, "scale": lambda net: net.scale(0.5), "flatten": lambda net: net.flatten(),
        "rectify": lambda net: net.rectify(-1), "upsample": lambda net: net.upsample(2), "late": lambda net: net.late(),
        "mean": lambda net: net.global_pool(), "mix": _mixed}
    return Part({"change": draw.some(list(makers), 2)}, lambda net, change: makers[change](net))


def _mixed(net: Net) -> None:
    """A linear map from place to place inside each channel."""
    channels, places = net.shape[0], math.prod(net.shape[1:])
    net.op(_reshaped((channels, places)))
    net.op(TokenMix(ShapeOnly((1, places, places))))


def _reshaped(shape: tuple[int, ...]) -> Any:
    from snncompile.search.shared import reshape_of

    return reshape_of(shape)


def _shortcut(draw: Draw) -> Part:
    """Two layers of neurons with a way around them."""
    def build(net: Net, inner: int, around: str, delay: int, neuron: str) -> None:
        entry, width = net.tap(), net.shape[0]
        fire(weigh(net, inner), neuron)
        weigh(net, width).norm()
        end = net.tap()
        if around == "weights":
            weigh(net.at(entry), width, 1)
        elif around == "neurons":
            fire(net.at(entry), neuron)
        else:
            net.at(entry)
        net.at(end).add(net.at(entry).tap() if around == "plain" else _here(net, around), delay=delay)

    return Part({"inner": draw.some((3, 6), 2), "around": draw.some(("plain", "weights", "neurons"), 2),
                 "delay": draw.some((0, 1, 3), 2), "neuron": draw.some(list(NEURONS), 2)}, build)


def _here(net: Net, around: str) -> Tap:
    return net.tap()


def _loop(draw: Draw) -> Part:
    """Neurons that are read by themselves, or by neurons before them, some ticks later."""
    def build(net: Net, through: str, delay: int, neuron: str) -> None:
        entry, width = net.tap(), net.shape[0]
        fire(net, neuron)
        end = net.tap()
        if through == "weights":
            weigh(net, width, 1)
        elif through == "neurons":
            fire(weigh(net, width), neuron)
        net.back(entry, delay).at(end)

    return Part({"through": draw.some(("plain", "weights", "neurons"), 2), "delay": draw.some((1, 2, 9), 2),
                 "neuron": draw.some(list(NEURONS), 2)}, build)


def _branches(draw: Draw) -> Part:
    """Two populations side by side, and perhaps a third one that nothing reads."""
    def build(net: Net, width: int, dead: bool, one: str, other: str) -> None:
        entry = net.tap()
        first = fire(weigh(net, width), one).tap()
        second = fire(weigh(net.at(entry), width + 1, 1), other).tap()
        if dead:
            fire(weigh(net.at(entry), 2), one)
        net.at(first).concat(second)

    return Part({"width": draw.some((2, 5), 2), "dead": draw.some((False, True), 2),
                 "one": draw.some(list(NEURONS), 2), "other": draw.some(list(NEURONS), 1)}, build)


def random_layer(draw: Draw) -> RandomLayer:
    """A layer that most often ends in neurons."""
    parts = [_weights(draw)] if draw.chance(80) else []
    for make, percent in ((_norm, 30), (_change, 25), (_pool, 25)):
        parts += [make(draw)] if draw.chance(percent) else []
    draw.shuffle(parts)
    for make, percent in ((_shortcut, 15), (_branches, 12), (_loop, 20)):
        parts += [make(draw)] if draw.chance(percent) else []
    if draw.chance(88) or not parts:
        parts.append(_neurons(draw))
    return RandomLayer(_fewer(draw, parts))


def _fewer(draw: Draw, parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts with so many values fewer that a layer has at most MAX_PICKS combinations."""
    choices = [dict(part.choices) for part in parts]
    while math.prod(len(values) for own in choices for values in own.values()) > MAX_PICKS:
        own = draw.choice([own for own in choices if any(len(v) > 1 for v in own.values())])
        name = draw.choice([n for n, v in own.items() if len(v) > 1])
        own[name] = own[name][:-1]
    return tuple(part._replace(choices=own) for part, own in zip(parts, choices, strict=True))


def random_head(draw: Draw) -> RandomLayer:
    """The last layer: classes, or nothing but operators."""
    kind = draw.choice(("neurons", "neurons", "operators", "pool"))
    pooled = Part({"mean": draw.some((False, True), 2)}, lambda net, mean: net.global_pool() if mean else net)
    if kind == "pool":
        return RandomLayer((pooled, _pool(draw)))
    classes = Part({"bits": draw.some((None, 4), 2)}, lambda net, bits: net.linear(5, bias=True, bits=bits))
    return RandomLayer((pooled, classes, *((_neurons(draw),) if kind == "neurons" else ())))


# --- spaces ---

def random_chain(seed: int) -> Chain:
    """A chain of two to four layers, some of them alike, and perhaps a head."""
    draw = Draw(seed)
    kinds = [random_layer(draw) for _ in range(draw.randint(1, 3))]
    layers = [draw.choice(kinds) for _ in range(draw.randint(2, 4))]
    return Chain(draw.choice(INPUTS), layers, random_head(draw) if draw.chance(85) else None, name=f"chain {seed}",
                 ticks=draw.choice((None, None, 4, 30)))


def random_graphs(seed: int) -> Space:
    """A space of whole graphs: layers with links between them, forward and backward, and several outputs."""
    draw = Draw(seed)
    layers = [random_layer(draw) for _ in range(draw.randint(2, 3))]
    head, inputs = random_head(draw), draw.some(INPUTS)
    signatures = {f"layer{i}.": layer.__signature__ for i, layer in enumerate([*layers, head])}
    choices: dict[str, Sequence[Any]] = {
        prefix + name: parameter.default for prefix, signature in signatures.items()
        for name, parameter in signature.parameters.items() if name != "net"}
    choices |= {"input": inputs, "ticks": draw.some((None, 3, 50), 2), "link": draw.some(
        ("none", "forward", "backward", "to itself", "concatenated"), 4), "shown": draw.some((False, True), 2),
        "delay": draw.some((1, 2, 4), 2)}

    def graph(**pick: Any) -> Graph:
        entry: Input = pick["input"]
        net = Net(entry.shape, values=entry.values, low=entry.low, high=entry.high, ticks=pick["ticks"])
        taps = [net.tap()]
        for i, layer in enumerate(layers):
            layer(net, **_own(pick, f"layer{i}."))
            taps.append(net.tap())
        if pick["shown"]:
            net.at(taps[1]).output("last").at(taps[-1])
        _link(net, taps, pick["link"], pick["delay"])
        head(net, **_own(pick, f"layer{len(layers)}."))
        return net.output().graph()

    return Space(f"graphs {seed}", choices, graph)


def _own(pick: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in pick.items() if name.startswith(prefix)}


def _link(net: Net, taps: Sequence[Tap], link: str, delay: int) -> None:
    """A link between two of the places of a net, through what makes their shapes meet."""
    first, last = taps[1], taps[-1]
    if link == "concatenated":
        net.concat(taps[-2])
    elif link == "forward":
        _fitted(net.at(first), last)
        net.add(last, delay=delay).lif(0.5)
    elif link != "none":
        target = last if link == "to itself" else first
        _fitted(net.at(last), target)
        net.back(target, delay).at(last)


def _fitted(net: Net, target: Tap) -> None:
    if net.shape != target.shape:
        net.linear(math.prod(target.shape))
        if len(target.shape) > 1:
            net.op(_reshaped(target.shape))


def random_space(seed: int) -> Space:
    """Three chains for each two spaces of graphs."""
    return random_chain(seed) if seed % 5 < 3 else random_graphs(seed)
