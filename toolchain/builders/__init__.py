"""One file per runtime: `build(model, recipe, settings, out, destination) -> Artifact` and `versions()`.

Builders never look at the precision: it lives in the graph. Those that compile for a device take it from `destination`;
the others make the same of a model wherever it goes.
"""
