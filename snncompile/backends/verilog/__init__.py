"""The Verilog backend: prints the stages and streams of `backends.stream`, and simulates them."""
