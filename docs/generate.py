"""Regenerates the pages, and the parts of pages, that are made from the code: `make docs`."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import snncompile
from snncompile.diagnostics.codes import CODES
from snncompile.frontends.torch.neurons import FRAMEWORKS, VERSIONS
from snncompile.frontends.torch.neurons.support import NeuronClass, NeuronTable, Unsupported
from snncompile.passes.pipeline_text import options_of
from snncompile.passes.table import PASSES
from snncompile.signatures import stub
from snncompile.targets.figures import value_of
from snncompile.targets.hardware_rules import HARDWARE_RULES
from snncompile.targets.sections import SECTIONS, Costs

HERE = Path(__file__).parent
BLOCKS = {
    "1": "Reading a file", "2": "The graph", "3": "Time", "4": "Numbers", "5": "Data given at run time",
    "6": "Emission, and the tools it needs", "7": "The command line",
}


def diagnostics() -> str:
    """The page of all codes."""
    lines = [
        "# Diagnostics",
        "",
        "Every problem the compiler reports carries a stable code, the place in your own names, what was found, what",
        "the limit is, and what to do. All problems of a step are reported together. `snnc explain SNN203` prints one",
        "entry of this page, which is made from `snncompile/diagnostics/codes.py` by `make docs`.",
    ]
    for block, title in BLOCKS.items():
        lines += ["", f"## {title}"]
        for code, entry in CODES.items():
            if code[3] == block:
                lines += ["", f"### {code}: {entry.title}", "", entry.explanation]
    return "\n".join(lines) + "\n"


FRAMEWORKS_INTRODUCTION = """\
# Neuron classes of the frameworks

Which neurons of snnTorch, SpikingJelly, sinabs and Norse a PyTorch module may hold, and which of their options.
*Exact* means that the graph gives the spikes the framework gives in float64, also where a membrane lands on its
threshold: every rule computes in the framework's own order of operations. Everything else ends in SNN104, which names
the module's path, its class and the option. `@snncompile.neuron_module` says what a class of your own computes, or one
of these in other words.

Frameworks usually run in float32, and so does `run(graph, x, dtype=numpy.float32)`. Measured on one machine, on 640
networks of two dense layers (eight classes; half of the networks with normal weights, half with decimal weights and
inputs, whose membranes often land on their thresholds), it gave the spikes of the frameworks' own float32 run, without
one difference in 1,280,000 values. The default, float64, differed from them in none with normal weights, and with
decimal ones in up to 2.1 % of the values of a class (IAF of sinabs): ties that rounding decides.

A class is recognised by its name; a subclass counts as its base where it overrides nothing but `__init__` and
`extra_repr`. The tables are made from `snncompile/frontends/torch/neurons` by `make docs`.
"""


def frameworks() -> str:
    """The page of the frameworks' neuron classes."""
    lines = [FRAMEWORKS_INTRODUCTION.rstrip()]
    for framework, table in FRAMEWORKS.items():
        lines += ["", f"## {framework} {VERSIONS[framework]}", "", "| option | | of |", "|---|---|---|"]
        lines += [f"| {option} | {verdict} | {', '.join(of)} |" for (option, verdict), of in _rows(table).items()]
    return "\n".join(lines) + "\n"


def _rows(table: NeuronTable) -> dict[tuple[str, str], list[str]]:
    """Each option with its verdict, and the classes it holds for; what is exact goes first."""
    classes: dict[tuple[str, str], list[str]] = {}
    for name, known in table.items():
        for row in _verdicts(known):
            classes.setdefault(row, []).append(f"`{name.rpartition('.')[2]}`")
    order = ("exact", "refused", "note")
    return dict(sorted(classes.items(), key=lambda row: order.index(row[0][1].partition(":")[0])))


def _verdicts(known: NeuronClass | Unsupported) -> list[tuple[str, str]]:
    if isinstance(known, Unsupported):
        return [("any", f"refused: {known.why}")]
    notes = [(known.note, "note")] if known.note else []
    return [*((o, "exact") for o in known.exact), *((r.option, f"refused: {r.why}") for r in known.refused), *notes]


