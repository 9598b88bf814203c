"""Search links backward in time with the evolution of BCNAS-SNN, train the best network and compile it to C.

    python examples/search/bcnas.py [--iterations 6] [--epochs 8] [--output build/bcnas]

The backbone is a small residual network with five layers of neurons, for scikit-learn's digits. A candidate has up to
two links that carry the spikes of a layer, a tick late, to itself or to a layer before it. Every candidate has to run
on one Loihi 2, each of its ticks taking three of the chip's, and within 32 KiB on a microcontroller. `check` says so
before anything is run; the others are ranked by the N-score of the paper on spikes of the untrained network, and the
best few are trained.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from digits import TICKS, frames
from finish import compiled, say, trained

import snncompile as sc
from snncompile.diagnostics import fail
from snncompile.ir.graph import Graph
from snncompile.search.families.backbones import Data, residual, whole
from snncompile.search.families.bcnas import Link, network
from snncompile.search.numbers import with_random_numbers
from snncompile.search.scores import n_score, record_spikes

BACKBONE, LAYERS = whole(residual(8, ((16, 1), (32, 1)))), 5
DATA = Data((1, 8, 8), 10)
CHIP, SLOWER = "loihi2", 3
KIB = 32.0
FIRST, KEPT, CHILDREN = 30, 10, 20
"""Candidates at first, those that are kept, and the children of an iteration; 2,000, 10 and 20 in the paper."""
MUTATED, CROSSED, SHIFT = 0.2, 0.5, 2
"""How often a link changes, how often a child has two parents, and by how many layers an end of a link moves."""
SCORED, TRAINED = 32, 3
"""Digits on which candidates are scored, and candidates that are trained."""
Links = tuple[Link, ...]


@dataclass
class Judge:
    """Whether candidates can run, and what was found so far.

    Attributes:
        reasons: how many candidates broke each rule.
        scores: the N-score of each candidate that can run, by its links.
        seconds: what the checks of all candidates took.
    """

    x: np.ndarray
    reasons: Counter[str] = field(default_factory=Counter)
    rejected: set[Links] = field(default_factory=set)
    scores: dict[Links, float] = field(default_factory=dict)
    seconds: float = 0.0

    def runs(self, links: Links) -> bool:
        """Whether a candidate can run; it is checked and scored once."""
        if links not in self.rejected and links not in self.scores:
            start = time.perf_counter()
            broken = reasons_against(candidate(links))
            self.seconds += time.perf_counter() - start
            if broken:
                self.rejected.add(links)
                self.reasons.update(broken)
            else:
                untrained = with_random_numbers(candidate(links), seed=0)
                self.scores[links] = n_score(record_spikes(untrained, self.x))
        return links in self.scores

    def best(self, count: int) -> list[Links]:
        return sorted(self.scores, key=lambda links: (-self.scores[links], links))[:count]


def candidate(links: Links) -> Graph:
    return network(BACKBONE, links, DATA, name=f"bcnas {list(links)}")


def reasons_against(graph: Graph) -> set[str]:
    """The rules that a candidate breaks: on the chip, or the memory of the microcontroller."""
    verdicts = (sc.check(graph, CHIP, dilate=SLOWER, cost=False), sc.check(graph, "c99", budget={"resident_kib": KIB}))
    return {violation.rule for verdict in verdicts for violation in verdict.violations}


def link(source: int, target: int) -> Link:
    """The link between two layers, the later one first."""
    return max(source, target), min(source, target)


def drawn(rng: random.Random) -> Links:
    """A candidate with two links at random, which may be the same one."""
    return tuple(sorted({link(rng.randint(1, LAYERS), rng.randint(1, LAYERS)) for _ in range(2)}))


def child(parents: list[Links], rng: random.Random) -> Links:
    """A parent, or links of two parents; then each link may move one end by up to SHIFT layers."""
    links = rng.choice(parents)
    if rng.random() < CROSSED:
        both = sorted({*links, *rng.choice(parents)})
        links = tuple(rng.sample(both, min(2, len(both))))
    return tuple(sorted({moved(one, rng) if rng.random() < MUTATED else one for one in links}))


def moved(ends: Link, rng: random.Random) -> Link:
    which, by = rng.randrange(2), rng.choice([n for n in range(-SHIFT, SHIFT + 1) if n])
    changed = [end + by * (place == which) for place, end in enumerate(ends)]
    return link(*(min(max(end, 1), LAYERS) for end in changed))


def evolve(judge: Judge, iterations: int, seed: int) -> int:
    """The evolution of the paper. Returns how many candidates were proposed, repeated ones among them."""
    rng = random.Random(seed)
    proposed = [drawn(rng) for _ in range(FIRST)]
    for links in proposed:
        judge.runs(links)
    for _ in range(iterations):
        parents = judge.best(KEPT)
        if not parents:
            fail("SNN420", "search", f"none of {len(proposed)} candidates can run", "one that can", "a larger budget")
        children = [child(parents, rng) for _ in range(CHILDREN)]
        for links in children:
            judge.runs(links)
        proposed += children
    return len(proposed)


def main() -> None:
    options = _options()
    training, validation, held_out = frames("real")
    judge = Judge(training.x[:SCORED])
    proposed = evolve(judge, options.iterations, options.seed)
    different = len(judge.scores) + len(judge.rejected)
    say("proposed", f"{proposed} candidates", f"{different} different ones")
    say("rejected", f"{len(judge.rejected)} of {different}", f"by check, in {judge.seconds:.1f} s")
    for reason, count in judge.reasons.most_common():
        say("", reason, f"{count} candidates")
    found = [trained(candidate(links), training, validation, options.epochs, options.seed)
             for links in judge.best(TRAINED)]
    best = max(found, key=lambda one: one.right)
    seconds = float(np.mean([one.seconds for one in found]))
    say("trained", f"{len(found)} candidates", f"{seconds:.0f} s each; the {len(judge.rejected)} rejected ones would "
        f"have taken {len(judge.rejected) * seconds / 60:.0f} min")
    say("winner", best.graph.name, f"{best.right} of {len(validation.y)} digits of the validation part")
    packed = sc.check(best.graph, CHIP, dilate=SLOWER, packed=True)
    cores = f"{packed.cores} core{'s' * (packed.cores != 1)}"
    say("", f"{CHIP}: {cores}", f"{SLOWER} ticks of the chip for each of {TICKS}")
    compiled(best, training, held_out, options.output)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("build/bcnas"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
