"""Runs code of the user: the file that `model.py:build` names, and the code of their modules."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from snncompile.diagnostics import CompileError, did_you_mean, fail, shorten

MODULE_NAME = "snncompile_users_model"
PACKAGE_FOLDER = str(Path(__file__).parents[2])


@dataclass
class UserCode:
    """A context manager for code of the user. What the code raises becomes a diagnostic with the user's file and line.

    What the code prints goes to stderr, so that it does not mix with the output of the compiler.

    Attributes:
        place: returns the place for the diagnostic; called only when something was raised.
        help: the help text of the diagnostic.

    Raises:
        CompileError: SNN109 for whatever the code raises, except a CompileError, which passes through.
    """

    place: Callable[[], str]
    help: str = ""

    def __enter__(self) -> None:
        self._redirected = redirect_stdout(sys.stderr)
        self._redirected.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> None:
        self._redirected.__exit__(kind, error, where)
        if isinstance(error, (Exception, SystemExit)) and not isinstance(error, CompileError):
            message = " ".join(str(error).split())
            name = type(error).__name__
            fail("SNN109", self.place() + _user_line(error, where),
                 f"{name}: {shorten(message, 300)[1:-1]}" if message else name, help=self.help)


def _user_line(error: BaseException, where: TracebackType | None) -> str:
    """The last line of the user's own code that led to an error, as `, model.py line 7`; empty if there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f", {Path(error.filename).name} line {error.lineno}"
    frames = [f for f in traceback.extract_tb(where)
              if "site-packages" not in f.filename and not f.filename.startswith((PACKAGE_FOLDER, "<"))]
    frames = [f for f in frames if not f.filename.startswith(sys.base_prefix)]
    return f", {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""


def build_model(source: str) -> tuple[Any, Any]:
    """Run the file of `file.py:function` as Python would run it, and call the function, or the class of a module.

    Imports of the file are looked for in its own folder first.

    Returns:
        What the function returned: a module, and its example input, or None where it returned only a module. Where the
        file has a module of this name already, that module.

    Raises:
        CompileError: SNN101 where there is no such file, SNN107 where it has no such function, SNN109 for whatever
            its code raises.
    """
    file, _, name = source.rpartition(":")
    path = _expect_file(file)
    with UserCode(lambda: f"function {shorten(name)}"), _importable(path.parent):
        known = vars(_run(path))
        function = known.get(name)
        if not callable(function):
            fail("SNN107", f"file {shorten(path.name)}", f"it has no function or class {shorten(name)}",
                 "a class of a module, or a function that returns the module, or (module, example_input)",
                 did_you_mean(name, [n for n, v in known.items() if getattr(v, "__module__", "") == MODULE_NAME]))
        returned = function if is_module(function) else function()
    return returned if isinstance(returned, tuple) and len(returned) == 2 else (returned, None)


def is_module(source: object) -> bool:
    """Whether this is a PyTorch module, by the name of its class, so that torch need not be imported."""
    return any((c.__module__, c.__name__) == ("torch.nn.modules.module", "Module") for c in type(source).__mro__)


def value_of_file(source: str) -> Any:
    """Run the file of `file.py:name` as Python would run it. Returns what the name stands for then; None for nothing.

    Raises:
        CompileError: SNN101 where there is no such file, SNN109 for whatever its code raises.
    """
    file, _, name = source.rpartition(":")
    path = _expect_file(file)
    with UserCode(lambda: f"file {shorten(path.name)}"), _importable(path.parent):
        return getattr(_run(path), name, None)


def _expect_file(file: str) -> Path:
    """The path of a file. Raises SNN101 where there is none."""
    path = Path(file)
    if not path.is_file():
        fail("SNN101", f"file {shorten(path.name)}", "there is no such file")
    return path


def _run(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(MODULE_NAME, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE_NAME] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Search a folder for imports first. Restores `sys.path` afterwards."""
    before = list(sys.path)
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path[:] = before
