"""What a shell completes when the user presses the tabulator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path


def beginning(words: Iterable[str]) -> Callable[[str], list[str]]:
    """A function that gives those of some words that begin as the user has typed."""
    known = tuple(words)
    return lambda incomplete: [word for word in known if word.startswith(incomplete)]


def targets(incomplete: str) -> list[str]:
    """Names of targets, and files that describe one."""
    from snncompile.targets.load import NAMES

    return [*beginning(NAMES)(incomplete), *_files(incomplete, (".toml",))]


def parts(incomplete: str) -> list[str]:
    """Parts of a compilation after which the graph can be printed."""
    from snncompile.report.steps import GRAPHS

    return beginning(GRAPHS)(incomplete)


def codes(incomplete: str) -> list[str]:
    """Codes of diagnostics."""
    from snncompile.diagnostics.codes import CODES

    return beginning(CODES)(incomplete)


def sources(incomplete: str) -> list[str]:
    """Files that hold a network."""
    from snncompile.frontends import READERS

    return _files(incomplete, (*READERS, ".py"))


def _files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    """Folders, and files with one of some suffixes, whose paths begin as typed."""
    folder = incomplete.rpartition("/")[0]
    try:
        inside = sorted(Path(folder or ("/" if incomplete.startswith("/") else ".")).iterdir())
    except OSError:
        return []
    lead = f"{folder}/" if "/" in incomplete else ""
    found = [f"{lead}{p.name}/" if p.is_dir() else f"{lead}{p.name}" for p in inside
             if p.is_dir() or p.suffix.lower() in suffixes]
    return [name for name in found if name.startswith(incomplete)
            and (not name.removeprefix(lead).startswith(".") or incomplete.removeprefix(lead).startswith("."))]
