"""The Lava backend: a retimed INT graph as a package of processes that Lava simulates."""
