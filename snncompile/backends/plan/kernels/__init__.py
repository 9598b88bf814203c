"""Kernels: the ways in which a program computes one operator of a projection. Each kernel with weights is one file.

`kernel` says what a kernel declares and how to write a new one, `table` chooses between the kernels with weights, and
`plain` holds those without weights.
"""
