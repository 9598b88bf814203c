"""Parts that all drawings share: the document, its style, and text that names from a user's file cannot break."""

from __future__ import annotations

from html import escape

from snncompile.diagnostics import printable
from snncompile.report.palette import plain

FONT = 'font:12px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace'
CHAR = 7.4
"""The width of a character of that font, in pixels."""
STYLE = f"""\
.snnc{{{FONT};fill:var(--ink);background:var(--page)}}
.snnc .small,.snnc .axis{{fill:var(--soft)}}.snnc .axis{{font-size:10.5px}}.snnc .name{{font-weight:600}}
.snnc .marked{{fill:var(--mark)}}.snnc .title{{font-weight:600}}.snnc .grid{{stroke:var(--rule);fill:none}}"""
"""The style of every drawing, in the colours of `palette`."""


def document(kind: str, title: str, width: float, height: float, parts: list[str], style: str | None) -> str:
    """An SVG document.

    Args:
        kind: the class that its own style is for.
        parts: its elements.
        style: what `STYLE` lacks; None for a drawing within a page, which has the style of all.
    """
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="snnc {kind}" role="img" {size}>'
    styled = [] if style is None else ["<style>" + plain(f"{STYLE}\n{style}") + "</style>"]
    return "\n".join([head, f"<title>{xml(title)}</title>", *styled, *parts, "</svg>"]) + "\n"


def words(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    """Text at a place; `anchor` says which of its ends, or `middle`, lies there."""
    classes = f' class="{kind}"' if kind else ""
    ends = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text{classes} x="{x:.1f}" y="{y:.1f}"{ends}>{xml(content)}</text>'


def xml(text: str) -> str:
    """Text as it stands in XML, with what cannot be printed replaced."""
    return escape(one_line(text))


def one_line(text: str) -> str:
    return printable(text).replace("\n", "\N{REPLACEMENT CHARACTER}")


def short(text: str, limit: int) -> str:
    """Text of at most so many characters, all of which can be printed; an ellipsis stands for what was cut off."""
    clean = one_line(text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
