"""The Lava backend: a MAPPED graph as a Python package of processes that Intel's Lava simulates."""
