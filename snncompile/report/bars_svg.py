"""Bars for each population: one panel for each measure, so that a phone shows them below each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from snncompile.report.svg import CHAR, document, short, words

WIDTH, ROW, TOP = 262.0, 21.0, 26.0
NAME_CHARS = 12
MOST = 100
"""The most populations that get a bar."""
STYLE = """\
.snnc-bars .bar{fill:var(--integer)}.snnc-bars .second{fill:var(--float)}.snnc-bars .rest{fill:var(--empty)}"""


@dataclass(frozen=True)
class Bar:
    """The bar of a population.

    Attributes:
        parts: the lengths of its parts, from the left, in the unit of the panel; none where nothing is known.
        text: the figure at its end.
    """

    name: str
    parts: tuple[float, ...]
    text: str


def panel(title: str, bars: Sequence[Bar], whole: float | None = None) -> str:
    """A panel of bars.

    Args:
        whole: the length that fills the panel; None for the longest bar.
    """
    shown = bars[:MOST]
    longest = whole or max((sum(b.parts) for b in shown), default=0.0) or 1.0
    left = CHAR * max((min(len(b.name), NAME_CHARS) for b in shown), default=0) + 10
    right = CHAR * max((len(b.text) for b in shown), default=0) + 10
    room = WIDTH - left - right
    parts = [words(0, 14, title, "title")]
    for i, bar in enumerate(shown):
        y = TOP + i * ROW
        parts.append(f"<g>{words(left - 8, y + 12, short(bar.name, NAME_CHARS), '', 'end')}"
                     f'<rect class="rest" x="{left:.1f}" y="{y + 1:.1f}" width="{room:.1f}" height="14" rx="2"/>')
        x = left
        for part, kind in zip(bar.parts, ("bar", "second"), strict=False):
            wide = room * min(part / longest, 1.0)
            parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y + 1:.1f}" width="{wide:.2f}" height="14" rx="2"/>')
            x += wide
        parts.append(words(WIDTH, y + 12, bar.text, "small", "end") + "</g>")
    height = TOP + len(shown) * ROW
    if len(bars) > MOST:
        parts.append(words(0, height + 12, f"and {len(bars) - MOST:,} more", "small"))
        height += ROW
    return document("snnc-bars", title, WIDTH, height, parts, None)
