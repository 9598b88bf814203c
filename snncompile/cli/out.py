"""What commands print: lines and tables on stdout, warnings, errors and progress on stderr, or one JSON object."""

from __future__ import annotations

import json
import re
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.cli.group import OptionGroup
from snncompile.diagnostics import Diagnostic, alike, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from snncompile.report.steps import StepReport

PIPED_WIDTH = 200
STEP_INDENT = 12
BETWEEN = 3
"""Blanks between two columns of a table."""
REFRESH_S = 0.05
OPTIONS = re.compile(r'(options? )(?:([a-z_]+(?:, [a-z_]+)*)|"([a-z_]+)")')
"""How the place of a diagnostic begins that names options."""
BLOCKS_OF_INPUT = ("SNN1", "SNN5", "SNN7")
CODES_OF_INPUT = frozenset({"SNN404", "SNN405", "SNN602", "SNN604"})


def exit_code(diagnostics: Iterable[Diagnostic]) -> int:
    """The exit code of a command that ends with these errors.

    Returns:
        2 where a file, data, an option or a folder cannot be used; 1 where the input was understood, but the network
        cannot be compiled or verified.
    """
    codes = [d.code for d in diagnostics]
    return 2 if any(c.startswith(BLOCKS_OF_INPUT) or c in CODES_OF_INPUT for c in codes) else 1


