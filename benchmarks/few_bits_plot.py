"""Draw what few bits cost, from the figures that `benchmarks.few_bits --json` keeps.

    python -m benchmarks.few_bits_plot docs/few-bits-digits.json docs/few-bits-nmnist.json --out docs/few-bits.svg

For each network: samples that are right, and spikes of the last layer that are shared with the float network, over the
memory of weights and membranes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

COLOURS = {"nearest": "#b0413e", "calibrated": "#1f6f8b", "membranes": "#d99a2b"}
NAMES = {"nearest": "each weight to the nearest code", "calibrated": "weights rounded together",
         "membranes": "together, membranes of so many bits"}


def kind(row: dict[str, Any]) -> str:
    return "membranes" if "membrane_bits" in row["options"] else str(row["options"]["weight_rounding"])


def label(row: dict[str, Any]) -> str:
    bits, membrane = row["options"]["weight_bits"], row["options"].get("membrane_bits")
    return f"{bits}/{membrane}" if membrane else str(bits)


def draw(axes: Any, rows: list[dict[str, Any]], value: Any, title: str) -> None:
    for name, colour in COLOURS.items():
        points = sorted((r["kib"], 100 * value(r), label(r)) for r in rows if kind(r) == name and label(r) != "ternary")
        if points:
            x, y, labels = zip(*points, strict=True)
            axes.plot(x, y, "o" if name == "membranes" else "o-", color=colour, label=NAMES[name])
            for at in zip(x, y, labels, strict=True):
                below = -13 if name == "nearest" else 6
                axes.annotate(at[2], at[:2], textcoords="offset points", xytext=(0, below), ha="center", color=colour)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("KiB of weights and membranes")
    axes.grid(alpha=0.3)
    axes.margins(0.08, 0.12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    matplotlib.rcParams.update({"svg.hashsalt": "few-bits", "font.size": 9})
    figure, grid = pyplot.subplots(len(options.figures), 2, figsize=(10, 4 * len(options.figures)), squeeze=False)
    for row, path in zip(grid, options.figures, strict=True):
        found = json.loads(path.read_text())
        last = list(found["rows"][0]["shared"])[-1]
        draw(row[0], found["rows"], lambda r: r["right"] / r["samples"], f"{found['network']}: right, %")
        draw(row[1], found["rows"], lambda r, last=last: r["shared"][last],
             f"{found['network']}: spikes of the last layer shared, %")
        row[0].axhline(100 * found["rows"][0]["float_right"] / found["rows"][0]["samples"], color="grey", ls=":")
    grid[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(options.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
