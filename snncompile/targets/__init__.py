"""Targets: the description of hardware, and the rules by which networks are checked against it."""
