"""Reads HDF5 files as NumPy arrays, in Python alone."""
