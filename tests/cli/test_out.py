"""Tables and lines fit the terminal, whatever its width; what is piped is whole."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from snncompile.cli.out import BETWEEN, PIPED_WIDTH, Out, fitted, step_lines
from snncompile.report.steps import StepReport

HEADINGS = ("population", "what it is", "#neurons")
ROWS = [("features.0.lif", "a leaky neuron, reset by subtraction", "1,024"), ("fc", "integrates and fires", "10"),
        ("out", "", "3")]


def printed(headings, rows, width: int | None) -> list[str]:
    """The lines of a table on a terminal of a width, or piped."""
    out, text = Out(), io.StringIO()
    out.__dict__["console"] = Console(file=text, width=width or PIPED_WIDTH, force_terminal=width is not None,
                                      color_system=None, highlight=False)
    out.table(headings, rows)
    return [line.rstrip() for line in text.getvalue().splitlines()]


def words(lines: list[str]) -> list[str]:
    return sorted(word for line in lines for word in line.split())


def test_a_table_that_fits_has_a_line_for_each_row():
    lines = printed(HEADINGS, ROWS, 80)
    assert len(lines) == 1 + len(ROWS)
    assert lines[1].split() == ["features.0.lif", *ROWS[0][1].split(), "1,024"]
    assert len(set(map(len, lines[:1] + lines[1:2]))) == 1


@pytest.mark.parametrize("width", [100, 80, 60, 48, 40, 30, 25])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_broken_or_lost(width):
    lines = printed(HEADINGS, ROWS, width)
    assert max(map(len, lines)) <= width
    shown = words(lines)
    for word in (w for row in ROWS for cell in row for w in cell.split()):
        assert word in shown


def test_where_the_longest_words_do_not_fit_each_row_is_a_block():
    lines = printed(HEADINGS, ROWS, 30)
    assert lines[:2] == ["features.0.lif", "  what it is a leaky neuron,"]
    assert lines[2:4] == ["    reset by subtraction", "  neurons 1,024"]
    assert lines[-2:] == ["out", "  neurons 3"]


def test_what_is_piped_is_never_wrapped():
    long = "word " * 200
    lines = printed(("name", "text"), [("a", long), ("b", "short")], None)
    assert len(lines) == 3
    assert lines[1].split() == ["a", *long.split()]


@given(st.lists(st.lists(st.text("ab ", max_size=12), min_size=3, max_size=3), min_size=1, max_size=4),
       st.integers(10, 60))
def test_widths_hold_the_longest_words_and_no_more_than_there_is_room(rows, width):
    widths = fitted(rows, width)
    longest = [max((len(w) for row in rows for w in row[i].split()), default=0) for i in range(3)]
    if widths is None:
        assert sum(longest) + 3 * BETWEEN > width
        return
    assert sum(widths) + 3 * BETWEEN <= width
    assert all(have >= need for have, need in zip(widths, longest, strict=True))


@pytest.mark.parametrize(("width", "lines"), [
    (120, ["8 ticks                 " + "x y z ".strip().ljust(66) + "  0.25 s"]),
    (60, ["8 ticks                   0.25 s", "x y z"]),
])
def test_the_figures_of_a_step_stand_below_it_where_the_terminal_is_narrow(width, lines):
    assert step_lines(StepReport("read", "8 ticks", "x y z", 0.25), width) == lines


def test_long_figures_of_a_step_are_wrapped_between_words():
    lines = step_lines(StepReport("read", "r", "word " * 30, None), 60)
    assert lines[0] == "r"
    assert max(map(len, lines)) <= 60 - 12
    assert words(lines[1:]) == ["word"] * 30
