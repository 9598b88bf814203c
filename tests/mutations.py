"""Small faults in Python code, one at a time: what a test suite should see."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

COMPARISONS: dict[type[ast.cmpop], str] = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=",
                                           ast.NotEq: "==", ast.In: "not in", ast.NotIn: "in", ast.Is: "is not",
                                           ast.IsNot: "is"}
OPERATORS: dict[type[ast.operator], str] = {ast.Add: "-", ast.Sub: "+", ast.Mult: "//", ast.FloorDiv: "*", ast.Div: "*",
                                            ast.Mod: "*", ast.LShift: ">>", ast.RShift: "<<", ast.BitAnd: "|",
                                            ast.BitOr: "&", ast.Pow: "*"}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum",
         "floor": "ceil", "ceil": "floor", "sorted": "list"}


@dataclass(frozen=True, order=True)
class Mutation:
    """A change of a piece of text in one line of a file.

    Attributes:
        line: its number, from 1.
        start, end: columns, in characters.
        before, after: the piece, and what takes its place.
    """

    line: int
    start: int
    end: int
    before: str
    after: str

    def of(self, source: str) -> str:
        """The source with this fault."""
        lines = source.splitlines(keepends=True)
        text = lines[self.line - 1]
        assert text[self.start:self.end] == self.before
        lines[self.line - 1] = text[:self.start] + self.after + text[self.end:]
        return "".join(lines)


def mutations(source: str) -> list[Mutation]:
    """The faults that a source can have: another comparison, operator, number or choice, in the order of the lines.

    Messages, annotations, docstrings and `strict=` are left out; so is what spans several lines.

    >>> [(m.before, m.after) for m in mutations("def f(a):\\n    return min(a, 3) if a < 4 else not a\\n")]
    [('min', 'max'), ('3', '4'), ('<', '<='), ('4', '5'), ('not ', '')]
    """
    lines = source.splitlines()
    found = {m for node in _code(ast.parse(source)) for m in _of(node, lines)}
    return sorted(m for m in found if lines[m.line - 1][m.start:m.end] == m.before)


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it, but for annotations and the arguments of what refuses or warns."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list") or (isinstance(node, ast.Call) and name != "func"
                                                                   and _speaks(node)):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.keyword) and child.arg == "strict":
                continue
            if isinstance(child, ast.AST) and not isinstance(child, (ast.Import, ast.ImportFrom, ast.JoinedStr)):
                yield from _code(child)


def _speaks(call: ast.Call) -> bool:
    """Whether a call makes a message."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in ("fail", "error", "warn", "problem", "Diagnostic", "say", "TypeVar")


def _of(node: ast.AST, lines: list[str]) -> Iterator[Mutation]:
    match node:
        case ast.Compare(left=left, ops=ops, comparators=others):
            for a, op, b in zip([left, *others], ops, others, strict=False):
                yield from _between(a, b, lines, COMPARISONS.get(type(op)))
        case ast.BinOp(left=a, op=op, right=b) if not isinstance(a, ast.Constant) or not isinstance(a.value, str):
            yield from _between(a, b, lines, OPERATORS.get(type(op)))
        case ast.BoolOp(op=op, values=values):
            for a, b in pairwise(values):
                yield from _between(a, b, lines, "or" if isinstance(op, ast.And) else "and")
        case ast.UnaryOp(op=ast.Not() | ast.USub() as op):
            width = len("not ") if isinstance(op, ast.Not) else len("-")
            yield _piece(lines, node.lineno, node.col_offset, node.col_offset + width, "")
        case ast.Call(func=ast.Name(id=name) as called) if name in CALLS:
            yield _piece(lines, called.lineno, called.col_offset, called.end_col_offset or 0, CALLS[name])
        case ast.Call(func=ast.Attribute(attr=name, value=ast.Name(id="np" | "math")) as called) if name in CALLS:
            end = called.end_col_offset or 0
            yield _piece(lines, called.end_lineno or 0, end - len(name.encode()), end, CALLS[name])
        case ast.Constant(value=bool() as value):
            yield _piece(lines, node.lineno, node.col_offset, node.end_col_offset or 0, str(not value))
        case ast.Constant(value=int() as value):
            yield _piece(lines, node.lineno, node.col_offset, node.end_col_offset or 0, str(value + 1))


def _piece(lines: list[str], line: int, start: int, end: int, after: str) -> Mutation:
    """A mutation by offsets in bytes, as syntax trees have them."""
    content = lines[line - 1].encode()
    first, last = len(content[:start].decode()), len(content[:end].decode())
    return Mutation(line, first, last, lines[line - 1][first:last], after)


def _between(a: ast.expr, b: ast.expr, lines: list[str], after: str | None) -> Iterator[Mutation]:
    """The mutation of the operator between two operands of one line."""
    if after is None or a.end_lineno != b.lineno:
        return
    whole = _piece(lines, b.lineno, a.end_col_offset or 0, b.col_offset, after)
    before = whole.before.strip("() ")
    if before and " " not in before.replace("not in", "").replace("is not", ""):
        start = whole.start + whole.before.index(before)
        yield Mutation(whole.line, start, start + len(before), before, after)
