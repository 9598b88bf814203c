"""Diagnostics: what is wrong with an input, where, what was found, what the limit is, and what to do."""

from snncompile.diagnostics.diagnostic import (
    Collector,
    CompileError,
    Diagnostic,
    Severity,
    alike,
    did_you_mean,
    expect_known,
    fail,
    few,
    printable,
    shorten,
)

__all__ = ["Collector", "CompileError", "Diagnostic", "Severity", "alike", "did_you_mean", "expect_known", "fail",
           "few", "printable", "shorten"]