def target_figures() -> str:
    """The page of everything that a description of a target can say, and of every rule that reads it."""
    lines = ["# Figures of a target", "",
             "What a [description of a target](targets.md) can say, made from `snncompile/targets/` by `make docs`.",
             "A figure that is left out says nothing, unless a value stands here for it."]
    sections = {**SECTIONS, "costs.NAME": Costs}
    for section, kind in sections.items():
        lines += ["", f"## [{section}]", "", (kind.__doc__ or "").strip().replace("\n    ", "\n"), "",
                  "| key | value | meaning |", "|---|---|---|"]
        for f in dataclasses.fields(kind):
            default = "" if f.default is None else f" ({str(f.default).lower()})"
            lines.append(f"| `{f.name}` | {value_of(f.metadata)}{default} | {f.metadata['what']} |")
    lines += ["", "## Rules", "", "| rule | code | reads | of each |", "|---|---|---|---|"]
    lines += [f"| {r.name} | {r.code} | `{r.figure}` | {r.scope} |" for r in HARDWARE_RULES.values()]
    return "\n".join(lines) + "\n"


BLOCK = re.compile(r"(<!-- table of passes, made by `make docs` -->\n).*?(<!-- end of table -->\n)", re.S)


def passes() -> str:
    """The page about passes, with its table of all passes made anew; the rest is written by hand."""
    lines = ["| pass | step | from, to | what it does |", "|---|---|---|---|"]
    lines += [f"| `{e.name}` | {e.step} | {e.kind.needs.name}, {e.kind.ensures.name} | {e.summary} |" for e in PASSES]
    lines += ["", "| pass | option | value |", "|---|---|---|"]
    lines += [f"| `{e.name}` | `{option}` | {value} |" for e in PASSES for option, value in options_of(e.kind).items()]
    table = "\n" + "\n".join(lines) + "\n\n"
    return BLOCK.sub(lambda m: m[1] + table + m[2], (HERE / "passes.md").read_text(encoding="utf-8"))


SPACES = re.compile(r"(<!-- table of spaces, made by `make docs` -->\n).*?(<!-- end of table -->\n)", re.S)
MOST_BROKEN = 3
"""Rules that are named for each space and target."""


def spaces() -> str:
    """The page about what targets accept of spaces, with its tables made anew from `spaces.json`."""
    lines = []
    for name, found in json.loads((HERE / "spaces.json").read_text(encoding="utf-8")).items():
        of = f"{found['size']:,} candidates" if found["size"] == found["judged"] else (
            f"{found['size']:,} candidates, of which {found['judged']:,} were drawn")
        dead = max(row["dead"] for row in found["targets"].values())
        rows = found["targets"].items()
        chips = any("chips" in row for _, row in rows)  # known only where costs were asked for
        lines += ["", f"## {name}", "", of + (f"; {dead:,} are no networks" if dead else ""), "",
                  "| target | can run |" + " chips |" * chips + " rules most often broken |",
                  "|---|---|" + "---|" * chips + "---|"]
        for target, row in rows:
            known = f" {row.get('chips', '')} |" if chips else ""
            lines.append(f"| {target} | {row['ok']:,} |{known} {_broken(row['broken'], found['judged'])} |")
    table = "\n".join(lines) + "\n\n"
    return SPACES.sub(lambda m: m[1] + table + m[2], (HERE / "spaces.md").read_text(encoding="utf-8"))


def _broken(counts: dict[str, int], of: int) -> str:
    """The rules that most candidates break, with their share."""
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_BROKEN]
    return ", ".join(f"{rule} {count / of:.0%}" for rule, count in most)


PAGES = {"diagnostics.md": diagnostics, "frameworks.md": frameworks, "target-figures.md": target_figures,
         "passes.md": passes, "spaces.md": spaces,
         "../snncompile/__init__.pyi": lambda: stub(snncompile._HOMES)}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (HERE / name).write_text(make(), encoding="utf-8")
