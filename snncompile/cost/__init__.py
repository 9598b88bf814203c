"""The cost of a network on a target: its activity, counted or assumed, times named constants."""
