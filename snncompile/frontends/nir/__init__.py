"""Reads (`graph`) and writes (`export`) NIR, the Neuromorphic Intermediate Representation."""
