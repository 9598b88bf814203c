"""The streaming lowering: an INT graph as stages that pass events to each other, which Verilog and HLS print.

Each population is a stage. Events come in, their weights are added up in lanes, and at the end of a tick a neuron unit
sweeps over the population and sends events out. `context` holds what the printers read, `lower` makes it from a graph,
and `neuron_unit` turns the integer program of a population into the wires of a pipeline.
"""
