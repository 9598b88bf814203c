"""What the linter cannot say of the package's structure: sizes of files and functions, and circles of imports.

Run by `make lint`. Prints what is wrong, a line each, and ends with exit code 1 where there is something.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "snncompile"
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
CIRCLES = ({"snncompile.ir.graph", "snncompile.ir.text"},)
"""Modules that may import each other: a graph prints itself."""


def module_name(path: Path) -> str:
    parts = ["snncompile", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, known: set[str]) -> Iterator[str]:
    """The modules of the package that a file imports, anywhere in it but for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ({n if n in known else node.module for n in names} & known)
        elif isinstance(node, ast.Import):
            yield from ({alias.name for alias in node.names} & known)
        else:
            yield from imports(node, known)


def circles(graph: dict[str, set[str]]) -> Iterator[set[str]]:
    """The sets of modules that reach each other."""
    reach: dict[str, set[str]] = {}
    for start in graph:
        pending, seen = [start], set[str]()
        while pending:
            fresh = graph[pending.pop()] - seen
            seen |= fresh
            pending += fresh
        reach[start] = seen
    done: set[str] = set()
    for name in graph:
        members = {other for other in reach[name] if name in reach[other]}
        if members and name not in done:
            done |= members
            yield members


def function_lengths(tree: ast.AST) -> Iterator[tuple[str, int, int]]:
    """The name, first line and length of every function."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def problems() -> Iterator[str]:
    paths = {module_name(p): p for p in sorted(PACKAGE.rglob("*.py"))}
    graph: dict[str, set[str]] = {}
    for name, path in paths.items():
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        graph[name] = set(imports(tree, set(paths))) - {name}
        if text.count("\n") > MAX_FILE_LINES:
            yield f"{path}: {text.count(chr(10))} lines, at most {MAX_FILE_LINES}"
        yield from (f"{path}:{line}: function {function} has {length} lines, at most {MAX_FUNCTION_LINES}"
                    for function, line, length in function_lengths(tree) if length > MAX_FUNCTION_LINES)
    for circle in circles(graph):
        if circle not in CIRCLES:
            yield f"imports go in a circle: {', '.join(sorted(circle))}"


def main() -> int:
    found = list(problems())
    trees = [ast.parse(p.read_text(encoding="utf-8")) for p in PACKAGE.rglob("*.py")]
    lengths = sorted(length for tree in trees for _, _, length in function_lengths(tree))
    print("\n".join(found) or f"structure: {len(lengths)} functions, median {lengths[len(lengths) // 2]} lines, "
          f"90th percentile {lengths[len(lengths) * 9 // 10]}, longest {lengths[-1]}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
