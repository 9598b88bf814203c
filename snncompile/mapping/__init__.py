"""Partition and placement: which core holds which neurons, and where the cores lie on the chip."""
