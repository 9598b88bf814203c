"""Pages in headless Chromium: what a reader sees at a width, by day or by night, measured in the page itself."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCRIPT = (Path(__file__).parent / "look.js").read_text(encoding="utf-8")


def seen(pages: Mapping[str, str], widths: list[int], night: bool, folder: Path
         ) -> dict[tuple[str, int], dict[str, Any]]:
    """What each page looks like at each width, by name and width.

    Returns:
        For each: by how many pixels the page is wider than its window, the elements that are cut off, the words that
        are broken, the texts of too little contrast (below 4.5), the lightness of the page and of the boxes of
        pictures, the heights of the texts in pictures, and the pictures with their widths.
    """
    frames = "".join(f'<iframe id="f{i}" style="border:0;width:{width}px;height:9000px" srcdoc="{html.escape(text)}">'
                     "</iframe>" for i, (text, width) in enumerate((t, w) for t in pages.values() for w in widths))
    whole = (f"<!doctype html><body style='margin:0'>{frames}<pre id='found'></pre><script>{SCRIPT}\nonload = () => {{"
             "const found = [...document.querySelectorAll('iframe')].map(look);"
             "document.getElementById('found').textContent = JSON.stringify(found); }</script>")
    path = folder / f"frames-{night}.html"
    path.write_text(whole, encoding="utf-8")
    done = subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
         f"--blink-settings=preferredColorScheme={0 if night else 1}", "--window-size=1400,1000", "--dump-dom",
         path.as_uri()], capture_output=True, timeout=120, check=True)
    text = re.search(r'<pre id="found">(.*?)</pre>', done.stdout.decode(), re.DOTALL)
    assert text, done.stdout.decode()[-500:]
    found = json.loads(html.unescape(text[1]))
    return dict(zip([(n, w) for n in pages for w in widths], found, strict=True))