@dataclass
class Out(OptionGroup):
    """Prints what a command has to say, in the form that the user chose.

    Attributes:
        noted: the warnings that were printed, or that will be part of the JSON.
        flags: the flag of each option of the command, by the name that the library has for the option.
    """

    json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout, and nothing else.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings and errors only.")] = False
    noted: list[Diagnostic] = field(default_factory=list)
    flags: Mapping[str, str] = field(default_factory=dict)

    @property
    def talks(self) -> bool:
        return not (self.json or self.quiet)

    @cached_property
    def console(self) -> Console:
        return _console(stderr=False)

    @cached_property
    def errors(self) -> Console:
        return _console(stderr=True)

    def say(self, text: str, wrap: bool = False) -> None:
        """Print a line, unless `--json` or `--quiet` was given; `wrap` breaks prose at the width of the terminal."""
        if self.talks:
            self.console.print(_text(text), soft_wrap=not wrap)

    def step(self, step: StepReport) -> None:
        """Print the line of a step: name, result, figures, seconds."""
        if self.talks:
            name = _text(f" {step.name:<10} ", "bold cyan")
            for i, line in enumerate(step_lines(step, self.console.width)):
                lead = name if i == 0 else _text(" " * STEP_INDENT)
                self.console.print(lead.append(line, "default not bold"), soft_wrap=True)

    def raw(self, text: str) -> None:
        """Print text that the user asked for, such as a graph: with `--quiet` too, but not with `--json`."""
        if not self.json:
            typer.echo(text, nl=not text.endswith("\n"))

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table, one line for each row; a column whose heading starts with `#` is aligned to the right.

        On a terminal that is too narrow, cells are wrapped between words; where not even the longest words fit, each
        row becomes a block of lines. What is piped to another program is never wrapped.
        """
        if not self.talks:
            return
        cells = [[printable(" ".join(str(cell).splitlines())) for cell in row] for row in rows]
        names = [heading.lstrip("#") for heading in headings]
        widths = fitted([names, *cells], self.console.width if self.console.is_terminal else None)
        if widths is None:
            self._blocks(names, cells)
            return
        from rich.table import Table

        table = Table(box=None, padding=0, pad_edge=False)  # versions of rich differ in how padding counts as width
        for i, (heading, name, width) in enumerate(zip(headings, names, widths, strict=True)):
            if i:
                table.add_column(width=BETWEEN)
            table.add_column(name, justify="right" if heading.startswith("#") else "left", width=width)
        for row in cells:
            table.add_row(*(_text(cell) for i, text in enumerate(row) for cell in (["", text] if i else [text])))
        wide = self.console.width
        self.console.width = max(wide, sum(widths) + BETWEEN * len(widths))  # wider than `wide` only where it is piped
        self.console.print(table)
        self.console.width = wide

    def _blocks(self, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print each row as lines: the first cell, and below it each further cell that is not empty with its name."""
        for first, *others in rows:
            self.console.print(_text(first, "bold"), soft_wrap=True)
            for name, cell in zip(names[1:], others, strict=True):
                if cell:
                    for line in textwrap.wrap(f"{name} {cell}".strip(), max(self.console.width - 3, 20),
                                              subsequent_indent="  "):
                        self.console.print(_text(f"  {line}"), soft_wrap=True)

    def note(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Print warnings and notes on stderr, or keep them for the JSON; each is printed once however often it is told.

        With `--quiet`, notes are not printed.
        """
        new = [d for d in map(self._as_typed, diagnostics) if d not in self.noted]
        self.noted += new
        if not self.json:
            for diagnostic in alike([d for d in new if d.severity == "warning" or not self.quiet]):
                self._diagnose(diagnostic)

    def answer(self, result: dict[str, Any]) -> None:
        """End a command that did what it should: with `--json`, print its result."""
        if self.json:
            self._print_json({"ok": True, **result, "diagnostics": [d.to_json() for d in self.noted]})

    def refuse(self, diagnostics: tuple[Diagnostic, ...], result: dict[str, Any] | None = None) -> int:
        """End a command that could not do what it should: print the errors, and return the exit code.

        Args:
            result: what the command knows all the same, for `--json`.
        """
        diagnostics = tuple(map(self._as_typed, diagnostics))
        if self.json:
            reported = [d.to_json() for d in (*diagnostics, *self.noted)]
            self._print_json({"ok": False, **(result or {}), "diagnostics": reported})
        else:
            for diagnostic in alike(diagnostics):
                self._diagnose(diagnostic)
            if len(diagnostics) > 1:
                self.errors.print(_text(f"{len(diagnostics)} problems"), soft_wrap=True)
        return exit_code(diagnostics)

    @contextmanager
    def counting(self) -> Iterator[Counter]:
        """A progress bar, which is shown on terminals only and disappears when the work is done."""
        counter = Counter(self.errors if self.talks and self.errors.is_terminal else None)
        try:
            yield counter
        finally:
            counter.stop()

    def _as_typed(self, diagnostic: Diagnostic) -> Diagnostic:
        """The diagnostic with its options named as the user types them: `option --weight-bits` for `weight_bits`."""
        found = OPTIONS.match(diagnostic.place)
        names = (found[2] or found[3]).split(", ") if found else []
        if found is None or not set(names) <= set(self.flags):
            return diagnostic
        return replace(diagnostic, place=found[1] + ", ".join(self.flags[name] for name in names)
                       + diagnostic.place[found.end():])

    def _print_json(self, value: dict[str, Any]) -> None:
        typer.echo(json.dumps(value))

    def _diagnose(self, diagnostic: Diagnostic) -> None:
        style = {"error": "bold red", "warning": "bold yellow"}.get(diagnostic.severity, "bold")
        first, _, rest = str(diagnostic).partition("\n")
        head, colon, title = first.partition(":")
        text = _text(head, style).append(printable(f"{colon}{title}\n{rest}"), "default not bold")
        self.errors.print(text, soft_wrap=True)


@dataclass
class Counter:
    """Shows the progress of a piece of work: an `observer.Progress`.

    Attributes:
        console: where the bar is drawn; None where none is to be drawn.
        shown: time of the last change, in seconds; changes that follow sooner than REFRESH_S are left out.
    """

    console: Console | None
    bar: Progress | None = None
    shown: float = 0.0

    def __call__(self, work: str, done: int, whole: int) -> None:
        now = time.monotonic()
        if self.console is None or (now - self.shown < REFRESH_S and done < whole):
            return
        self.shown = now
        if done >= whole:
            self.stop()
            return
        if self.bar is None:
            from rich.progress import Progress

            self.bar = Progress(console=self.console, transient=True)
            self.bar.start()
            self.bar.add_task(work, total=whole)
        self.bar.update(self.bar.task_ids[0], description=work, completed=done, total=whole)

    def stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def step_lines(step: StepReport, width: int) -> list[str]:
    """What follows the name of a step: one line, or, where that is too long, the result and below it the figures."""
    took = "" if step.seconds is None else f"  {step.seconds:.2f} s"
    result, detail = printable(step.result), printable(step.detail)
    whole = f"{result:<23} {detail:<66}{took}".rstrip()
    if STEP_INDENT + len(whole) <= width:
        return [whole]
    return [f"{result:<23} {took}".rstrip(), *textwrap.wrap(detail, max(width - STEP_INDENT, 20))]


def fitted(rows: Sequence[Sequence[str]], width: int | None) -> list[int] | None:
    """Widths of columns with which a table is no wider than a terminal, and no word is broken.

    The widest columns become narrower first.

    Args:
        width: in characters; None for no limit.

    Returns:
        The width of each column; None where the longest words of all columns do not fit beside each other.
    """
    from rich.cells import cell_len

    columns = list(zip(*rows, strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    least = [max((cell_len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    room = None if width is None else width - BETWEEN * len(columns)
    if room is None or sum(widths) <= room:
        return widths
    if sum(least) > room:
        return None
    while sum(widths) > room:
        widest = max((i for i in range(len(widths)) if widths[i] > least[i]), key=lambda i: widths[i])
        widths[widest] -= 1
    return widths


def _console(stderr: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    return console


def _text(value: object, style: str = "") -> Any:
    from rich.text import Text

    return Text(printable(value), style)
