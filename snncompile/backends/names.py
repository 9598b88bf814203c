"""Names that are safe in C, in file names and in comments, whatever the user's were."""

from __future__ import annotations

import re
from collections.abc import Iterable

KEYWORDS = frozenset({
    "asm", "auto", "bool", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum",
    "extern", "false", "float", "for", "goto", "if", "inline", "int", "long", "main", "register", "restrict", "return",
    "short", "signed", "sizeof", "static", "struct", "switch", "true", "typedef", "union", "unsigned", "void",
    "volatile", "while",
})
MAX_LENGTH = 40


def identifier(name: str, fallback: str = "net") -> str:
    """A C identifier that resembles the name: ASCII letters, digits and underscores, lower case, not a keyword."""
    text = re.sub(r"[^0-9a-zA-Z]+", "_", name).strip("_").lower()[:MAX_LENGTH].rstrip("_")
    if not text:
        return fallback
    return f"n{text}" if text[0].isdigit() or text in KEYWORDS else text


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """Distinct identifiers for distinct names."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        base = identifier(name, "node")
        fresh, k = base, 1
        while fresh in taken:
            k += 1
            fresh = f"{base}_{k}"
        taken.add(fresh)
        found[name] = fresh
    return found


def comment(name: str) -> str:
    """The name as it may stand in a comment of any language: nothing that ends or continues one."""
    return re.sub(r"[^0-9a-zA-Z _.,:+\-\[\]()>=]", "_", name)[:80]
