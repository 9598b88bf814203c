"""Kernels: the ways in which a program adds a projection to its sums, one in each file."""
