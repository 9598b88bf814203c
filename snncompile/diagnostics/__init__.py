"""Diagnostics: what is wrong with an input, where, what was found, what the limit is, and what to do."""

from snncompile.diagnostics.diagnostic import (
    Collector,
    CompileError,
    Diagnostic,
    Severity,
    did_you_mean,
    fail,
    few,
    printable,
    shorten,
)

__all__ = ["Collector", "CompileError", "Diagnostic", "Severity", "did_you_mean", "fail", "few", "printable", "shorten"]
