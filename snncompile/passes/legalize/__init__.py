"""Passes from operators to populations that a target allows, in the order in which they run."""
