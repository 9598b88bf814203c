"""How fast candidates are judged: one by one, from graphs of a space, and from the tables of a chain.

    python -m benchmarks.search

Times are processor time of one thread, the best of several runs, beside that of a million additions in a Python loop on
the same core, so that figures of different machines can be compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import snncompile as sc
from snncompile.ir.graph import Graph
from snncompile.ir.ops import Input
from snncompile.search import Chain, Net, Space, screen
from snncompile.search.families.stdano import space as stdano

TARGETS = ("c99", "loihi1", "loihi2", "speck2f", "truenorth")


def resnet18(widths: tuple[int, ...] = (64, 128, 256, 512), kernel: int = 3, bits: int | None = None) -> Graph:
    """The variant of ResNet-18 for small images, without weights."""
    net = Net((3, 32, 32)).conv(widths[0], 3).norm().lif(0.5)
    for stage, width in enumerate(widths):
        for stride in (2 if stage else 1, 1):
            entry = net.tap()
            net.conv(width, kernel, stride=stride, bits=bits).norm().lif(0.5).conv(width, kernel, bits=bits).norm()
            here = net.tap()
            if entry.shape != here.shape:
                entry = net.at(entry).conv(width, 1, stride=stride).norm().tap()
            net.at(here).add(entry).lif(0.5)
    return net.global_pool().linear(10, bias=True).graph()


def layer(net: Net, width: Any = (16, 32, 64, 128), kernel: Any = (3, 5), neuron: Any = ("lif", "if"),
          stride: Any = (1, 2, 3)) -> None:
    """A layer with 48 combinations of its choices."""
    net.conv(width, kernel, stride=stride).norm().neuron(neuron)


def head(net: Net) -> None:
    net.linear(10).lif(0.5)


CHAIN = Chain(Input((2, 64, 64)), [layer] * 8, head)
GRAPHS = Space("resnet18", {"widths": [tuple(w << i for i in range(4)) for w in (8, 16, 24, 32, 48, 64)],
                            "kernel": (1, 3, 5), "bits": (2, 3, 4, 6, 8)}, resnet18)


def seconds(work: Callable[[], Any], runs: int = 1) -> float:
    """The least processor time of a piece of work."""
    taken = []
    for _ in range(runs):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def loop() -> int:
    total = 0
    for i in range(1_000_000):
        total += i
    return total


def main() -> None:
    print(f"a million additions: {1e3 * seconds(loop, 10):.1f} ms\n")
    graph = resnet18()
    for name in TARGETS:
        target = sc.load_target(name)
        whole = seconds(lambda: sc.check(graph, target), 30)
        quick = seconds(lambda: sc.check(resnet18(), target, cost=False), 30)
        print(f"check of ResNet-18 on {name}: {1e3 * whole:.1f} ms; built by Net and without cost {1e3 * quick:.1f} ms")
    screen(GRAPHS, "loihi2", cost=False, checked=0)  # operators and rows that are new are made once
    taken = seconds(lambda: screen(GRAPHS, "loihi2", cost=False, checked=0), 3)
    print(f"\nscreen of {GRAPHS.size} graphs of ResNet-18 on loihi2: {GRAPHS.size / taken:.0f} a second")
    for name in TARGETS:
        few = seconds(lambda: screen(CHAIN, name, sample=1, cost=False, checked=0))
        for margins in (True, False):
            many = seconds(lambda: screen(CHAIN, name, sample=2_000_000, cost=False, margins=margins, checked=0))
            print(f"chain of 8 layers x 48 choices on {name}, {'margins' if margins else 'reasons'}: "
                  f"tables in {few:.1f} s, then {2 / max(many - few, 1e-9):.2f} million a second")
    for name in TARGETS:
        taken = seconds(lambda: screen(stdano("resnet18"), name, margins=False, cost=False, checked=0))
        print(f"all {3**17:,} networks of ST-DANO on ResNet-18, {name}: {taken:.2f} s")


if __name__ == "__main__":
    main()
