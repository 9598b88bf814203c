"""What each target accepts of each space of the families, and of the published networks: `python -m tests.long_spaces`.

Writes `docs/spaces.json`, from which `make docs` makes the page. Spaces that stand there already are left out, so that
the file is to be removed first where numbers may have changed. Chains are judged whole, and so are spaces of up to
WHOLE candidates and those of EXACT; of others a sample is judged. It takes half an hour.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import snncompile as sc
from snncompile.diagnostics import CompileError
from snncompile.search import Judged, screen
from snncompile.search.chain import Chain
from snncompile.search.families.table import FAMILIES, family
from snncompile.search.space import Space

TARGETS = ("c99", "loihi1", "loihi2", "speck2f", "truenorth", "xylo-a2")
WHOLE, SAMPLE, CHECKED = 1_000, 300, 2
EXACT = ("spikenas-bench:cifar10",)
"""Spaces of which every candidate is judged, and told how many chips it takes, with as many chips as it takes too."""
FILE = Path(__file__).parents[1] / "docs" / "spaces.json"


def spaces() -> Iterator[tuple[str, Space]]:
    """The spaces of all families, as the command line names them. A space that several families share comes once."""
    seen = set()
    for name in FAMILIES:
        for which, make in family(name).spaces.items():
            space = make()
            if (key := (tuple(space.choices.items()), space.name)) not in seen:
                seen.add(key)
                yield f"{name}:{which}", space


def row(judged: Judged) -> dict[str, Any]:
    """How many candidates can run, how many are no networks, and how many break each rule."""
    broken = dict(zip(judged.rules, judged.broken.sum(0).tolist(), strict=True))
    found = {"ok": int(judged.ok.sum()), "dead": int((~judged.valid).sum()),
             "broken": {name: count for name, count in broken.items() if count}}
    if "chips" in judged.costs:
        chips = judged.costs["chips"][judged.valid]
        found["chips"] = f"{chips.min()} to {chips.max()}"
    return found


def of_space(name: str, space: Space) -> dict[str, Any]:
    sample = None if isinstance(space, Chain) or space.size <= WHOLE or name in EXACT else SAMPLE
    whole = name in EXACT
    targets = (*TARGETS, "loihi2 chips=none") if whole else TARGETS
    found = screen(space, targets, sample=sample, margins=False, cost=whole, checked=CHECKED)
    return {"size": space.size, "judged": len(found.indices), "targets": {n: row(j) for n, j in found.targets.items()}}


def of_presets() -> dict[str, Any]:
    """The same for the published networks of all families, each once."""
    graphs = {}
    for name in FAMILIES:
        chosen = family(name)
        for text in {preset.text for preset in chosen.presets.values()}:
            try:
                graph = chosen.graph(text).replace(name="", meta={})  # some differ only in their ticks
            except CompileError:
                continue  # products of spikes
            graphs.setdefault((FAMILIES[name], str(graph)), graph)
    rows = {}
    for target in TARGETS:
        verdicts = [sc.check(graph, target, cost=False) for graph in graphs.values()]
        broken = Counter(rule for verdict in verdicts for rule in {v.rule for v in verdict.violations})
        rows[target] = {"ok": sum(v.ok for v in verdicts), "dead": 0, "broken": dict(broken)}
    return {"size": len(graphs), "judged": len(graphs), "targets": rows}


def main() -> int:
    found = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    for name, space in spaces():
        if name not in found:
            start = time.perf_counter()
            found[name] = of_space(name, space)
            _write(found)
            print(name, {t: r["ok"] for t, r in found[name]["targets"].items()}, f"{time.perf_counter() - start:.0f} s",
                  flush=True)
    found["published networks"] = of_presets()
    _write(found)
    return 0


def _write(found: dict[str, Any]) -> None:
    FILE.write_text(json.dumps(found, indent=1, default=_plain) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


if __name__ == "__main__":
    sys.exit(main())
