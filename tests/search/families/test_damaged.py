"""Damaged notations of every family: each is a network, or is refused with a diagnostic; nothing else is raised."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

import snncompile as sc
from snncompile.search.families.table import FAMILIES, candidate, family

ATOMS = ("0", "-1", "99", "4096", "99999999", "1e308", "NaN", "null", "[", "]", "{", '"', ":", ",", "-", "@", "+", "/",
         "\0", "\ud800", "٣", "²", "1" * 5000, "[" * 3000)


def damaged(text, draw):
    characters = list(text)
    for _ in range(draw.choice((1, 1, 2, 5))):
        first = draw.randrange(len(characters) + 1)
        last = first + draw.randrange(6)
        characters[first:last] = draw.choice((
            draw.choice(ATOMS), "", "".join(characters[first:last]) * draw.choice((2, 50))))
    return "".join(characters)


@pytest.mark.parametrize("name", FAMILIES)
def test_damaged_texts_are_refused_or_build(name):
    draw = random.Random(name)
    texts = [p.text for p in family(name).presets.values() if len(p.text) < 1500] or ["0:0"]
    for _ in range(25):
        text = damaged(draw.choice(texts), draw)
        with suppress(sc.CompileError):
            candidate(f"{name}:{text}")
