"""Spaces and verdicts in the terms of search libraries, one module for each."""
