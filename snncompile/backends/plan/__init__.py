"""The plan of a program: what stands between an integer graph and the text of a program, in no language's syntax.

`plan.plan` turns an INT or MAPPED graph into a `Plan`; a backend prints that plan. The plan decides everything that
does not depend on a language: which buffers of integers the program keeps, how long, and in which proved range
(`buffers`); how tensors lie in them (`layouts`); which kernels compute each projection (`projections`, `kernels`); and
what the update of each population reads (`updates`). The backend decides the type of each buffer, the text of each
kernel and operation, and how memory is shared.

A program that prints a plan does this in each tick of the hardware:

1. It writes the network's inputs into the rows of their sources, in the order that `layouts.channels_last` gives.
2. For each population, in the order of `Plan.populations`, it sets the accumulators to 0. For each projection it runs
   the kernels in their order, the first of which reads the row that the source emitted `delay` ticks ago. Then, for
   each neuron, it runs the integer program of `Update` on the sum of all accumulators times their factors, writes the
   next states, and writes what the neuron emits into the row of the population.
3. It copies to each output the row that the output's source emitted `delay` ticks ago, in the user's order.

A kernel with `accumulates` adds to its destination: a buffer between two kernels must be set to 0 in front of it.
A reset sets all rows and accumulators to 0, and all states to their first values.

The Lava backend does not use the plan, because a Lava process holds a whole tensor and a sparse matrix of synapses.
"""
