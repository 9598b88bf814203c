"""Lists of blocks, each with a kernel, a neuron and a threshold of its own: SPENSER, ESNN, EMO-SNAS and others.

A block is parts between `+`, in order; blocks stand between commas:

    conv32k5s2       a convolution to 32 channels of side 5 with a stride of 2; `v` without padding, `b` with a bias
    fc64             a fully connected layer with a bias
    avg2, max2       a pool of side 2
    norm             a batch norm
    res64s2          the unit of EMO-SNAS: two convolutions of side 3, and a shortcut around them, LIF behind both
    eca3, cbam16     attention of channels, and of channels and pixels, which multiplies them: see `gates`
    back             a link from the spikes of the block to its input current, a tick later: a convolution of side 1
    lif/0.5/1        LIF, decay and threshold: compared by >=, reset to 0
    lif>/0.2/0.8     the same, fires above the threshold only (ESNN: a decay of 0.2 and a trained threshold)
    if/1             integrate and fire
    plif/1           LIF with a learned decay for each layer
    leaky/0.9/1/zero snnTorch's Leaky: fires above the threshold; `zero` or `subtract` in the next tick

    blocks:conv32k3+norm+lif>/0.2/1,conv64k5s2+norm+lif>/0.2/0.7,conv64k3+norm+lif/0.5/1+back:cifar10

A mean over the image and a fully connected layer to the classes follow, or nothing but that layer where the image is
flat already. What the searches choose is then a word: the kernel and the trained threshold in ESNN, the neuron of each
layer in MixedSNN, DESPINE, Membrane-NAS and PESNN, and in MONAS-ESNN and NAS-TinyML kernels and neurons. The attention
of MA-DARTS is a part; its cells are not printed, and every target refuses its products. SPENSER has
conv (32-128 channels, side 2-4, stride 1-3), pool or none, norm or none and a neuron in a block, and fc 32-256 behind
them, 1 to 10 blocks each. The unit of EMO-SNAS with a backward flag multiplies spikes of several ticks with each other,
later ones among them; that is no network of neurons, and is not here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from snncompile.diagnostics import shorten
from snncompile.ir.graph import Graph
from snncompile.ir.rules import Firing
from snncompile.ir.types import ShapeOnly
from snncompile.search.families.backbones import DATA, HARD, HARD_STRICT, Data
from snncompile.search.families.family import Family, Preset, one_of, parts, refuse, split
from snncompile.search.families.gates import cbam, eca
from snncompile.search.net import Net, Tap

NAME = "blocks"
MAX_PARTS = 8
MAX_CHANNELS, MAX_SIDE = 4096, 64
_NUMBER = r"([0-9]{1,3}(?:\.[0-9]{1,4})?)"
Made = dict[str, Tap]
"""Places of the block that grows: `current`, in front of its neurons."""


def _conv(net: Net, name: str, made: Made, found: Sequence[str]) -> None:
    channels, side, stride, flags = int(found[0]), int(found[1] or 3), int(found[2] or 1), found[3]
    _least(name, channels, MAX_CHANNELS), _least(name, side, MAX_SIDE), _least(name, stride, MAX_SIDE)
    net.conv(channels, side, stride=stride, padding=0 if "v" in flags else None, bias="b" in flags, name=f"{name}.conv")


def _fc(net: Net, name: str, made: Made, found: Sequence[str]) -> None:
    net.linear(_least(name, int(found[0]), MAX_CHANNELS), bias=True, name=f"{name}.fc")


def _pool(net: Net, name: str, made: Made, found: Sequence[str]) -> None:
    net.pool(_least(name, int(found[1]), MAX_SIDE), kind=found[0], name=f"{name}.pool")


def _norm(net: Net, name: str, made: Made, found: Sequence[str]) -> None:
    net.norm(name=f"{name}.norm")


def _res(net: Net, name: str, made: Made, found: Sequence[str]) -> None:
    """Two convolutions, and a shortcut, which is one of side 1 where the shape changes."""
    channels, stride = _least(name, int(found[0]), MAX_CHANNELS), _least(name, int(found[1] or 1), MAX_SIDE)
    entry = net.tap()
    _unit(net.conv(channels, 3, stride=stride, name=f"{name}.conv1").norm(name=f"{name}.conv1.norm"), f"{name}.lif1")
    inner = net.conv(channels, 3, name=f"{name}.conv2").norm(name=f"{name}.conv2.norm").tap()
    if stride > 1 or entry.shape[0] != channels:
        net.at(entry).conv(channels, 1, stride=stride, name=f"{name}.shortcut").norm(name=f"{name}.shortcut.norm")
        entry = net.tap()
    made["current"] = net.at(inner).add(entry, name=f"{name}.add").tap()
    _unit(net, f"{name}.lif2")


def _eca(net: Net, name: str, made: Made, found: Sequence[str]) -> None:
    side = _least(name, int(found[0]), MAX_SIDE)
    if side % 2 == 0:
        refuse(NAME, name, f"eca{side}", "an odd side")
    eca(_image(net, name), f"{name}.eca", side)


def _cbam(net: Net, name: str, made: Made, found: Sequence[str]) -> None:
    cbam(_image(net, name), f"{name}.cbam", _least(name, int(found[0]), MAX_CHANNELS))


def _image(net: Net, name: str) -> Net:
    if len(net.shape) != 3:
        refuse(NAME, name, f"attention of {list(net.shape)}", "an image in front of it, [channels, rows, columns]")
    return net


def _unit(net: Net, name: str) -> None:
    net.lif(0.5, firing=HARD_STRICT, name=name)


def _back(net: Net, name: str, made: Made, found: Sequence[str]) -> None:
    if "current" not in made or made["current"].shape != net.shape:
        refuse(NAME, name, "back", "behind neurons")
    spikes = net.tap()
    if len(net.shape) > 1:
        net.conv(net.shape[0], 1, name=f"{name}.back")
    else:
        net.linear(net.shape[0], name=f"{name}.back")
    net.back(made["current"]).at(spikes)


def _neurons(net: Net, name: str, made: Made, found: Sequence[str]) -> None:
    kind, values, word = found[0], [float(v) for v in found[1:3] if v], found[3]
    params: dict[str, Any] = {"threshold": values[-1]}
    firing, rule = HARD_STRICT if kind.endswith(">") else HARD, kind.rstrip(">")
    if word and rule != "leaky":
        refuse(NAME, name, shorten("/".join(filter(None, found))), f"no {word}: only leaky has a choice of resets")
    if rule == "leaky":
        rule = "lif"
        firing = Firing(">", "value", "drop-input") if word == "zero" else Firing(">", "subtract", "after-decay")
    wanted = 2 if rule == "lif" else 1
    if len(values) != wanted or (values[-1] == 0) or (wanted == 2 and values[0] > 1):
        refuse(NAME, name, shorten("/".join(filter(None, found))),
               "a decay of 0 to 1 and a threshold above 0" if wanted == 2 else "a threshold above 0")
    if rule == "lif":
        params["decay"] = values[0]
    if rule == "plif":
        params["w"] = ShapeOnly(())
    made["current"] = net.tap()
    net.neuron(rule, firing=firing, name=f"{name}.{rule}", **params)


_PARTS: tuple[tuple[str, Callable[[Net, str, Made, Sequence[str]], None]], ...] = (
    (r"conv([0-9]{1,4})(?:k([0-9]{1,2}))?(?:s([0-9]{1,2}))?(v?b?)", _conv),
    (r"fc([0-9]{1,4})", _fc),
    (r"(avg|max)([0-9]{1,2})", _pool),
    (r"norm", _norm),
    (r"res([0-9]{1,4})(?:s([0-9]{1,2}))?", _res),
    (r"eca([0-9]{1,2})", _eca),
    (r"cbam([0-9]{1,4})", _cbam),
    (r"back", _back),
    (rf"(lif>?|if>?|plif>?|leaky)(?:/{_NUMBER})(?:/{_NUMBER})?(?:/(zero|subtract))?", _neurons),
)


def _least(name: str, value: int, most: int) -> int:
    if not 1 <= value <= most:
        refuse(NAME, name, f"{value}", f"1 to {most:,}")
    return value


def network(blocks: Sequence[str], data: Data, *, name: str = NAME) -> Graph:
    """The network of blocks, each parts between `+`."""
    net = data.net(name)
    for place, block in enumerate(blocks, start=1):
        made: Made = {}
        words = block.split("+")
        if len(words) > MAX_PARTS:
            refuse(NAME, f"block {place}", f"{len(words)} parts", f"at most {MAX_PARTS}")
        for word in words:
            _part(net, f"block{place}", made, word.strip())
    if len(net.shape) > 1:
        net.global_pool(name="mean")
    return net.linear(data.classes, bias=True, name="classes").graph()


def _part(net: Net, name: str, made: Made, word: str) -> None:
    for pattern, build in _PARTS:
        if match := re.fullmatch(pattern, word, re.ASCII):
            build(net, name, made, [group or "" for group in match.groups()])
            return
    refuse(NAME, name, shorten(word), "conv32k3s1, fc64, avg2, max2, norm, res64, eca3, cbam16, back, or a neuron "
           "such as lif/0.5/1")


def graph(text: str) -> Graph:
    """The network that a notation names."""
    blocks, data = split(NAME, text, "BLOCKS:DATA", 1)
    return network(parts(NAME, "blocks", blocks), one_of(NAME, "data", data or "cifar10", DATA),
                   name=f"{NAME}:{text[:60]}")


FAMILY = Family(
    NAME, "Lists of blocks: SPENSER, ESNN, EMO-SNAS, MixedSNN, DESPINE, Membrane-NAS, PESNN, MONAS-ESNN, NAS-TinyML, "
    "MA-DARTS",
    "BLOCKS or BLOCKS:DATA, blocks between commas, parts between +, such as conv32k3+norm+lif/0.5/1", graph, {
        "esnn-example": Preset("conv32k3+norm+lif>/0.2/1,conv64k5s2+norm+lif>/0.2/0.7", "an example of this notation"),
        "spenser-example": Preset("conv32k3s2vb+max2+leaky/0.9/1/zero,fc64+leaky/0.8/0.75/subtract",
                                  "an example of this notation, with the parts of SPENSER's grammar"),
        "emo-snas-example": Preset("res64,res128s2,res256s2,avg2", "an example of this notation, of EMO-SNAS' units"),
    })
