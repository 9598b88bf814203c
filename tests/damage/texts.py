"""Damage to texts: TOML, JSON, CSV and the text form of graphs. Tokens and lines are lost, doubled and replaced."""

from __future__ import annotations

import json
import random
import re
from typing import Any

TOKEN = re.compile(r"[\w.+-]+|\"[^\"\n]*\"|\s+|.", re.S)
ATOMS = ("0", "-1", "1", "255", "99999999", "1e308", "1e400", "-1e-400", "nan", "NaN", "inf", "-Infinity", "null",
         "None", "true", "False", "[", "]", "{", "}", "(", ")", "[]", "{}", '""', '"', "'", '"""', ":", ",", "=", ".",
         "@", "#", "->", "\0", "\t", "\n", "\r\n", "\u202e", "٣", "²", "é" * 3, "\\u0000", "\\ud800", "0x10", "1_000",
         "1979-05-27T07:32:00Z", "inf,inf", "9" * 400, "9" * 4400, "1" * 5000, "-" * 50, "[" * 3000, "{" * 3000,
         "[" * 200_000, '{"a":' * 100_000, "2" * 20, "a=" * 2000, "a." * 5000 + "a=1", "x" * 100_000, "/../" * 4,
         "%s%n")


def damaged(text: str, draw: random.Random) -> bytes:
    """The text with one to four kinds of damage, as UTF-8, or sometimes not quite."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        text = _lines(text, draw) if draw.random() < 0.3 else _tokens(text, draw)
    return text.encode("utf-8", "surrogatepass" if draw.random() < 0.5 else "replace")[:1 << 24]


def _tokens(text: str, draw: random.Random) -> str:
    tokens = TOKEN.findall(text) or [""]
    at, size = draw.randrange(len(tokens)), draw.choice((1, 1, 2, 6))
    kind = draw.randrange(6)
    old = tokens[at:at + size]
    swapped = draw.choice(tokens)
    tokens[at:at + size] = ([draw.choice(ATOMS)], [draw.choice(ATOMS)], [], old * draw.choice((2, 60)), [swapped],
                            [*old, draw.choice(ATOMS)])[kind]
    return "".join(tokens)


def _lines(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    at = draw.randrange(len(lines))
    other = draw.choice(lines)
    lines[at:at + draw.choice((0, 1, 3))] = draw.choice(([], [other], [lines[at]] * 2, [other] * 400))
    return "\n".join(lines)


VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 2, 1 << 31, 1 << 64, 10 ** 400, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "0",
    "\0", "x" * 100_000, "\ud800", "../../etc/passwd", [], [[]], [None], [1, "a", {}], {}, {"": {}}, {"a": [1]})


def altered_json(value: Any, draw: random.Random) -> Any:
    """A JSON value in which one thing, at any depth, was replaced, renamed, lost or added."""
    places = list(_places(value))
    where = draw.choice(places)
    if not where:
        return draw.choice(VALUES)
    holder = value
    for key in where[:-1]:
        holder = holder[key]
    new = draw.choice((*VALUES, _deep(draw), json.loads(json.dumps(holder))))
    action = draw.randrange(6)
    if action == 0:
        del holder[where[-1]]
    elif action == 1 and isinstance(holder, dict):
        holder[draw.choice(("", "x", "../a", "a/b", "\0", "__proto__", "x" * 5000))] = holder.pop(where[-1])
    elif action == 2 and isinstance(holder, dict):
        holder[draw.choice(("more", "a" * 300))] = new
    else:
        holder[where[-1]] = new
    return value


def _places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _places(item, (*path, key))


def _deep(draw: random.Random) -> Any:
    value: Any = 0
    for _ in range(draw.choice((5, 500))):
        value = [value] if draw.random() < 0.5 else {"a": value}
    return value


def in_json(value: Any, draw: random.Random) -> str:
    """The text of a JSON value; now and then with a number of many digits or brackets that never end."""
    text = json.dumps(value, ensure_ascii=draw.random() < 0.5)
    return damaged(text, draw).decode("utf-8", "replace") if draw.random() < 0.2 else text
