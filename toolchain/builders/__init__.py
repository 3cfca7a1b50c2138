"""One file per runtime: `build(model, recipe, settings, out, destination) -> Artifact` and `versions()`.

Builders never look at the precision: it lives in the graph, and where a runtime has to be told besides, in the
settings. What the planner may put there, a builder says with `FLOAT_OPTIONS`: by precision, the options that make the
runtime compute float32 nodes in it; and with `tunings(threads)`: options that may make it faster. `REFUSED` says, by
precision, why the runtime does not read such files, `TYPED` in which of `FLOAT_OPTIONS` it computes node by node where
it is told nothing and the graph says so, and `USES_THREADS = False` that threads mean nothing to it.

Builders that compile for a device take it from `destination`; the others make the same of a model wherever it goes.
"""
