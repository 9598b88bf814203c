"""Which core holds what, and where the cores lie; the graph stays as it is."""
