"""The user's own code: the file that `model.py:build` names, and whatever else of theirs is run."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from snncompile.diagnostics import CompileError, fail, shorten

MODULE_NAME = "snncompile_users_model"
OURS = str(Path(__file__).parents[2])


@dataclass
class UsersCode:
    """While it is entered, what the user's code raises becomes a diagnostic that names their file and line.

    What it prints goes to stderr, so that it does not mix with what the compiler prints.

    Attributes:
        place: what was under way; called when something was raised.
        help: what the user can do.
    """

    place: Callable[[], str]
    help: str = ""

    def __enter__(self) -> None:
        self._aside = redirect_stdout(sys.stderr)
        self._aside.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> None:
        self._aside.__exit__(kind, error, where)
        if isinstance(error, (Exception, SystemExit)) and not isinstance(error, CompileError):
            text = " ".join(str(error).split())
            found = f"{type(error).__name__}: {shorten(text, 300)[1:-1]}" if text else type(error).__name__
            fail("SNN109", self.place() + _line(error, where), found, help=self.help)


def _line(error: BaseException, where: TracebackType | None) -> str:
    """The last line of the user's own that led to an error."""
    if isinstance(error, SyntaxError) and error.filename:
        return f", {Path(error.filename).name} line {error.lineno}"
    theirs = [f for f in traceback.extract_tb(where)
              if "site-packages" not in f.filename and not f.filename.startswith((OURS, "<"))]
    theirs = [f for f in theirs if not f.filename.startswith(sys.base_prefix)]
    return f", {Path(theirs[-1].filename).name} line {theirs[-1].lineno}" if theirs else ""


def build(source: str) -> tuple[Any, Any]:
    """What the function named by `file.py:function` returns: a module, and its example input or None.

    The file is run, as it would be by Python; its folder is where its imports are looked for.

    Raises:
        CompileError: SNN101 where there is no such file, SNN107 where it has no such function, SNN109 for whatever
            its code raises.
    """
    file, _, name = source.rpartition(":")
    path, place = Path(file), f"file {shorten(Path(file).name)}"
    if not path.is_file():
        fail("SNN101", place, "there is no such file")
    with UsersCode(lambda: f"function {shorten(name)}"), _importable(path.parent):
        spec = importlib.util.spec_from_file_location(MODULE_NAME, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[MODULE_NAME] = module
        spec.loader.exec_module(module)
        function = getattr(module, name, None)
        if not callable(function):
            fail("SNN107", place, f"no function {shorten(name)} in it", "a function that returns the module, or "
                 "(module, example_input)")
        made = function()
    return made if isinstance(made, tuple) and len(made) == 2 else (made, None)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """The folder is searched for imports, and Python's own list of folders stays as it was."""
    before = list(sys.path)
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path[:] = before
