"""What both searches end with: candidates are trained, the winner is compiled to C and compared with the integers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from digits import Part
from trainable import Trainable, right, train

import snncompile as sc
from snncompile.inputs import integers
from snncompile.ir.graph import Graph
from snncompile.model import inside_differences

CALIBRATION = 200
"""Digits from which ranges of values are taken."""


@dataclass(frozen=True)
class Trained:
    """A candidate after training.

    Attributes:
        graph: the network with its weights.
        right: digits of the validation part that it decides as they are labelled.
        seconds: what the training took.
    """

    graph: Graph
    right: int
    seconds: float


def say(what: str, found: str, detail: str = "") -> None:
    print(f" {what:<11}{found:<30}{detail}", flush=True)


def trained(candidate: Graph, training: Part, validation: Part, epochs: int, seed: int) -> Trained:
    """A candidate, trained for a short time."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    start = time.perf_counter()
    net = Trainable(candidate, seed)
    train(net, training.x, training.y, epochs, seed)
    return Trained(net.graph(), right(net, validation.x, validation.y), time.perf_counter() - start)


def compiled(winner: Trained, training: Part, held_out: Part, output: Path) -> None:
    """Compile the winner to C, run the held-out digits, and compare every spike and membrane with the integers.

    Raises:
        AssertionError: where one differs.
    """
    model = sc.compile(winner.graph, "c99", calibration=training.x[:CALIBRATION])
    folder = model.save(output)
    exact = sc.run(winner.graph, held_out.x).outputs["output"].sum(1).argmax(1)
    wanted = sc.run(model.graph, integers(model.graph, held_out.x), record=True, states=True)
    result = model.run(held_out.x)
    decided = {"float": exact, "integers in C" if result.backend == "c" else "integers": result.decisions}
    for name, decisions in decided.items():
        correct = int((decisions == held_out.y).sum())
        say("accuracy", name, f"{correct} of {len(held_out.y)} held-out digits, {correct / len(held_out.y):.1%}")
    if result.backend == "c":
        assert inside_differences(wanted, model.trace(held_out.x)) == []
        assert np.array_equal(result.outputs, wanted.outputs["output"])
        say("exactness", "C = integer interpreter", "every spike and membrane, in every tick, of every held-out digit")
    else:
        say("exactness", "not shown", "no C compiler was found, so that the interpreter ran the integers")
    say("memory", f"{model.report.sizes_bytes['weights']:,} bytes of weights", f"C sources and a report in {folder}/")
