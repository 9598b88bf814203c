"""The colours of the report and of its drawings, by day, by night and in print, as variables of CSS."""

from __future__ import annotations

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "ink": "#1d2733", "soft": "#4a5866", "rule": "#d5dbe1", "card": "#f5f7f9", "page": "#fff", "mark": "#b4481e",
    "line": "#5b6b7c", "end": "#e3eefb", "end-line": "#3c6ea5", "cell": "#fdf0d5", "cell-line": "#b07d1e",
    "float": "#2f74c0", "integer": "#c9771a", "empty": "#eceff2",
}
"""Text, text of less weight, rules, cards, the page, what calls for attention; lines, ends and neurons of a drawing;
the float and the integer network; what is not in use."""
DARK: Mapping[str, str] = {
    "ink": "#e2e7ec", "soft": "#9aa8b5", "rule": "#36414c", "card": "#1d252d", "page": "#141a20", "mark": "#f08a5d",
    "line": "#8796a5", "end": "#1c3148", "end-line": "#6fa3dc", "cell": "#3d3118", "cell-line": "#d9a441",
    "float": "#6cabec", "integer": "#eba54c", "empty": "#222b34",
}


def variables() -> str:
    """The rules of CSS that define the colours for a page."""
    day, night = (" ".join(f"--{n}: {colour};" for n, colour in colours.items()) for colours in (LIGHT, DARK))
    return (f":root {{ color-scheme: light dark; {day} }}\n"
            f"@media (prefers-color-scheme: dark) {{ :root {{ {night} }} }}\n"
            f"@media print {{ :root {{ {day} }} }}")


def plain(style: str) -> str:
    """A style with colours in place of variables, which only browsers know; by day and by night."""
    day, night = style, style
    for name, colour in LIGHT.items():
        day, night = day.replace(f"var(--{name})", colour), night.replace(f"var(--{name})", DARK[name])
    return f"{day}\n@media (prefers-color-scheme:dark){{{night}}}"
