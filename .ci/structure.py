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


def lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def function_lengths(tree: ast.AST) -> Iterator[tuple[str, int, int, int]]:
    """The name and first line of every function; its length in lines, with and without its docstring."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            described = ast.get_docstring(node, clean=False) is not None
            yield node.name, node.lineno, lines(node), lines(node) - (lines(node.body[0]) if described else 0)


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
                    for function, line, length, _ in function_lengths(tree) if length > MAX_FUNCTION_LINES)
    for circle in circles(graph):
        if circle not in CIRCLES:
            yield f"imports go in a circle: {', '.join(sorted(circle))}"


def summary(words: str, lengths: list[int]) -> str:
    ordered = sorted(lengths)
    return (f"{words}: median {ordered[len(ordered) // 2]} lines, 90th percentile {ordered[len(ordered) * 9 // 10]}, "
            f"longest {ordered[-1]}")


def main() -> int:
    wrong = list(problems())
    trees = [ast.parse(p.read_text(encoding="utf-8")) for p in PACKAGE.rglob("*.py")]
    lengths = [measured for tree in trees for measured in function_lengths(tree)]
    print("\n".join(wrong) or f"{summary(f'structure, {len(lengths)} functions', [n[2] for n in lengths])}\n"
          f"{summary('without docstrings', [n[3] for n in lengths])}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
