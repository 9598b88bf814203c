"""Neuromorphic Intermediate Representation: read (`graph`), and written (`export`)."""
