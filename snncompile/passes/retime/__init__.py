"""From ticks of the network to ticks of hardware, where a hop takes one or more."""
