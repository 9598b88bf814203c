"""`python -m snncompile` is `snnc`."""

from snncompile.cli import main

main()
