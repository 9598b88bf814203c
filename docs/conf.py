"""The documentation as a site: `make site`. Every page is a Markdown file of this folder; the index names them all."""

from __future__ import annotations

import re
from typing import Any

import snncompile

project, author = "snncompile", "the snncompile developers"
version = release = snncompile.__version__
extensions = ["myst_parser"]
exclude_patterns = ["notebooks/*"]
html_theme = "furo"
html_title = f"snncompile {release}"
html_copy_source = html_show_copyright = False
myst_heading_anchors = 4
"""Headings that can be linked, by depth, with the anchors that GitHub gives them."""
LINK = re.compile(r"\]\(([\w./-]+)\.md(?:#[\w-]*)?\)")
OUTSIDE = re.compile(r"\[([^\]]*)\]\((?:\.\./)+((?!decisions|docs)[\w][\w./-]*)\)")


def _prepared(app: Any, name: str, source: list[str]) -> None:
    """Name files of the repository that are no pages, and give the index a table of contents."""
    if not name.startswith("decisions/"):
        source[0] = OUTSIDE.sub(r"\1 (`\2` in the repository)", source[0])
    if name == "index":
        source[0] += _contents(source[0])


def _contents(index: str) -> str:
    """The headings of the index, each with the pages that it links, in a form that is not shown."""
    trees = []
    for section in index.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        pages = [page for page in dict.fromkeys(LINK.findall(text)) if not page.startswith("..")]
        trees.append("\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```"]))
    return "\n" + "\n\n".join(trees) + "\n"


def setup(app: Any) -> None:
    app.connect("source-read", _prepared)
