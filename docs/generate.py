"""Regenerates the pages that are made from the code: `make docs`."""

from __future__ import annotations

from pathlib import Path

from snncompile.codes import CODES

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
        "entry of this page, which is made from `snncompile/codes.py` by `make docs`.",
    ]
    for block, title in BLOCKS.items():
        lines += ["", f"## {title}"]
        for code, entry in CODES.items():
            if code[3] == block:
                lines += ["", f"### {code}: {entry.title}", "", entry.explanation]
    return "\n".join(lines) + "\n"


PAGES = {"diagnostics.md": diagnostics}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (HERE / name).write_text(make(), encoding="utf-8")
