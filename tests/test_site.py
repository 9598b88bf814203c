"""The documentation as a site: it builds without a warning, and a link that leads nowhere is one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent
pytest.importorskip("sphinx")
pytest.importorskip("myst_parser")
pytest.importorskip("furo")


def build(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", source, out],
                          cwd=ROOT, capture_output=True, text=True, check=False)


class Links(HTMLParser):
    """The links of a page, and the places in it that can be linked."""

    def __init__(self, text: str):
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.links |= {known[n] for n in ("href", "src") if known.get(n)}
        self.places |= {known[n] for n in ("id", "name") if known.get(n)}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> dict[Path, Links]:
    out = tmp_path_factory.mktemp("site")
    done = build(ROOT / "docs", out)
    assert done.returncode == 0, done.stderr
    return {p: Links(p.read_text(encoding="utf-8")) for p in out.rglob("*.html")}


def test_every_page_of_the_documentation_is_a_page_of_the_site(site):
    names = {p.name for p in site}
    assert {f"{p.stem}.html" for p in (ROOT / "docs").rglob("*.md")} <= names
    start = next(links for path, links in site.items() if path.name == "index.html")
    for page in (ROOT / "docs").rglob("*.md"):
        there = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert there == "index.html" or there in start.links, there


def test_every_link_within_the_site_leads_somewhere(site):
    for path, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                assert parts.scheme in ("https", "http", "mailto", "data"), link
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), f"{path.name}: {link}"
            if parts.fragment and target in site and target.suffix == ".html":
                assert unquote(parts.fragment) in site[target].places, f"{path.name}: {link}"


@pytest.mark.parametrize("broken", ["[x](nowhere.md)", "[x](cli.md#no-such-heading)"])
def test_a_link_that_leads_nowhere_fails_the_build(broken, tmp_path):
    source = tmp_path / "docs"
    source.mkdir()
    shutil.copy(ROOT / "docs" / "conf.py", source)
    (source / "index.md").write_text(f"# Index\n\n## Pages\n\n[cli](cli.md) {broken}\n", encoding="utf-8")
    (source / "cli.md").write_text("# The command line\n\n## A heading\n", encoding="utf-8")
    done = build(source, tmp_path / "out")
    assert done.returncode != 0
    assert re.search("xref_missing|xref_not_found", done.stderr)
