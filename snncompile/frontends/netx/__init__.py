"""Reads NetX files (`.net`), in which lava-dl stores networks with integer weights and parameters."""
