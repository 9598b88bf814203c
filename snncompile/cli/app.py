"""The program `snnc`: its commands, its version, and how it ends when the compiler itself fails."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
import traceback
from types import FrameType, TracebackType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from snncompile import __version__
from snncompile.cli.about import explain, targets
from snncompile.cli.build import compile_
from snncompile.cli.check import check
from snncompile.cli.command import command
from snncompile.cli.explore import explore
from snncompile.cli.look import inspect
from snncompile.cli.loss import losses
from snncompile.cli.play import run, verify
from snncompile.cli.search import screen, spaces

UNUSABLE = 2
DEFECT = 3
WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE, errno.EBADF}
"""What the operating system says of streams that cannot be written."""


class Commands(TyperGroup):
    """The program as a group of commands, whose list is plain text: Rich takes longer to load than the rest."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Without any word, the help is what is wanted."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            ctx.exit(UNUSABLE)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.rich_markup_mode = None
        super().format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Each command with the whole of its first sentence."""
        with formatter.section("Commands"):
            formatter.write_dl([(n, self.commands[n].get_short_help_str(limit=500)) for n in self.list_commands(ctx)])


app = typer.Typer(cls=Commands, pretty_exceptions_enable=False,
                  help="Compile spiking neural networks; every stage computes the same spikes.",
                  epilog="Exit codes: 0 fine; 1 infeasible, or verification failed; 2 input that cannot be used.",
                  context_settings={"help_option_names": ["-h", "--help"]})
for name, work in (("inspect", inspect), ("check", check), ("compile", compile_), ("run", run), ("verify", verify),
                   ("losses", losses), ("explore", explore), ("spaces", spaces), ("screen", screen),
                   ("explain", explain), ("targets", targets)):
    command(app, name)(work)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"snnc {__version__}")
        raise typer.Exit


def _debug(asked: bool) -> None:
    if asked:
        sys.excepthook = _whole_traceback


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True,
                                          help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", callback=_debug, is_eager=True,
                                        help="Show the traceback where the compiler itself fails.")] = False,
) -> None:
    pass


def _ends_at_output(error: BaseException) -> bool:
    """Whether a stream of the process cannot be written, as on a full disk. Files that fail make diagnostics."""
    return isinstance(error, OSError) and error.errno in WRITING


def _one_line(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    """Report an unexpected exception in two lines, and end with exit code 3: the fault is not the user's input.

    Output that cannot be written is the user's matter, and ends with exit code 2.
    """
    text = " ".join(str(error).split())[:300]
    if _ends_at_output(error):
        _drop_output()
        with contextlib.suppress(OSError):
            sys.stderr.write(f"snnc: the output cannot be written: {text}\n")
        raise SystemExit(UNUSABLE)
    sys.stderr.write(f"snnc: a defect of the compiler: {kind.__name__}: {text}\n"
                     "Please report it with your input; `snnc --debug ...` shows where it happened.\n")
    raise SystemExit(DEFECT)


def _drop_output() -> None:
    """Send what is left in the buffers of stdout and stderr nowhere, if they cannot be written either."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _whole_traceback(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    traceback.print_exception(kind, error, where)
    raise SystemExit(DEFECT)


def _stopped(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main() -> None:
    """Run the program with the arguments of this process.

    On SIGTERM the program exits in the ordinary way, so that processes that it started end and temporary files are
    removed.
    """
    sys.excepthook = _one_line
    signal.signal(signal.SIGTERM, _stopped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    typer.main.get_command(app)(prog_name="snnc")
