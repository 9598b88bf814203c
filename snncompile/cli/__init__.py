"""The command line: arguments in, tables and progress out. Nothing else in the package imports it."""

from snncompile.cli.app import main

__all__ = ["main"]
