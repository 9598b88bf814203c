"""Names that are safe in C, in file names and in comments, made from names that users choose freely."""

from __future__ import annotations

import re
from collections.abc import Iterable


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


KEYWORDS = words("""
    asm auto bool break case char const continue default do double else enum extern false float for goto if inline int
    long main register restrict return short signed sizeof static struct switch true typedef union unsigned void
    volatile while
    alignas alignof constexpr nullptr static_assert thread_local typeof typeof_unqual
    and and_eq bitand bitor catch char16_t char32_t char8_t class co_await co_return co_yield compl concept const_cast
    consteval constinit decltype delete dynamic_cast explicit export friend mutable namespace new noexcept not not_eq
    operator or or_eq private protected public reinterpret_cast requires static_cast template this throw try typeid
    typename using virtual wchar_t xor xor_eq
    int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t size_t
    arm errno far i386 interface linux mips near pascal small stderr stdin stdout unix
""")
"""Words that an identifier must not be: keywords and types of C and of C++, whose programs may include the header, and
names that some compilers define as macros."""

PREFIXES = words("""
    blkcnt blksize char16 char32 char8 clock clockid dev div fpos gid id ino int16 int32 int64 int8 intmax intptr key
    ldiv lldiv locale max_align mode nlink off once pid ptrdiff sig_atomic size ssize time timer uid uint16 uint32
    uint64 uint8 uintmax uintptr wchar wctrans wctype wint
    alloca assert complex ctype endian fcntl features fenv float inttypes iso646 limits malloc math memory setjmp
    signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings tgmath threads
    uchar unistd
    all clean depend edit_cache example help install list_install_components package package_source rebuild_cache test
    project run total update
""")
"""Words that the files, type and functions of a network must not begin with, because `WORD_t` is a type of C, `WORD.h`
a header, `WORD` a target of CMake, or `WORD_NAME` a function of the emitted program."""
MAX_LENGTH = 40


def _resembling(name: str, fallback: str) -> str:
    """The name in lower-case ASCII letters, digits and underscores, a letter first; `fallback` if nothing is left."""
    text = re.sub(r"[^0-9a-zA-Z]+", "_", name).strip("_").lower()[:MAX_LENGTH].rstrip("_") or fallback
    return f"n{text}" if text[0].isdigit() else text


def identifier(name: str) -> str:
    """A C identifier that resembles a name, of at most MAX_LENGTH + 1 characters: "Conv 1" gives `conv_1`."""
    text = _resembling(name, "node")
    return f"n{text}" if text in KEYWORDS else text


def prefix(name: str) -> str:
    """An identifier with which the names of a network's files, type, functions and constants can begin."""
    text = _resembling(name, "net")
    return f"{text}_net" if text in PREFIXES or text.endswith(("_selftest", "_example")) else text


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """A distinct identifier for each of these distinct names, by name: "a b" and "a.b" give `a_b` and `a_b_2`."""
    by_name: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        base = identifier(name)
        fresh, k = base, 1
        while fresh in taken:
            k += 1
            fresh = f"{base}_{k}"
        taken.add(fresh)
        by_name[name] = fresh
    return by_name


def comment(name: str) -> str:
    """The name as it may stand in a comment of any language: nothing in it can end or continue the comment.

    Other characters are replaced by underscores, and at most 80 are kept.
    """
    return re.sub(r"[^0-9a-zA-Z _.,:+\-\[\]()>=]", "_", name)[:80]
