"""HDF5 as NumPy arrays, read in Python alone."""
